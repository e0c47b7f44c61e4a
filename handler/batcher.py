"""Sentences of several requests through one engine together: where the throughput of a host comes from.

Decoding 32 sentences at once takes not four times as long as decoding one. While the engine is busy requests gather;
as soon as it is idle the next batch begins, and a request that finds it idle waits for nothing.
"""

import atexit
from collections.abc import Callable, Sequence
from threading import Condition, Thread
from time import perf_counter
from weakref import WeakSet

from handler.batches import Budget, next_batch
from handler.errors import EngineError
from handler.steps import wait_for_ctranslate2
from handler.tasks import Sentence, Task

Decode = Callable[[Sequence[Sentence]], None]
"""Decodes a batch and tells each sentence what came of it; raises ``EngineError``."""

OnBatch = Callable[[Sequence[Sentence]], None]


def nothing(_: Sequence[Sentence]) -> None:
    """Take note of nothing."""


_GATHER_PAUSE = (0.005, 0.01)
"""Longest wait for the next of those that the last batch has answered, whose clients are about to ask again: seconds,
or the share of what that batch took where this is more."""
_GATHER = (0.1, 0.1)
"""Longest wait for all of them."""
_BROKEN_AT = 3
"""Sentences that fail one after the other, each by itself: a device that has lost its state fails all that follow."""


class Careful:
    """Decodes a batch, and where that fails each of its sentences by itself: one is not to fail the others."""

    def __init__(self, decode: Decode, device: str) -> None:
        """Decode with ``decode`` on a device, ``cpu`` or ``cuda``."""
        self._decode = decode
        self._failures = 0
        """Single sentences that have failed, less the batches decoded since: one device does not hide another's."""
        self.budget = Budget(device)

    @property
    def broken(self) -> bool:
        """Whether so much has failed that a new process may be needed."""
        return self._failures >= _BROKEN_AT

    def forget_failures(self) -> None:
        """Begin to count anew."""
        self._failures = 0

    def decode(self, batch: Sequence[Sentence]) -> None:
        """Decode ``batch`` and tell each sentence what came of it, be it an error."""
        start = perf_counter()
        try:
            self._decode(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not end the thread that decodes
            self.budget.shrink()
            if len(batch) == 1:
                self._failures += 1
                batch[0].task.fail(error)
                return
        else:
            self._failures = max(0, self._failures - 1)
            if all(sentence.finished for sentence in batch):
                self.budget.learn(batch, perf_counter() - start)
            return
        for sentence in batch:
            if sentence.task.over or sentence.finished:
                continue
            if sentence.told and sentence.task.live:
                # Somebody has seen it, and it need not come out the same again.
                sentence.task.fail(EngineError())
                continue
            sentence.restart()
            self.decode([sentence])


class Unbatched:
    """Decodes the sentences of each request by themselves, in the caller's thread."""

    def __init__(self, careful: Careful) -> None:
        """Decode with ``careful``."""
        self._careful = careful

    def run(self, task: Task) -> None:
        """Decode all of ``task``.

        Raises:
            AbandonedError: Nobody waits for it any more.
            EngineError: CTranslate2 failed.
        """
        while task.next is not None and not task.over:
            self._careful.decode(next_batch([task], self._careful.budget.tokens))
        task.wait()

    def close(self) -> None:
        """Do nothing: it has no threads."""

    def join(self) -> None:
        """Do nothing, as above."""


class Batcher:
    """Decodes sentences of many requests together. Thread-safe.

    A request that finds the engine idle decodes in its own thread: to hand it over and be woken again would only take
    time. What comes meanwhile waits, and threads of the batcher, as many as the engine has replicas, take it together.
    """

    def __init__(self, careful: Careful, *, replicas: int, on_batch: OnBatch) -> None:
        """Start the threads.

        Args:
            careful: Decodes; called by several threads at once.
            replicas: Batches that the engine decodes at the same time.
            on_batch: Is told of each batch before it is decoded.
        """
        self._careful = careful
        self._on_batch = on_batch
        self._changed = Condition()
        self._tasks: list[Task] = []
        """Those with sentences that wait, in the order of their turns."""
        self._arrived_s = 0.0
        self._idle = replicas
        """Replicas that nobody decodes with or gathers for."""
        self._leading = 0
        """Requests that decode in their own threads."""
        self._closed = False
        self._threads = [
            Thread(target=self._serve, name=f"batches-{number}", daemon=True) for number in range(replicas)
        ]
        for thread in self._threads:
            thread.start()
        _open.add(self)

    def run(self, task: Task) -> None:
        """Decode all of ``task``, its sentences beside those of others.

        Raises:
            AbandonedError: Nobody waits for it any more.
            EngineError: CTranslate2 failed.
        """
        if task.next is not None and not task.over and self._leads(task):
            try:
                self._decode(next_batch([task], self._careful.budget.tokens))
            finally:
                self._follow(task)
        task.wait()

    def close(self) -> None:
        """End the threads, each after the batch under way; what waits is not decoded."""
        with self._changed:
            self._closed = True
            tasks, self._tasks = self._tasks, []
            self._changed.notify_all()
        for task in tasks:
            task.fail(EngineError())

    def join(self) -> None:
        """Wait until a closed batcher decodes nothing any more."""
        for thread in self._threads:
            thread.join()
        with self._changed:
            self._changed.wait_for(lambda: not self._leading)

    def _leads(self, task: Task) -> bool:
        """Tell whether the engine is idle and now the caller's; else ``task`` waits for its turn."""
        with self._changed:
            if self._closed:
                raise EngineError
            if not self._idle or self._tasks:
                self._queue(task)
                return False
            self._idle -= 1
            self._leading += 1
            return True

    def _follow(self, task: Task) -> None:
        """Leave the engine to others; what is left of ``task`` waits for its turn."""
        with self._changed:
            self._idle += 1
            self._leading -= 1
            self._changed.notify_all()
            if task.next is None or task.over:
                return
            if self._closed:
                task.fail(EngineError())
            else:
                self._queue(task)

    def _queue(self, task: Task) -> None:
        self._tasks.append(task)
        self._arrived_s = perf_counter()
        self._changed.notify_all()

    def _decode(self, batch: Sequence[Sentence]) -> None:
        try:
            self._on_batch(batch)
            self._careful.decode(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, a replica is not to be lost with it
            for sentence in batch:
                sentence.task.fail(error)

    def _serve(self) -> None:
        while batch := self._next():
            while batch:
                start = perf_counter()
                self._decode(batch)
                batch = self._gather(batch, perf_counter() - start)

    def _next(self) -> list[Sentence]:
        """Wait for a batch and an idle replica; there is none once this is closed."""
        with self._changed:
            while not self._closed:
                if self._idle and self._waiting():
                    self._idle -= 1
                    return self._take()
                self._changed.wait()
        return []

    def _gather(self, last: Sequence[Sentence], took_s: float) -> list[Sentence]:
        """Return the batch after ``last``, or leave the replica to others.

        Who was answered together is about to ask again together. Who comes first would otherwise be decoded alone, and
        the others wait for that.

        Args:
            last: The batch just decoded.
            took_s: Seconds it took.
        """
        start = perf_counter()
        pause_s, end_s = (max(least, share * took_s) for least, share in (_GATHER_PAUSE, _GATHER))
        search = last[0].task.search
        answered = {sentence.task: ended_s for sentence in last if (ended_s := sentence.task.ended_s) is not None}
        first_s = min(answered.values(), default=start)
        expected = 0
        with self._changed:
            # Who comes finds an idle replica faster than this one; who wants another search does not wait for these.
            while not self._closed and not self._idle and all(task.search == search for task in self._waiting()[:1]):
                mates = [task for task in self._tasks if task.search == search]
                if len(answered) > 1 and not expected:
                    back = sum(task.begun_s >= first_s for task in mates)
                    expected = len(mates) + max(0, len(answered) - back)
                full = sum(task.waiting_tokens for task in mates) >= self._careful.budget.tokens
                left = min(max(self._arrived_s, start) + pause_s, start + end_s) - perf_counter()
                if full or len(mates) >= expected or left <= 0:
                    break
                self._changed.wait(left)
            if self._closed or not self._waiting():
                self._idle += 1
                self._changed.notify_all()
                return []
            return self._take()

    def _waiting(self) -> list[Task]:
        self._tasks = [task for task in self._tasks if not task.over]
        return self._tasks

    def _take(self) -> list[Sentence]:
        batch = next_batch(self._tasks, self._careful.budget.tokens)
        served = {sentence.task for sentence in batch}
        # Who was served comes after those who were not.
        self._tasks.sort(key=lambda task: task in served)
        self._tasks = [task for task in self._tasks if task.next is not None]
        if self._tasks:
            self._changed.notify_all()
        return batch


_open: "WeakSet[Batcher]" = WeakSet()


@atexit.register
def _end() -> None:
    """Let no thread ask for Python's lock once the interpreter ends: it would abort the process."""
    batchers = list(_open)
    for batcher in batchers:
        batcher.close()
    for batcher in batchers:
        batcher.join()
    wait_for_ctranslate2()
