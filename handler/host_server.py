"""uvicorn's server with an end that fails nobody: what runs is finished, what comes is refused."""

from types import FrameType

import uvicorn

from handler.drain import Drain

_CANCEL_S = 1
"""For what still runs when its time is over to be told so."""


class HostServer(uvicorn.Server):
    """Drains at the first signal and ends; the second signal ends it at once."""

    def __init__(self, config: uvicorn.Config, *, drain: Drain) -> None:
        """Serve what ``config`` says; ``drain`` knows what the app is busy with."""
        super().__init__(config)
        config.timeout_graceful_shutdown = _CANCEL_S
        self._drain = drain

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal."""
        if self._drain.begun:
            super().handle_exit(sig, frame)
        else:
            self._drain.begin()

    async def on_tick(self, counter: int) -> bool:
        """Look every 100 ms whether the end has come."""
        self.should_exit |= self._drain.over
        return await super().on_tick(counter)
