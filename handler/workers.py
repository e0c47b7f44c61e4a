"""A bounded thread pool: blocking work leaves the event loop, and too much of it is refused."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from functools import partial
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
            running: Calls that get on at the same time, whatever they do.
            max_queued: Calls that may wait beyond those; who comes when so many do is refused.
            threads: For calls that get on together besides; at least as many as ``running``.
        """
        self._running = running
        self._pool = ThreadPoolExecutor(max(running, threads), thread_name_prefix="worker")
        self._max_queued = max_queued
        self._taken = 0
        self._waiting = 0
        self._lock = Lock()

    @property
    def waiting(self) -> int:
        """Places whose call waits, or a part of it: for a thread, the engine or their model."""
        return self._waiting

    @contextmanager
    def place(self) -> "Iterator[Place]":
        """Hold a place until the block ends and no thread is busy with it, whatever it waits for besides a thread.

        Raises:
            OverloadedError: Too many wait already.
        """
        with self._lock:
            free = max(0, self._running - (self._taken - self._waiting))
            if self._waiting >= self._max_queued + free:
                raise OverloadedError(limit=self._max_queued)
            self._taken += 1
            self._waiting += 1
        place = Place(self._pool, on_begin=self._begin)
        try:
            yield place
        finally:
            place.when_idle(partial(self._release, place))

    def _begin(self) -> None:
        with self._lock:
            self._waiting -= 1

    def _release(self, place: "Place") -> None:
        place.begin()
        with self._lock:
            self._taken -= 1


class Place:
    """The right to run one call."""

    def __init__(self, pool: ThreadPoolExecutor, *, on_begin: Callable[[], None]) -> None:
        """Run it in ``pool``; ``on_begin`` is called once it has got on."""
        self._pool = pool
        self._on_begin: Callable[[], None] | None = on_begin
        self._call: Future[Any] | None = None

    def begin(self) -> None:
        """Say that nothing of the call waits for its turn, from any thread; at the latest it is said at its end."""
        on_begin, self._on_begin = self._on_begin, None
        if on_begin is not None:
            on_begin()

    async def run(self, function: Callable[[float], T]) -> T:
        """Return what ``function`` returns; it gets the milliseconds it waited for a thread.

        The context of the caller goes along, so that log lines keep their correlation id. A cancelled call that no
        thread has taken up yet never runs.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        submitted = perf_counter()

        def call() -> T:
            return function((perf_counter() - submitted) * 1e3)

        def wake(call: Future[T]) -> None:
            # Nobody waits any more where the loop is closed.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle, answer, call)

        # The loop is woken once; asyncio.wrap_future would do it twice.
        self._call = future = self._pool.submit(copy_context().run, call)
        future.add_done_callback(wake)
        try:
            return await answer
        finally:
            future.cancel()

    def when_idle(self, release: Callable[[], None]) -> None:
        """Call ``release`` once no thread runs the call, which goes on when its caller is cancelled."""
        if self._call is None:
            release()
        else:
            self._call.add_done_callback(lambda _: release())


def _settle(answer: "asyncio.Future[T]", call: Future[T]) -> None:
    """Give ``answer`` what came of ``call``."""
    if answer.done() or call.cancelled():
        return
    error = call.exception()
    if isinstance(error, StopIteration):
        # A future refuses it: to the coroutine that waits it would mean that it has come to its end.
        error = RuntimeError(f"StopIteration of {error.value!r}")
    if error is None:
        answer.set_result(call.result())
    else:
        answer.set_exception(error)
