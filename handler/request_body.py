"""The body of a request as it arrives: counted, bounded, and read to its end for a client that was refused early."""

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.types import Message, Receive

from handler.errors import RequestTooLargeError

_DRAIN_BYTES = 16 * 1_048_576
_DRAIN_S = 5.0
"""A client that sends its whole body before it reads would find the connection reset instead of the refusal: so much of
the body is read and thrown away, for so long."""


class RequestBody:
    """Stands between a server and an app; ``receive`` is what the app calls."""

    def __init__(self, receive: Receive, *, limit: int) -> None:
        """Count what ``receive`` brings, and refuse more than ``limit`` bytes."""
        self._receive = receive
        self._limit = limit
        self._received = 0
        self._ended = False

    async def receive(self) -> Message:
        """Return the next message of the server.

        Raises:
            RequestTooLargeError: The body is too long: a chunked one does not say how long it is, and a header may lie.
        """
        message = await self._next()
        if self._received > self._limit:
            raise RequestTooLargeError(limit=self._limit)
        return message

    def drains(self, headers: Headers) -> bool:
        """Return whether the body will have been read to its end, or has none, once it is drained."""
        length = headers.get("content-length", "0")
        said = length.isdecimal() and int(length[:20]) <= _DRAIN_BYTES
        return self._ended or (said and "transfer-encoding" not in headers and "expect" not in headers)

    async def drain(self) -> None:
        """Read the rest of the body, within bounds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                while not self._ended and self._received < _DRAIN_BYTES:
                    await self._next()

    async def _next(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body", b""))
        self._ended = not message.get("more_body", False)
        return message
