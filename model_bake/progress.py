"""Progress for people: a bar with size and speed on a terminal, one line a step elsewhere, nothing when quiet."""

import io
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from tqdm import tqdm

from handler.sizes import format_size

Advance = Callable[[int], object]
"""Says that so many more bytes or sentences are done; may be called from any thread."""

POLL_S = 0.1


class Progress:
    """Shows what a bake is doing."""

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        """Write to ``stream``, by default standard error; ``quiet`` writes nothing."""
        self._stream = stream or sys.stderr or io.StringIO()  # closed by whoever started this process
        self._quiet = quiet

    def say(self, line: str) -> None:
        """Write one line."""
        if not self._quiet:
            print(line, file=self._stream, flush=True)

    def warn(self, line: str) -> None:
        """Write one line, when quiet too."""
        print(f"warning: {line}", file=self._stream, flush=True)

    @contextmanager
    def step(self, name: str, total: int, *, unit: str = "B", done: int = 0) -> Iterator[Advance]:
        """Show one step while the block runs.

        Args:
            name: What is being done: ``download``, ``convert``.
            total: How much there is to do; 0 where nobody knows.
            unit: ``B`` for bytes, else the plural of what is counted.
            done: How much of it an earlier run has done.
        """
        terminal = self._stream.isatty() and not self._quiet
        start = time.monotonic()
        with tqdm(
            desc=f"{name:<9}",
            total=total or None,
            initial=done,
            unit=unit if unit == "B" else f" {unit}",
            unit_scale=unit == "B",
            file=self._stream,
            disable=not terminal,
            dynamic_ncols=True,
            mininterval=POLL_S,
        ) as bar:
            lock = threading.Lock()
            counted = done

            def advance(amount: int) -> None:
                nonlocal counted
                with lock:
                    counted += amount
                    bar.update(amount)

            yield advance
        if not terminal:
            self.say(_summary(name, counted, counted - done, unit, time.monotonic() - start))

    @contextmanager
    def watch(self, name: str, total: int, measure: Callable[[], int], *, unit: str = "B") -> Iterator[None]:
        """Show a step that cannot report by itself: ``measure`` is asked how much of ``total`` is done."""
        with self.step(name, total, unit=unit) as advance:
            seen = 0
            over = threading.Event()

            def keep_looking() -> None:
                nonlocal seen
                while not over.wait(POLL_S):
                    now = min(measure(), total)
                    advance(now - seen)
                    seen = now

            watcher = threading.Thread(target=keep_looking, name=f"watch-{name}", daemon=True)
            watcher.start()
            try:
                yield
            finally:
                over.set()
                watcher.join()
            advance(total - seen)


def _summary(name: str, total: int, done: int, unit: str, took_s: float) -> str:
    speed = done / max(took_s, 1e-3)
    if unit == "B":
        return f"{name:<9} {format_size(total):>9}  {took_s:6.1f} s  {format_size(speed)}/s"
    return f"{name:<9} {total:>9} {unit}  {took_s:6.1f} s  {speed:.1f}/s"
