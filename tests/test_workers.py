"""The bounded pool: off the event loop, in the caller's context, refusing what is too much."""

import asyncio
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar

import pytest

from handler.errors import OverloadedError
from handler.workers import Workers

T = TypeVar("T")


async def _run(workers: Workers, function: Callable[[], T]) -> tuple[T, float]:
    with workers.place() as place:

        def call(waited_ms: float) -> tuple[T, float]:
            place.begin()
            return function(), waited_ms

        return await place.run(call)


WHO: ContextVar[str] = ContextVar("who", default="nobody")


async def test_work_runs_in_a_thread_with_the_callers_context() -> None:
    """Log lines of the work keep the request's id."""
    workers = Workers(2, max_queued=2)
    WHO.set("me")

    (who, thread), waited_ms = await _run(workers, lambda: (WHO.get(), threading.current_thread()))

    assert who == "me"
    assert thread is not threading.main_thread()
    assert waited_ms >= 0


async def test_an_error_reaches_the_caller() -> None:
    """And the place in the queue is free again."""
    workers = Workers(1, max_queued=1)
    for _ in range(5):
        with pytest.raises(ZeroDivisionError):
            await _run(workers, lambda: 1 // 0)


def _ended() -> None:
    raise StopIteration(5)


async def test_an_end_of_iteration_is_an_error_like_any_other() -> None:
    """A coroutine cannot be given it, and would wait for ever."""
    with pytest.raises(RuntimeError, match="StopIteration of 5"):
        await asyncio.wait_for(_run(Workers(1, max_queued=1), _ended), 10)


async def test_too_much_is_refused_and_the_loop_stays_free() -> None:
    """One runs, two wait, the fourth is refused at once; when they are done there is room again."""
    workers = Workers(1, max_queued=2)
    release = threading.Event()
    accepted = [asyncio.create_task(_run(workers, lambda: release.wait(10))) for _ in range(3)]
    await asyncio.sleep(0.01)

    with pytest.raises(OverloadedError) as caught:
        await _run(workers, lambda: None)
    release.set()

    assert caught.value.headers["Retry-After"] == "1"
    assert [result for result, _ in await asyncio.gather(*accepted)] == [True] * 3
    assert (await _run(workers, lambda: "room"))[0] == "room"


async def test_what_is_decoded_together_does_not_wait() -> None:
    """Only those that do are counted against the limit, however many get on beside each other."""
    workers = Workers(1, max_queued=1, threads=4)
    release = threading.Event()
    begun = []
    for _ in range(4):
        begun.append(asyncio.create_task(_run(workers, lambda: release.wait(10))))
        async with asyncio.timeout(10):
            while workers.waiting or len(begun) > workers._taken:  # noqa: ASYNC110, SLF001 - nothing else tells it
                await asyncio.sleep(0.001)

    with workers.place():
        assert workers.waiting == 1
        with pytest.raises(OverloadedError, match="1 requests are waiting already"), workers.place():
            pass
    release.set()
    assert [result for result, _ in await asyncio.gather(*begun)] == [True] * 4


async def test_a_cancelled_caller_gives_up_its_place() -> None:
    """Somebody who went away does not hold the queue."""
    workers = Workers(1, max_queued=1)
    release = threading.Event()
    running = asyncio.create_task(_run(workers, lambda: release.wait(10)))
    waiting = asyncio.create_task(_run(workers, lambda: "never"))
    await asyncio.sleep(0.01)

    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    successor = asyncio.create_task(_run(workers, lambda: "ran"))
    await asyncio.sleep(0.01)
    release.set()

    assert (await successor)[0] == "ran"
    await running


async def test_who_waits_for_something_else_holds_a_place() -> None:
    """Requests for a model that is still loading are counted like those that wait for a thread."""
    workers = Workers(1, max_queued=1)
    with workers.place(), workers.place(), pytest.raises(OverloadedError), workers.place():
        pass
    with workers.place():
        pass


async def test_what_waits_is_told() -> None:
    """Who holds a place, until its call gets on or it gives up."""
    workers = Workers(1, max_queued=3)
    release = threading.Event()
    running = asyncio.create_task(_run(workers, lambda: release.wait(10)))
    queued = [asyncio.create_task(_run(workers, lambda: None)) for _ in range(2)]
    await asyncio.sleep(0.01)

    with workers.place():
        assert workers.waiting == 3
    assert workers.waiting == 2
    queued[0].cancel()
    await asyncio.gather(queued[0], return_exceptions=True)
    assert workers.waiting == 1
    release.set()
    await asyncio.gather(running, queued[1])
    assert workers.waiting == 0


async def test_a_call_that_goes_on_without_its_caller_does_not_wait() -> None:
    """It holds its place until it ends, but it has got on."""
    workers = Workers(1, max_queued=0)
    release = threading.Event()
    running = asyncio.create_task(_run(workers, lambda: release.wait(10)))
    await asyncio.sleep(0.01)

    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert workers.waiting == 0
    with pytest.raises(OverloadedError), workers.place():
        pass
    release.set()
    await asyncio.sleep(0.05)
    with workers.place():
        assert workers.waiting == 1
    assert workers.waiting == 0
