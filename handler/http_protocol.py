"""uvicorn's HTTP protocol with a bound on the head of a request, and OpenAI's envelope for what is no HTTP."""

import json
from asyncio import BaseTransport, TimerHandle
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from handler.errors import InvalidRequestError
from handler.exception_handlers import error_body
from handler.telemetry import correlation_id

MAX_HEAD_BYTES = 65_536
"""Request line and headers together, as uvicorn's other parser allows them; httptools itself knows no bound."""

MAX_HEAD_S = 30.0
"""Seconds that they may take from their first byte on; what follows has the time of a request."""


class EnvelopeProtocol(HttpToolsProtocol):
    """Parses requests; the app sees those that are HTTP.

    While no request runs on a connection a timer does: uvicorn's while nothing comes, and from the first byte on one
    that further bytes do not renew.
    """

    _head_bytes = 0
    _in_head = True
    """Whether what comes next is head."""
    _head_begun = False
    _head_timer: TimerHandle | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        """Wait for the first request as long as for a further one."""
        super().connection_made(transport)  # type: ignore[arg-type] # as of a TCP connection
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._end_head()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and refuse a head that does not end."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            message = f"Request line and headers are larger than {MAX_HEAD_BYTES} bytes."
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, message)
        elif self._head_timer is None and not self._busy:
            self._head_timer = self.loop.call_later(MAX_HEAD_S, self._end_late)

    @property
    def _busy(self) -> bool:
        """Whether a request on this connection is not answered yet."""
        return self.cycle is not None and not self.cycle.response_complete

    def _end_late(self) -> None:
        """Close a connection of which no request has come for too long; whoever has begun one is told why."""
        if self.transport.is_closing():
            return
        if self._head_begun:
            message = f"Request line and headers did not come within {MAX_HEAD_S:.0f} seconds."
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, message)
        else:
            self.transport.close()

    def _end_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def on_message_begin(self) -> None:
        """Take the first byte of a request."""
        self._head_begun = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Hand the request to the app; what follows is body."""
        self._in_head = self._head_begun = False
        self._end_head()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Expect the next request on this connection."""
        super().on_message_complete()
        self._in_head = True
        self._head_bytes = 0

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that could not be parsed."""
        self._refuse(HTTPStatus.BAD_REQUEST, msg)

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        """Answer without the app and close the connection: where the next request begins is unknown."""
        if self._in_head and self._busy:
            # It would come into the middle of an answer, which is the last one instead.
            self.cycle.keep_alive = False
            return
        body = json.dumps(error_body(message, type=InvalidRequestError.type, param=None, code=None)).encode()
        request_id = correlation_id({})
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            "content-type: application/json\r\n"
            f"content-length: {len(body)}\r\n"
            f"x-request-id: {request_id}\r\n"
            f"x-correlation-id: {request_id}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()
