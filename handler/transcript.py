"""Sentences that are decoded side by side, told in reading order."""

from collections.abc import Sequence

from handler.assembly import Assembler, Choice, State
from handler.errors import EngineError


class Transcript:
    """One answer that grows. Each step returns the further text of it that is certain."""

    def __init__(self, parts: Sequence[str | int], assembler: Assembler) -> None:
        """Begin an answer.

        Args:
            parts: Gaps, and indices of sentences, in reading order.
            assembler: Takes them in that order.
        """
        self._parts = parts
        self._assembler = assembler
        self._position = 0
        self._sentences: dict[int, tuple[Sequence[str], State]] = {}

    @property
    def ended(self) -> bool:
        """Whether nothing that may come changes the answer."""
        return self._position == len(self._parts) or self._assembler.ended

    def add(self, sentence: int, tokens: Sequence[str], state: State) -> str:
        """Go on with a sentence.

        Args:
            sentence: Its index.
            tokens: All of it so far.
            state: Whether it goes on.
        """
        self._sentences[sentence] = tokens, state
        return self._advance()

    def close(self) -> str:
        """End the answer.

        Raises:
            EngineError: A sentence is missing.
        """
        text = self._advance()
        if not self.ended:
            raise EngineError
        return text + self._assembler.close()

    def choice(self) -> Choice:
        """Return the answer, once it is closed."""
        return self._assembler.choice()

    def _advance(self) -> str:
        """Go on as far as there is something to go on with."""
        text: list[str] = []
        while not self.ended:
            part = self._parts[self._position]
            if isinstance(part, str):
                text.append(self._assembler.add_gap(part))
            elif part not in self._sentences:
                break
            else:
                tokens, state = self._sentences[part]
                if state == "growing":
                    text.append(self._assembler.grow_sentence(tokens))
                    break
                text.append(self._assembler.end_sentence(tokens, ended=state == "ended"))
                del self._sentences[part]
            self._position += 1
        return "".join(text)
