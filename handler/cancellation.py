"""Whether anybody still waits for an answer: whoever works on it can ask at any time, or be told at once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock


class Cancellation:
    """Belongs to one request. Thread-safe."""

    def __init__(self) -> None:
        """Begin with somebody who waits."""
        self._lock = Lock()
        self._cancelled = False
        self._told: list[Callable[[], object]] = []

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits any more."""
        return self._cancelled

    def cancel(self) -> None:
        """Say that nobody waits any more; further calls change nothing."""
        with self._lock:
            self._cancelled = True
            told, self._told = self._told, []
        for callback in told:
            callback()

    @contextmanager
    def told(self, callback: Callable[[], object]) -> Iterator[None]:
        """Within the block, have ``callback`` called as soon as nobody waits, in whatever thread finds out."""
        with self._lock:
            self._told.append(callback)
            cancelled = self._cancelled
        if cancelled:
            callback()
        try:
            yield
        finally:
            with self._lock:
                if callback in self._told:
                    self._told.remove(callback)
