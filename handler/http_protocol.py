"""uvicorn's HTTP protocol with one change: what is no HTTP is refused in OpenAI's envelope, as all else is."""

import json

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from handler.errors import InvalidRequestError
from handler.exception_handlers import error_body
from handler.telemetry import correlation_id


class EnvelopeProtocol(HttpToolsProtocol):
    """Parses requests; the app sees those that are HTTP."""

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that could not be parsed, and close the connection: where the next request begins is unknown."""
        body = json.dumps(error_body(msg, type=InvalidRequestError.type, param=None, code=None)).encode()
        request_id = correlation_id({})
        head = (
            "HTTP/1.1 400 Bad Request\r\n"
            "content-type: application/json\r\n"
            f"content-length: {len(body)}\r\n"
            f"x-request-id: {request_id}\r\n"
            f"x-correlation-id: {request_id}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()
