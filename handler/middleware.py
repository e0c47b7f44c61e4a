"""What happens to every request whatever its path: its id, its limits, its log line, and no failure without an answer.

Plain ASGI: a ``BaseHTTPMiddleware`` would run each request in a task of its own and buffer streams.
"""

import hmac
from collections.abc import Sequence
from time import perf_counter
from typing import Any

from pydantic import SecretStr
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handler.errors import AbandonedError, AuthenticationError, RequestTooLargeError
from handler.exception_handlers import error_response
from handler.request_body import RequestBody
from handler.telemetry import ColdStart, RequestRecord, begin_record, correlation_id, logger

GUARDED_PATH = "/v1"
"""Paths that need an API key; health checks answer without one."""

_REFUSED_UNREAD = frozenset({AuthenticationError.status_code, RequestTooLargeError.status_code})
"""Answers that go out before the body has been read."""

_PATH_CHARS = 200
"""How much of a path a log line repeats."""


class RequestMiddleware:
    """Outermost layer around the app's routes."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        api_keys: Sequence[SecretStr],
        max_body_bytes: int,
        cold_start: ColdStart,
    ) -> None:
        """Wrap ``app``.

        Args:
            app: What answers.
            api_keys: Keys that open ``/v1``; none leaves it open.
            max_body_bytes: Longest body to read.
            cold_start: What the first answer tells about the start of the process.
        """
        self._app = app
        self._api_keys = [key.get_secret_value().encode() for key in api_keys]
        self._max_body_bytes = max_body_bytes
        self._cold_start = cold_start

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; never raises for HTTP."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = perf_counter()
        headers = Headers(scope=scope)
        request_id = correlation_id(headers, gateway_request_id=_gateway_request_id(scope))
        record = begin_record(scope, request_id)
        body = RequestBody(receive, limit=self._max_body_bytes)
        status = 0

        async def send_with_ids(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                record.timings_ms["total"] = (perf_counter() - start) * 1e3
                record.timings_ms |= self._cold_start.take()
                answer = MutableHeaders(scope=message)
                answer["x-request-id"] = answer["x-correlation-id"] = request_id
                answer["server-timing"] = record.server_timing()
            elif status in _REFUSED_UNREAD and "expect" not in headers and not message.get("more_body"):
                await send({**message, "more_body": True})
                await body.drain()
                message = {"type": "http.response.body"}
            await send(message)

        try:
            self._check(scope, headers)
            await self._app(scope, body.receive, send_with_ids)
        except (AbandonedError, ClientDisconnect):
            status = AbandonedError.status_code
        except Exception as error:  # noqa: BLE001 - the last line of defence: an answer and a log line for everything
            response = error_response(error, request_id=request_id)
            if not status:
                await response(scope, receive, send_with_ids)
        finally:
            status = AbandonedError.status_code if record.abandoned else status
            _log(scope, status, record, (perf_counter() - start) * 1e3)

    def _check(self, scope: Scope, headers: Headers) -> None:
        """Refuse what needs no look at the body."""
        path = scope["path"]
        if self._api_keys and (path == GUARDED_PATH or path.startswith(f"{GUARDED_PATH}/")):
            scheme, _, key = headers.get("authorization", "").partition(" ")
            # Every key is compared, and in constant time, so that the answer's delay tells nothing about them.
            given = key.strip(" \t").encode("latin-1")  # the header's own bytes, which ASGI decodes as Latin-1
            matches = [hmac.compare_digest(given, known) for known in self._api_keys]
            if scheme.lower() != "bearer" or not any(matches):
                raise AuthenticationError
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > self._max_body_bytes:
            raise RequestTooLargeError(limit=self._max_body_bytes)


def _gateway_request_id(scope: Scope) -> object:
    """Return API Gateway's id, which Mangum passes on with the event."""
    event = scope.get("aws.event")
    context: Any = event.get("requestContext") if isinstance(event, dict) else None
    return context.get("requestId") if isinstance(context, dict) else None


def _log(scope: Scope, status: int, record: RequestRecord, total_ms: float) -> None:
    timings = {f"{phase}_ms": round(ms, 1) for phase, ms in record.timings_ms.items() if phase != "total"}
    fields = {
        "method": scope["method"],
        "path": scope["path"][:_PATH_CHARS],
        "status": status,
        **record.fields,
        **timings,
        "total_ms": round(total_ms, 1),
    }
    logger.info("request", extra=fields)
