"""What happens to every request whatever becomes of it: its id, its timings and its log line.

Plain ASGI: a ``BaseHTTPMiddleware`` would run each request in a task of its own and buffer streams.
"""

from collections.abc import Callable
from time import perf_counter
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handler.drain import Drain
from handler.errors import AbandonedError
from handler.measurements import Measurements
from handler.telemetry import ColdStart, RequestRecord, begin_record, correlation_id, logger, trace_id

_PATH_CHARS = 200
"""How much of a path a log line repeats."""


def sent_trace_id(headers: Headers) -> str | None:
    """Return the trace that the header ``traceparent`` names."""
    return trace_id(headers.getlist("traceparent"))


class RequestMiddleware:
    """Outermost layer: what is inside it answers, failures included."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        cold_start: ColdStart,
        measurements: Measurements,
        drain: Drain,
        find_trace_id: Callable[[Headers], str | None],
    ) -> None:
        """Wrap ``app``.

        Args:
            app: What answers.
            cold_start: What the first answer tells about the start of the process.
            measurements: Gets the figures of each request.
            drain: Once it has begun, connections are closed with their next answer.
            find_trace_id: Tells the trace that a request is part of, for the log.
        """
        self._app = app
        self._drain = drain
        self._cold_start = cold_start
        self._measurements = measurements
        self._find_trace_id = find_trace_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = perf_counter()
        headers = Headers(scope=scope)
        request_id = correlation_id(headers, gateway_request_id=_gateway_request_id(scope))
        record = begin_record(scope, request_id, trace_id=self._find_trace_id(headers))
        status = 0
        self._measurements.began()

        async def send_with_ids(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                record.timings_ms["total"] = (perf_counter() - start) * 1e3
                record.timings_ms |= self._cold_start.take()
                answer = MutableHeaders(scope=message)
                answer["x-request-id"] = answer["x-correlation-id"] = request_id
                answer["server-timing"] = record.server_timing()
                if self._drain.begun:
                    answer["connection"] = "close"
            await send(message)

        try:
            await self._app(scope, receive, send_with_ids)
        except (AbandonedError, ClientDisconnect):
            status = AbandonedError.status_code
        finally:
            status = AbandonedError.status_code if record.abandoned else status
            seconds = perf_counter() - start
            self._measurements.ended(record, status=status, seconds=seconds)
            _log(scope, status, record, seconds * 1e3)


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
