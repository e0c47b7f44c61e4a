"""What a client has to offer to be put through the scenario, whatever it calls it."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to ask, as a user of the client would set it up."""

    url: str
    key: str
    model: str


@dataclass(frozen=True, slots=True)
class Part:
    """An answer, or a part of a streamed one, as far as the client tells."""

    text: str = ""
    finish_reason: str | None = None
    usage: tuple[int, int] | None = None
    """Tokens of the prompt and of the answer."""


class Client(Protocol):
    """One client, used in its own manner; it tries once."""

    async def ask(self, endpoint: Endpoint, text: str, target: str) -> Part:
        """Have ``text`` translated into ``target``."""

    def stream(self, endpoint: Endpoint, text: str, target: str) -> AsyncGenerator[Part, None]:
        """Have ``text`` translated bit by bit; the usage is asked for."""
