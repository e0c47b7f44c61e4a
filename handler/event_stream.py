"""Server-sent events: an answer that is sent while it is made (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from handler.errors import AbandonedError, TimeLimitError
from handler.telemetry import request_record

T = TypeVar("T")

DONE = b"data: [DONE]\n\n"


_GRACE_S = 1.0
"""Beyond the time of a request, for the event that says it is over."""

_LINE_BREAKS = {ord(mark): f"\\u{ord(mark):04x}" for mark in "\x85\u2028\u2029"}
"""What JSON may hold as it is, and readers of lines take for their end."""


def event(data: object) -> bytes:
    """Return ``data`` as an event, which a line break would end."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).translate(_LINE_BREAKS)
    return b"data: " + text.encode() + b"\n\n"


class EventStream(Response):
    """Sends events as they come. A client that goes away ends it, and so does its end."""

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncGenerator[bytes, None],
        *,
        farewell: Callable[[], bytes],
        on_end: Callable[[], object],
        limit_s: float,
    ) -> None:
        """Send events.

        Args:
            events: What is sent.
            farewell: What is sent if the process ends before the stream does.
            on_end: Called when no more is sent, for whatever reason.
            limit_s: Seconds that a client may take to read all of it.
        """
        super().__init__(headers={"cache-control": "no-cache", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._events = events
        self._farewell = farewell
        self._begun = False
        self._on_end = on_end
        self._limit_s = limit_s + _GRACE_S

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer, as far as somebody listens."""
        try:
            await unless_abandoned(self._send_all(send), receive, limit_s=self._limit_s)
        except (AbandonedError, TimeLimitError):
            # An answer has begun, so this is for the log alone.
            request_record(scope).abandoned = True
        except asyncio.CancelledError:
            if self._begun:
                await send({"type": "http.response.body", "body": self._farewell()})
            raise
        finally:
            self._on_end()

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        self._begun = True
        async with aclosing(self._events) as events:
            async for data in events:
                await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def unless_abandoned(work: Coroutine[Any, Any, T], receive: Receive | None, *, limit_s: float | None = None) -> T:
    """Return what ``work`` returns, or cancel it when the client goes away or the time is up.

    Args:
        work: What takes time.
        receive: Of the request whose body has been read; nothing where no server tells that a client has gone.
        limit_s: How long it may take.

    Raises:
        AbandonedError: The client went away first.
        TimeLimitError: ``limit_s`` seconds have passed.
    """
    if receive is None:
        return await _within(work, limit_s)
    # In this very task: the work in one of its own would be two turns of the event loop further away.
    task, gone = asyncio.current_task(), False
    leaving = asyncio.ensure_future(_disconnected(receive))

    def leave(_: asyncio.Future[None]) -> None:
        nonlocal gone
        gone = task is not None and task.cancel()

    leaving.add_done_callback(leave)
    try:
        return await _within(work, limit_s)
    except asyncio.CancelledError:
        if gone and task is not None and not task.uncancel():
            raise AbandonedError from None
        raise
    finally:
        leaving.remove_done_callback(leave)
        leaving.cancel()


async def _within(work: Coroutine[Any, Any, T], limit_s: float | None) -> T:
    try:
        async with asyncio.timeout(limit_s) as limit:
            return await work
    except TimeoutError:
        if limit.expired():
            raise TimeLimitError from None
        raise


async def _disconnected(receive: Receive) -> None:
    # The body has been read, so what comes is the end of the connection.
    while (await receive())["type"] != "http.disconnect":
        pass
