"""A guard that lets a program talk to this machine alone, and tells what it tried."""

import sys
from dataclasses import dataclass, field
from typing import Any

LOOPBACK = "127.0.0.1"

_CONNECTING = ("socket.connect", "socket.sendto", "socket.sendmsg")
_RESOLVING = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")


@dataclass(slots=True)
class Guard:
    """Refuses every address but ``127.0.0.1``, and every name."""

    reached: set[str] = field(default_factory=set)
    """``address:port`` of what was connected to."""
    refused: set[str] = field(default_factory=set)
    """What was tried besides; a library that carries on without it has been found out all the same."""

    def install(self) -> None:
        """Watch this process until it ends: Python has no way to take an audit hook away, and asyncio passes it too."""
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _CONNECTING:
            host, *port = arguments[1] if isinstance(arguments[1], tuple) else (arguments[1],)
        elif event in _RESOLVING:
            host, port = arguments[0], []
        else:
            return
        # No address: more on a connection that was let through. No host: the address to listen on.
        if host is None:
            return
        asked = ":".join(str(part) for part in (host, *port[:1]))
        if host not in {LOOPBACK, LOOPBACK.encode()}:
            self.refused.add(asked)
            message = f"{event}: {asked} is not {LOOPBACK}"
            raise PermissionError(message)
        if event == "socket.connect":
            self.reached.add(asked)
