"""uvicorn's server with an end that fails nobody: what runs is finished, what comes is refused."""

import asyncio
from concurrent.futures import Future
from threading import Thread
from time import monotonic
from types import FrameType
from typing import Protocol

import uvicorn

from handler.drain import Drain
from handler.telemetry import logger

_CANCEL_S = 1
"""For what still runs when its time is over to be told so."""

_IDLE_TICKS = 3
"""For how long nothing must be asked: a request on its way into a connection that is being closed would fail."""

_TRIAL_S = 60.0
"""For an engine that has failed to translate a word; it may have a batch to decode before that."""


class Engines(Protocol):
    """What is known of the engines; :class:`handler.models.ModelManager` is it."""

    def broken(self) -> bool:
        """Tell whether one has failed so often that a new process may be needed."""

    def try_broken(self) -> bool:
        """Find out whether it still works, and tell. Takes time."""


class HostServer(uvicorn.Server):
    """Drains at the first signal and ends; the second signal ends it at once.

    It also ends when an engine is broken: a device that has lost its state needs a new process, and whoever watches
    over processes starts one for an exit, be it an orchestrator or Docker alone.
    """

    def __init__(self, config: uvicorn.Config, *, drain: Drain, engines: Engines) -> None:
        """Serve what ``config`` says.

        Args:
            config: uvicorn's.
            drain: Knows what the app is busy with.
            engines: End the process if one is broken.
        """
        super().__init__(config)
        config.timeout_graceful_shutdown = _CANCEL_S
        self._drain = drain
        self._engines = engines
        self._idle_ticks = 0
        self._told = False
        self._trial: tuple[Future[bool], float] | None = None
        self.failed = False
        """Whether it ends because an engine is broken."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal."""
        if self._told:
            super().handle_exit(sig, frame)
        self._told = True
        self._drain.begin()

    async def on_tick(self, counter: int) -> bool:
        """Look every 100 ms whether the end has come: the last answer is read, and nobody was just about to ask."""
        if not self._drain.begun and self._beyond_repair():
            logger.critical("an engine fails whatever it is given: the process ends")
            self.failed = True
            self._drain.begin()
        idle = self._drain.over and not any(map(_unread, self.server_state.connections))
        self._idle_ticks = self._idle_ticks + 1 if idle else 0
        self.should_exit |= self._idle_ticks >= _IDLE_TICKS or self._drain.late
        return await super().on_tick(counter)

    def _beyond_repair(self) -> bool:
        """Tell whether an engine has failed and does not translate a single word either."""
        if self._trial is None:
            if self._engines.broken():
                self._trial = (self._begin_trial(), monotonic() + _TRIAL_S)
            return False
        trial, due_s = self._trial
        if not trial.done() and monotonic() < due_s:
            return False
        self._trial = None
        works = trial.done() and trial.result()
        return not works and self._engines.broken()

    def _begin_trial(self) -> "Future[bool]":
        trial: Future[bool] = Future()

        def run() -> None:
            works = False
            try:
                works = self._engines.try_broken()
            finally:
                trial.set_result(works)

        # Not to be waited for at the end: a device that hangs does not come back.
        Thread(target=run, name="trial", daemon=True).start()
        return trial


def _unread(connection: asyncio.Protocol) -> bool:
    """Tell whether a connection still has something to send to its client."""
    transport = getattr(connection, "transport", None)
    return transport is not None and transport.get_write_buffer_size() > 0
