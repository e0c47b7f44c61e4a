"""Calls that are begun before anyone asks for their results, each handed to the first who does.

>>> begin(max, 3, 5)
>>> result(max, 3, 5)
5
"""

from __future__ import annotations

from threading import Thread

TYPE_CHECKING = False
# As typing has it, without typing: its import takes milliseconds, and this module's users are in a hurry.
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ParamSpec, TypeVar

    P = ParamSpec("P")
    T = TypeVar("T")
    Key = tuple[Callable[..., Any], tuple[Any, ...], tuple[tuple[str, Any], ...]]


class _Call(Thread):
    """One call, in a thread of its own."""

    def __init__(self, function: Callable[[], Any], name: str) -> None:
        super().__init__(name=f"ahead-{name}")
        self._function = function
        self._returned: Any = None
        self._raised: BaseException | None = None

    def run(self) -> None:
        try:
            self._returned = self._function()
        except BaseException as error:  # noqa: BLE001 - whoever asks for the result hears of it
            self._raised = error

    def outcome(self) -> Any:  # noqa: ANN401 - whatever the function returns
        self.join()
        if self._raised is not None:
            raise self._raised
        return self._returned


_begun: dict[Key, _Call] = {}


def begin(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> None:
    """Call ``function`` in a thread of its own; the same call by ``result`` gets what it returns."""
    call = _Call(lambda: function(*args, **kwargs), function.__name__)
    try:
        call.start()
    except RuntimeError:
        # No further thread is to be had: whoever asks for the result gets a call of its own.
        return
    _begun[_key(function, args, kwargs)] = call


def result(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what the begun call of ``function`` with these arguments returned, or call it now.

    A result is handed out once: who asks again gets a call of its own.

    Raises:
        BaseException: Whatever ``function`` raised.
    """
    call = _begun.pop(_key(function, args, kwargs), None)
    outcome: T = function(*args, **kwargs) if call is None else call.outcome()
    return outcome


def unfinished() -> bool:
    """Tell whether a call is still under way."""
    return any(call.is_alive() for call in _begun.values())


def forget() -> int:
    """Drop what was begun and nobody asked for; return how many calls that were."""
    count = len(_begun)
    _begun.clear()
    return count


def _key(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Key:
    return function, args, tuple(sorted(kwargs.items()))
