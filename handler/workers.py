"""A bounded thread pool: blocking work leaves the event loop, and too much of it is refused."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from threading import Lock
from time import perf_counter
from typing import Any, TypeVar

from handler.errors import OverloadedError

T = TypeVar("T")


class Workers:
    """Threads for blocking calls. A call needs a place first, and there are only so many."""

    def __init__(self, running: int, *, max_queued: int, threads: int = 0) -> None:
        """Make the pool; its threads start with the first calls.

        Args:
            running: Calls that get on at the same time.
            max_queued: Places beyond those; who comes when all are taken is refused.
            threads: For calls that are begun and wait for one another besides; at least as many as ``running``.
        """
        self._places = running + max_queued
        self._pool = ThreadPoolExecutor(max(running, min(threads, self._places)), thread_name_prefix="worker")
        self._max_queued = max_queued
        self._taken = 0
        self._lock = Lock()

    @contextmanager
    def place(self) -> "Iterator[Place]":
        """Hold a place until the block ends and no thread is busy with it, whatever it waits for besides a thread.

        Raises:
            OverloadedError: All places are taken.
        """
        with self._lock:
            if self._taken >= self._places:
                raise OverloadedError(limit=self._max_queued)
            self._taken += 1
        place = Place(self._pool)
        try:
            yield place
        finally:
            place.when_idle(self._release)

    def _release(self) -> None:
        with self._lock:
            self._taken -= 1


class Place:
    """The right to run one call."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        """Run it in ``pool``."""
        self._pool = pool
        self._call: Future[Any] | None = None

    async def run(self, function: Callable[[float], T]) -> T:
        """Return what ``function`` returns; it gets the milliseconds it waited for a thread.

        The context of the caller goes along, so that log lines keep their correlation id. A cancelled call that no
        thread has taken up yet never runs.
        """
        submitted = perf_counter()

        def call() -> T:
            return function((perf_counter() - submitted) * 1e3)

        self._call = future = self._pool.submit(copy_context().run, call)
        return await asyncio.wrap_future(future)

    def when_idle(self, release: Callable[[], None]) -> None:
        """Call ``release`` once no thread runs the call, which goes on when its caller is cancelled."""
        if self._call is None:
            release()
        else:
            self._call.add_done_callback(lambda _: release())
