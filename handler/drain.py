"""The end of a server that others still use: what runs is finished, what comes is sent elsewhere."""

from collections.abc import Callable
from time import monotonic


class Drain:
    """Whether a process is about to end. Of the event loop's thread."""

    def __init__(self, *, limit_s: float, running: Callable[[], int]) -> None:
        """Begin with a process that goes on.

        Args:
            limit_s: What runs has so many seconds at most from the moment that the end has begun.
            running: Tells how many requests are not answered yet.
        """
        self._limit_s = limit_s
        self._running = running
        self._deadline_s: float | None = None

    @property
    def begun(self) -> bool:
        """Whether the process is about to end."""
        return self._deadline_s is not None

    @property
    def over(self) -> bool:
        """Whether it may end: everything is answered."""
        return self.begun and not self._running()

    @property
    def late(self) -> bool:
        """Whether it has to end: its time is over."""
        return self._deadline_s is not None and monotonic() >= self._deadline_s

    def begin(self) -> None:
        """Take no more requests."""
        if self._deadline_s is None:
            self._deadline_s = monotonic() + self._limit_s
