"""What is decided about a request before a route sees it, and the answer to whatever goes wrong in one.

Plain ASGI, like the layer around it: a ``BaseHTTPMiddleware`` would run each request in a task of its own and buffer
streams.
"""

import hmac
from asyncio import CancelledError
from collections.abc import Sequence

from pydantic import SecretStr
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handler.drain import Drain
from handler.errors import (
    AbandonedError,
    AuthenticationError,
    DrainingError,
    RequestTimeoutError,
    RequestTooLargeError,
)
from handler.exception_handlers import error_response
from handler.request_body import RequestBody
from handler.telemetry import request_record

_REFUSED_UNREAD = frozenset(
    {AuthenticationError.status_code, RequestTooLargeError.status_code, DrainingError.status_code}
)
"""Answers that go out before the body has been read."""


class RequestGuard:
    """Innermost layer around the app's routes."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        api_keys: Sequence[SecretStr],
        guarded: Sequence[str],
        max_body_bytes: int,
        drain: Drain,
    ) -> None:
        """Wrap ``app``.

        Args:
            app: What answers.
            api_keys: Keys that open what is guarded; none leaves it open.
            guarded: Paths that need a key, with everything below them; health checks answer without one.
            max_body_bytes: Longest body to read.
            drain: Once it has begun, what needs a key is refused, whether or not there are any.
        """
        self._app = app
        self._api_keys = [key.get_secret_value().encode() for key in api_keys]
        self._guarded = frozenset(guarded)
        self._below = tuple(f"{path}/" for path in guarded)
        self._max_body_bytes = max_body_bytes
        self._drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; raises for a client that went away, and nothing else."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        body = RequestBody(receive, limit=self._max_body_bytes)
        status = 0

        async def send_all(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = _status(message, headers, body)
            elif status in _REFUSED_UNREAD and "expect" not in headers and not message.get("more_body"):
                await send({**message, "more_body": True})
                await body.drain()
                message = {"type": "http.response.body"}
            await send(message)

        try:
            self._check(scope["path"], headers)
            await self._app(scope, body.receive, send_all)
        except (AbandonedError, ClientDisconnect):
            raise
        except CancelledError:
            # The process ends before the request does. To raise it again would be an error of the app to the server.
            if not status:
                # Not beyond the rest of the body, which may never come: there is no time left.
                await error_response(DrainingError(), request_id=request_record(scope).request_id)(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - the last line of defence: an answer for everything
            response = error_response(error, request_id=request_record(scope).request_id)
            if not status:
                await response(scope, receive, send_all)

    def _check(self, path: str, headers: Headers) -> None:
        """Refuse what needs no look at the body."""
        guarded = path in self._guarded or path.startswith(self._below)
        if self._api_keys and guarded:
            scheme, _, key = headers.get("authorization", "").partition(" ")
            # Every key is compared, and in constant time, so that the answer's delay tells nothing about them.
            given = key.strip(" \t").encode("latin-1")  # the header's own bytes, which ASGI decodes as Latin-1
            matches = [hmac.compare_digest(given, known) for known in self._api_keys]
            if scheme.lower() != "bearer" or not any(matches):
                raise AuthenticationError
        if self._drain.begun and guarded:
            raise DrainingError
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > self._max_body_bytes:
            raise RequestTooLargeError(limit=self._max_body_bytes)


def _status(message: Message, headers: Headers, body: RequestBody) -> int:
    """Return the status of an answer; one that refuses a body without an end closes the connection.

    Else what follows would be read and thrown away for as long as it comes.
    """
    status: int = message["status"]
    if status == RequestTimeoutError.status_code or (status in _REFUSED_UNREAD and not body.drains(headers)):
        MutableHeaders(scope=message)["connection"] = "close"
    return status
