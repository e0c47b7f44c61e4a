"""A bounded thread pool: blocking work leaves the event loop, and too much of it is refused."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from threading import Lock
from time import perf_counter
from typing import TypeVar

from handler.errors import OverloadedError

T = TypeVar("T")


class Workers:
    """Runs calls in threads, at most ``max_queued`` of them waiting for a free one."""

    def __init__(self, threads: int, *, max_queued: int) -> None:
        """Make the pool; its threads start with the first calls.

        Args:
            threads: Calls that run at the same time.
            max_queued: Calls that may wait; the next one is refused.
        """
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="worker")
        self._threads = threads
        self._max_queued = max_queued
        self._pending = 0
        self._lock = Lock()

    async def run(self, function: Callable[[], T]) -> tuple[T, float]:
        """Return what ``function`` returns, and the milliseconds it waited for a thread.

        The context of the caller goes along, so that log lines keep their correlation id. A cancelled call gives up its
        place in the queue.

        Raises:
            OverloadedError: Too many calls wait already.
        """
        with self._lock:
            if self._pending >= self._threads + self._max_queued:
                raise OverloadedError(limit=self._max_queued)
            self._pending += 1
        submitted = perf_counter()

        def call() -> tuple[T, float]:
            waited_ms = (perf_counter() - submitted) * 1e3
            return function(), waited_ms

        future = self._pool.submit(copy_context().run, call)
        future.add_done_callback(self._release)
        return await asyncio.wrap_future(future)

    def _release(self, _: object) -> None:
        with self._lock:
            self._pending -= 1
