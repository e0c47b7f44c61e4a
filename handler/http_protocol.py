"""uvicorn's HTTP protocol with a bound on the head of a request, and OpenAI's envelope for what is no HTTP."""

import json
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from handler.errors import InvalidRequestError
from handler.exception_handlers import error_body
from handler.telemetry import correlation_id

MAX_HEAD_BYTES = 65_536
"""Request line and headers together, as uvicorn's other parser allows them; httptools itself knows no bound."""


class EnvelopeProtocol(HttpToolsProtocol):
    """Parses requests; the app sees those that are HTTP."""

    _head_bytes = 0
    _in_head = True

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and refuse a head that does not end."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            message = f"Request line and headers are larger than {MAX_HEAD_BYTES} bytes."
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, message)

    def on_headers_complete(self) -> None:
        """Hand the request to the app; what follows is body."""
        self._in_head = False
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
