"""A stand-in for the Hugging Face Hub on the loopback interface: the few answers its client asks for.

The real Hub is not reached by any test. What stands here follows its public API: revisions with file metadata, and
files by commit with their hashes in the headers, https://huggingface.co/docs/hub/api.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_LFS_BYTES = 100_000
"""Files from this size on are stored with Git LFS, as weights are."""


@dataclass
class Hub:
    """What it serves, and what it was asked for."""

    model_id: str
    folder: Path
    url: str = ""
    refused: str = ""
    """The Hub's error code for every request: ``RepoNotFound``, ``GatedRepo``."""
    break_after: int | None = None
    """Bytes of a large file after which the connection is closed, once."""
    wrong: set[str] = field(default_factory=set)
    """Files of which other bytes are sent than are listed."""
    sent: dict[str, int] = field(default_factory=dict)
    """Bytes sent, by file."""

    def describe(self, name: str) -> dict[str, Any]:
        """Return a file's metadata as the API has it."""
        content = (self.folder / name).read_bytes()
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324 - it is git's
        about: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": blob}
        if len(content) >= _LFS_BYTES:
            about["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
        return about


@contextmanager
def running_hub(model_id: str, folder: Path) -> Iterator[Hub]:
    """Serve ``folder`` as the model ``model_id`` at its only commit, the head of ``main``, until the block ends."""
    hub = Hub(model_id, folder)

    class Handler(_Handler):
        state = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    state: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        """Answer without a body."""
        self._answer(with_body=False)

    def do_GET(self) -> None:
        """Answer."""
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        hub, path = self.state, unquote(urlsplit(self.path).path)
        if hub.refused:
            self._refuse(401 if hub.refused == "RepoNotFound" else 403, hub.refused)
        elif match := re.fullmatch(r"/api/models/(.+)/revision/(.+)", path):
            self._revision(*match.groups(), with_body=with_body)
        elif match := re.fullmatch(r"/(.+)/resolve/([^/]+)/([^/]+)", path):
            self._file(*match.groups(), with_body=with_body)
        else:
            self._refuse(404, "RepoNotFound")

    def _revision(self, model_id: str, revision: str, *, with_body: bool) -> None:
        hub = self.state
        if model_id != hub.model_id:
            self._refuse(401, "RepoNotFound")
        elif revision not in {"main", COMMIT}:
            self._refuse(404, "RevisionNotFound")
        else:
            siblings = [hub.describe(path.name) for path in sorted(hub.folder.iterdir())]
            body = json.dumps({"id": model_id, "modelId": model_id, "sha": COMMIT, "siblings": siblings}).encode()
            self._send(200, {"Content-Type": "application/json"}, body, with_body=with_body)

    def _file(self, model_id: str, revision: str, name: str, *, with_body: bool) -> None:
        hub = self.state
        if model_id != hub.model_id or revision != COMMIT or not (hub.folder / name).is_file():
            self._refuse(404, "EntryNotFound")
            return
        content, about = (hub.folder / name).read_bytes(), hub.describe(name)
        if name in hub.wrong:
            content = content[:-1] + bytes([content[-1] ^ 1])
        etag = about["lfs"]["sha256"] if "lfs" in about else about["blobId"]
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        status, start = 200, 0
        if match := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            status, start = 206, int(match[1])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        body = content[start:]
        if with_body and hub.break_after is not None and "lfs" in about:
            cut, hub.break_after = hub.break_after, None
            self._send(status, headers, body, with_body=True, cut=cut)
            hub.sent[name] = hub.sent.get(name, 0) + cut
            self.close_connection = True
            return
        if with_body:
            hub.sent[name] = hub.sent.get(name, 0) + len(body)
        self._send(status, headers, body, with_body=with_body)

    def _refuse(self, status: int, code: str) -> None:
        self._send(status, {"X-Error-Code": code, "X-Error-Message": f"{code}."}, b"", with_body=True)

    def _send(
        self, status: int, headers: dict[str, str], body: bytes, *, with_body: bool, cut: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body[:cut])
