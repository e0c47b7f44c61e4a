"""Text on its way from the engine's thread to the event loop, for as long as it is decoded."""

import asyncio
from contextlib import suppress


class LiveText:
    """Collects the further text of each choice; what nobody has fetched yet is kept as one."""

    def __init__(self) -> None:
        """Collect for the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, list[str]] = {}
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()

    def put(self, choice: int, text: str) -> None:
        """Add text of a choice, from any thread."""
        # The loop is closed when the server has stopped without waiting for this thread.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._add, choice, text)

    def close(self) -> None:
        """Say that no text follows, in the loop's own thread."""
        self._ended.set()
        self._changed.set()

    async def take(self, *, whole: bool = False) -> dict[int, str]:
        """Return the further text by choice, as soon as there is any; none once there is no more.

        Args:
            whole: Wait for the end of all text.
        """
        await (self._ended if whole else self._changed).wait()
        waiting, self._waiting = self._waiting, {}
        if not self._ended.is_set():
            self._changed.clear()
        return {choice: "".join(texts) for choice, texts in waiting.items()}

    def _add(self, choice: int, text: str) -> None:
        self._waiting.setdefault(choice, []).append(text)
        self._changed.set()
