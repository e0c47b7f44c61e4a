"""A stand-in for Lambda's Runtime API: hands out events and notes when it is asked for them and when answers come.

Paths, headers and status codes are those of "Using the Lambda runtime API for custom runtimes" (AWS Lambda developer
guide). The runtime client is AWS's own; only what is on the other side of the socket is stood in for.
"""

import json
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

_NEXT = "/2018-06-01/runtime/invocation/next"
_INIT_ERROR = "/2018-06-01/runtime/init/error"
_FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:bench"
_REMAINING_S = 900


@dataclass(slots=True)
class Exchange:
    """What one process asked and answered; times in nanoseconds of ``CLOCK_MONOTONIC``, which containers share."""

    asked_ns: list[int] = field(default_factory=list)
    """When it asked for each event: the first says that init is over."""
    answered_ns: list[int] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    error: str | None = None


class RuntimeApi:
    """Serves one process at a time, on a loopback port of its own."""

    def __init__(self) -> None:
        """Listen."""
        self._server = socket.create_server(("127.0.0.1", 0))
        self._events: Sequence[Mapping[str, Any]] = ()
        self._done = Event()
        self._exchange = Exchange()
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        Thread(target=self._accept, name="runtime-api", daemon=True).start()

    def expect(self, events: Sequence[Mapping[str, Any]]) -> Exchange:
        """Hand out ``events`` to the next process; what is returned grows meanwhile."""
        self._events = events
        self._done = Event()
        self._exchange = Exchange()
        return self._exchange

    def wait(self, timeout_s: float) -> Exchange:
        """Return what was exchanged once every event is answered.

        Raises:
            TimeoutError: It took longer than ``timeout_s``.
            RuntimeError: Init or an invocation failed.
        """
        if not self._done.wait(timeout_s):
            message = f"no answer within {timeout_s} s"
            raise TimeoutError(message)
        if self._exchange.error:
            raise RuntimeError(self._exchange.error)
        return self._exchange

    def close(self) -> None:
        """Stop listening."""
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # A process that is killed leaves its connection in the middle of a request.
        with connection, connection.makefile("rb") as requests, suppress(ConnectionError, ValueError):
            while line := requests.readline():
                now = time.monotonic_ns()
                _, path, _ = line.decode("ascii").split()
                length = 0
                while (header := requests.readline()).strip():
                    name, _, value = header.partition(b":")
                    if name.lower() == b"content-length":
                        length = int(value)
                self._handle(connection, path, requests.read(length), now)

    def _handle(self, connection: socket.socket, path: str, body: bytes, now: int) -> None:
        exchange = self._exchange
        if path == _NEXT:
            exchange.asked_ns.append(now)
            number = len(exchange.asked_ns) - 1
            if number == len(self._events):
                # Never answered: the process waits, as a frozen one would, until it is killed.
                self._done.set()
                return
            headers = {
                "Content-Type": "application/json",
                "Lambda-Runtime-Aws-Request-Id": f"00000000-0000-4000-8000-{number:012d}",
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + _REMAINING_S) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": _FUNCTION,
            }
            connection.sendall(_response("200 OK", headers, json.dumps(self._events[number]).encode()))
        elif path.endswith("/response"):
            exchange.answered_ns.append(now)
            exchange.answers.append(json.loads(body))
            connection.sendall(_response("202 Accepted", {}, b""))
        else:
            exchange.error = f"{path}: {body.decode('utf-8', 'replace')}"
            connection.sendall(_response("202 Accepted", {}, b""))
            self._done.set()


def _response(status: str, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{k}: {v}" for k, v in headers.items()), f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("ascii") + body
