"""The end of a server that others still use: what runs is finished, what comes is sent elsewhere."""

from time import monotonic


class Drain:
    """Whether a process is about to end, and how many requests it is still busy with. Of the event loop's thread."""

    def __init__(self, *, limit_s: float) -> None:
        """Give what runs at most ``limit_s`` seconds from the moment that the end has begun."""
        self._limit_s = limit_s
        self._deadline_s: float | None = None
        self.running = 0
        """Requests that are not answered yet."""

    @property
    def begun(self) -> bool:
        """Whether the process is about to end."""
        return self._deadline_s is not None

    @property
    def over(self) -> bool:
        """Whether it may end now."""
        return self._deadline_s is not None and (not self.running or monotonic() >= self._deadline_s)

    def begin(self) -> None:
        """Take no more requests."""
        if self._deadline_s is None:
            self._deadline_s = monotonic() + self._limit_s
