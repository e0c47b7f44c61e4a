"""Finds where a growing text must end: the earliest of some literal strings, told as soon as it is certain."""

from collections.abc import Sequence


class StopFinder:
    """Reads a text piece by piece, each character once, however the strings overlap.

    One automaton for each string (Knuth, Morris and Pratt 1977, SIAM Journal on Computing 6:2): its state is how much
    of the string the text ends with, which tells where the string may have begun.
    """

    def __init__(self, strings: Sequence[str]) -> None:
        """Look for ``strings``; none of them is empty."""
        self._strings = strings
        self._tables = [_failures(string) for string in strings]
        self._states = [0] * len(strings)
        self._open = list(range(len(strings)))
        """Strings that have not been found."""
        self._read = 0
        self._found: int | None = None
        """Where the earliest of those begins that were found."""

    @property
    def stopped(self) -> bool:
        """Whether it is certain where the text ends."""
        return self._found is not None and self.certain == self._found

    @property
    def certain(self) -> int:
        """How many characters of the text are part of it, whatever follows."""
        starts = [self._read - self._states[number] for number in self._open]
        return min([self._read if self._found is None else self._found, *starts])

    def read(self, text: str) -> None:
        """Go on with ``text``, as far as it matters."""
        if not self._strings:
            self._read += len(text)
            return
        for character in text:
            self._read += 1
            for number in self._open:
                self._advance(number, character)
            if self._found is not None:
                found = self._found
                # What would begin later than one that was found changes nothing.
                self._open = [
                    number
                    for number in self._open
                    if self._states[number] < len(self._strings[number]) and self._read - self._states[number] < found
                ]
                if not self._open:
                    return

    def close(self) -> int:
        """Return where the text ends, now that nothing follows."""
        return self._read if self._found is None else self._found

    def _advance(self, number: int, character: str) -> None:
        string, table, state = self._strings[number], self._tables[number], self._states[number]
        while state and string[state] != character:
            state = table[state - 1]
        if string[state] == character:
            state += 1
        self._states[number] = state
        if state == len(string):
            start = self._read - state
            self._found = start if self._found is None else min(self._found, start)


def _failures(string: str) -> list[int]:
    """Return for each prefix the length of its longest proper suffix that the string begins with."""
    table = [0] * len(string)
    length = 0
    for index in range(1, len(string)):
        while length and string[index] != string[length]:
            length = table[length - 1]
        if string[index] == string[length]:
            length += 1
        table[index] = length
    return table
