"""Fixtures: the embedded models in this process, and a real server in another."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from handler.catalog import build_catalog
from handler.engine import Engine
from handler.loader import load_engine
from handler.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 30.0
REQUEST_TIMEOUT_S = 30.0
PYTHON_TIMEOUT_S = 60.0


@dataclass(slots=True)
class Answer:
    """Status, headers (lower-case names) and body of one HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


@dataclass(slots=True)
class Server:
    """A server process of this test run."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    api_key: str | None = field(default=None)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | dict[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request over a socket of its own."""
        given = dict(headers or {})
        if isinstance(body, dict):
            body = json.dumps(body).encode()
            given.setdefault("content-type", "application/json")
        request = urllib.request.Request(self.url + path, data=body, headers=given, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT_S) as response:  # noqa: S310
                return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())

    def chat(self, text: str, **fields: Any) -> Answer:
        """Ask for a chat completion of one user message."""
        body = {"messages": [{"role": "user", "content": text}], **fields}
        return self.request("POST", "/v1/chat/completions", body)

    def log_lines(self) -> list[dict[str, Any]]:
        """Return the structured lines the server has logged so far."""
        # A text in the log may hold line breaks of other kinds, and the last line may be half written.
        lines = self.log.read_text(encoding="utf-8").split("\n")[:-1]
        return [json.loads(line) for line in lines if line.startswith("{")]


def clean_environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without any setting of the server, and with ``variables``."""
    settings = {name.upper() for name in Settings.model_fields} | {"CONFIG_FILE"}
    kept = {name: value for name, value in os.environ.items() if name.upper().partition("__")[0] not in settings}
    return kept | variables


def run_python(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a fresh interpreter in the checkout, without any setting but ``variables``."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=clean_environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PYTHON_TIMEOUT_S,
    )


@contextmanager
def running_server(tmp_path: Path, *arguments: str, ready: bool = True, **variables: str) -> Iterator[Server]:
    """Run ``python -m handler`` on a free port until the block ends.

    When the block begins it listens, and unless ``ready`` is false its models are loaded.
    """
    log = tmp_path / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "handler", "--port", "0", "--example", *arguments],
            cwd=tmp_path,
            env=clean_environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        server = Server(_wait_for_address(process, log), process, log)
        if ready:
            _wait_until(lambda: server.request("GET", "/health/ready").status == 200, process, log)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)


def _wait_for_address(process: subprocess.Popen[bytes], log: Path) -> str:
    def address() -> str | None:
        for line in log.read_text(encoding="utf-8").splitlines():
            if line.startswith("Serving "):
                return line.rpartition(" on ")[2]
        return None

    _wait_until(lambda: address() is not None, process, log)
    return str(address())


def _wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not condition():
        assert process.poll() is None, f"the server ended with {process.returncode}:\n{log.read_text()}"
        assert time.monotonic() < deadline, f"the server did not start:\n{log.read_text()}"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the embedded models, shared by every test that changes nothing about it."""
    with running_server(tmp_path_factory.mktemp("server"), ALIASES='{"gpt-4o-mini": "nllb-demo"}') as running:
        yield running


@pytest.fixture(scope="session")
def engines() -> dict[str, Engine]:
    """The embedded models, loaded in this process."""
    catalog = build_catalog(Settings())
    return {name: load_engine(spec)[0] for name, spec in catalog.models.items()}


@pytest.fixture(scope="session")
def nllb(engines: dict[str, Engine]) -> Engine:
    """The embedded NLLB model."""
    return engines["nllb-demo"]


@pytest.fixture(scope="session")
def t5(engines: dict[str, Engine]) -> Engine:
    """The embedded T5 model."""
    return engines["t5-demo"]
