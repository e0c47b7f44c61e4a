"""Headless Chromium, driven by the script beside the Node client's; nothing but 127.0.0.1 can be reached from it."""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from conftest import Answer, Server

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SCRIPT = Path(__file__).parent / "node" / "browser.mjs"
LIMIT_S = 60


@dataclass(frozen=True, slots=True)
class Visit:
    """What came of opening a page and evaluating an expression in it."""

    value: Any
    requests: list[str]
    """Every address the page asked for, its own first."""
    complaints: list[str]
    """Requests that failed, exceptions, violations of the page's policy."""


def visit(address: str, expression: str) -> Visit:
    """Open a page and evaluate an expression of JavaScript there, which may await ``until(condition)``."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.fail("Chromium is not installed, and this test needs it: apt-get install chromium", pytrace=False)
    done = subprocess.run(
        [str(Path(sys.executable).parent / "node"), str(SCRIPT), browser, address, expression],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    # Pictures and icons that stand in the page are no requests.
    requests = [url for url in found["requests"] if not url.startswith("data:")]
    return Visit(found["value"], requests, found["complaints"])


@contextmanager
def behind_a_stage(server: Server, stage: str) -> Iterator[str]:
    """Serve ``server`` under a prefix of the path that it does not learn of, as API Gateway does; yield the address."""

    class Gateway(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("content-length", 0))
            if not self.path.startswith(f"/{stage}/"):
                self._send(Answer(403, {}, b"Forbidden"))
                return
            path = self.path.removeprefix(f"/{stage}")
            kept = {name: self.headers[name] for name in ("accept-encoding", "content-type") if name in self.headers}
            self._send(server.request(self.command, path, self.rfile.read(length) or None, kept))

        do_POST = do_GET  # noqa: N815 - the library's names

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name not in {"transfer-encoding", "content-length", "date", "server", "connection"}:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            pass

    with _serving(Gateway) as address:
        yield f"{address}/{stage}"


@contextmanager
def empty_page() -> Iterator[str]:
    """Serve a page with nothing on it, of an origin of its own; yield its address."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'<!DOCTYPE html><title>A page</title><link rel="icon" href="data:,">'
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with _serving(Page) as address:
        yield address


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_address[1]}"
        finally:
            http.shutdown()
            thread.join()


def path_of(address: str) -> str:
    """Return the path of an address."""
    return urlsplit(address).path
