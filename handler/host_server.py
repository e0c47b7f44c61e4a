"""uvicorn's server with an end that fails nobody: what runs is finished, what comes is refused."""

import asyncio
from collections.abc import Callable
from types import FrameType

import uvicorn

from handler.drain import Drain
from handler.telemetry import logger

_CANCEL_S = 1
"""For what still runs when its time is over to be told so."""

_IDLE_TICKS = 3
"""For how long nothing must be asked: a request on its way into a connection that is being closed would fail."""


class HostServer(uvicorn.Server):
    """Drains at the first signal and ends; the second signal ends it at once.

    It also ends when an engine is broken: a device that has lost its state needs a new process, and whoever watches
    over processes starts one for an exit, be it an orchestrator or Docker alone.
    """

    def __init__(self, config: uvicorn.Config, *, drain: Drain, broken: Callable[[], bool]) -> None:
        """Serve what ``config`` says.

        Args:
            config: uvicorn's.
            drain: Knows what the app is busy with.
            broken: Tells whether an engine fails whatever it is given.
        """
        super().__init__(config)
        config.timeout_graceful_shutdown = _CANCEL_S
        self._drain = drain
        self._broken = broken
        self.failed = False
        """Whether it ends because of that."""
        self._idle_ticks = 0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal."""
        if self._drain.begun:
            super().handle_exit(sig, frame)
        else:
            self._drain.begin()

    async def on_tick(self, counter: int) -> bool:
        """Look every 100 ms whether the end has come: the last answer is read, and nobody was just about to ask."""
        if not self._drain.begun and self._broken():
            logger.critical("an engine fails whatever it is given: the process ends")
            self.failed = True
            self._drain.begin()
        idle = self._drain.over and not any(map(_unread, self.server_state.connections))
        self._idle_ticks = self._idle_ticks + 1 if idle else 0
        self.should_exit |= self._idle_ticks >= _IDLE_TICKS or self._drain.late
        return await super().on_tick(counter)


def _unread(connection: asyncio.Protocol) -> bool:
    """Tell whether a connection still has something to send to its client."""
    transport = getattr(connection, "transport", None)
    return transport is not None and transport.get_write_buffer_size() > 0
