"""A bounded thread pool: blocking work leaves the event loop, and too much of it is refused."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from threading import Lock
from time import perf_counter
from typing import TypeVar

from handler.errors import OverloadedError

T = TypeVar("T")


class Workers:
    """Threads for blocking calls. A call needs a place first, and there are only so many."""

    def __init__(self, threads: int, *, max_queued: int) -> None:
        """Make the pool; its threads start with the first calls.

        Args:
            threads: Calls that run at the same time.
            max_queued: Places beyond those; who comes when all are taken is refused.
        """
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="worker")
        self._places = threads + max_queued
        self._max_queued = max_queued
        self._taken = 0
        self._lock = Lock()

    @contextmanager
    def place(self) -> "Iterator[Place]":
        """Hold a place until the block ends, whatever it waits for besides a thread: a model that loads, say.

        Raises:
            OverloadedError: All places are taken.
        """
        with self._lock:
            if self._taken >= self._places:
                raise OverloadedError(limit=self._max_queued)
            self._taken += 1
        try:
            yield Place(self._pool)
        finally:
            with self._lock:
                self._taken -= 1


@dataclass(frozen=True, slots=True)
class Place:
    """The right to run one call."""

    _pool: ThreadPoolExecutor

    async def run(self, function: Callable[[float], T]) -> T:
        """Return what ``function`` returns; it gets the milliseconds it waited for a thread.

        The context of the caller goes along, so that log lines keep their correlation id. A cancelled call that no
        thread has taken up yet never runs.
        """
        submitted = perf_counter()

        def call() -> T:
            return function((perf_counter() - submitted) * 1e3)

        return await asyncio.wrap_future(self._pool.submit(copy_context().run, call))
