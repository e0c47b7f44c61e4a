"""Puts decoded sentences and the gaps between them together into one answer, within its limits.

Pure text work: no engine, no model. The order of the rules is the contract's: the answer is capped at
``max_completion_tokens`` first, then cut at the earliest ``stop``. A whole answer and a streamed one are made by the
same :class:`Assembler`, so the parts of a stream add up to the answer by construction.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from handler.stops import StopFinder

FinishReason = Literal["stop", "length"]
State = Literal["growing", "ended", "cut"]
"""Of a sentence: it goes on, the model ended it, or some bound did."""
Decode = Callable[[Sequence[str]], str]

INCOMPLETE = "\N{REPLACEMENT CHARACTER}"
"""What SentencePiece writes for a character of which some bytes are still to come."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Target tokens of one sentence, control tokens left out, and whether the model ended the sentence itself."""

    tokens: Sequence[str]
    ended: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the answer, and the tokens it was decoded from; a gap has none."""

    text: str
    tokens: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """One finished answer."""

    text: str
    completion_tokens: int
    """Target tokens of ``text``; the end-of-sentence token is not part of the answer and is not counted."""
    finish_reason: FinishReason
    pieces: tuple[Piece, ...] = field(default=(), repr=False)
    """What the answer was made of, in order; a ``stop`` may have cut ``text`` before their end."""


class Assembler:
    """Builds one answer in reading order. Each step returns the further text that is certain to be part of it."""

    def __init__(self, *, decode: Decode, max_completion_tokens: int | None = None, stop: Sequence[str] = ()) -> None:
        """Begin an answer.

        Args:
            decode: Tokens of one sentence to text.
            max_completion_tokens: Tokens after which the answer is cut off, over all sentences together.
            stop: Literal strings; the answer ends before the earliest one.
        """
        self._decode = decode
        self._left = max_completion_tokens
        self._stops = StopFinder(stop)
        self._pieces: list[Piece] = []
        self._finish_reason: FinishReason = "stop"
        self._capped = False
        self._certain: list[str] = []
        self._certain_chars = 0
        self._held = ""
        """Text that a ``stop`` may begin in."""
        self._taken = 0
        """Characters of the sentence under way that are certain or held."""

    @property
    def ended(self) -> bool:
        """Whether nothing that may come changes the answer."""
        return self._capped or self._stops.stopped

    def add_gap(self, text: str) -> str:
        """Go on with text that stands between two sentences."""
        if self.ended:
            return ""
        self._pieces.append(Piece(text))
        return self._take(text)

    def grow_sentence(self, tokens: Sequence[str]) -> str:
        """Go on with a sentence that is not over.

        Args:
            tokens: All of the sentence so far.
        """
        if self._left is not None and len(tokens) > self._left:
            return self.end_sentence(tokens, ended=False)
        if self.ended:
            return ""
        # What may still change: a character that is not complete, white space that the decoder might drop.
        return self._take_from(self._decode(tokens).rstrip(INCOMPLETE).rstrip(), tokens)

    def end_sentence(self, tokens: Sequence[str], *, ended: bool) -> str:
        """Complete a sentence.

        Args:
            tokens: All of it.
            ended: Whether the model ended it, and not some bound.
        """
        if self.ended:
            return ""
        if self._left is not None and len(tokens) > self._left:
            tokens, ended, self._capped = tokens[: self._left], False, True
        if not ended:
            self._finish_reason = "length"
        self._left = None if self._left is None else self._left - len(tokens)
        text = self._decode(tokens)
        self._pieces.append(Piece(text, tokens))
        certain = self._take_from(text)
        self._taken = 0
        return certain

    def close(self) -> str:
        """End the answer: what might have become a ``stop`` did not, and may hold a shorter one."""
        return self._hand_out(self._stops.close())

    def choice(self) -> Choice:
        """Return the answer, once it is closed."""
        text = "".join(self._certain)
        if self._held:
            return Choice(text, _count_tokens(self._pieces, len(text), self._decode), "stop", tuple(self._pieces))
        tokens = sum(len(piece.tokens or ()) for piece in self._pieces)
        return Choice(text, tokens, self._finish_reason, tuple(self._pieces))

    def _take_from(self, text: str, unfinished: Sequence[str] | None = None) -> str:
        further = text[self._taken :]
        self._taken = max(self._taken, len(text))
        return self._take(further, unfinished)

    def _take(self, text: str, unfinished: Sequence[str] | None = None) -> str:
        """Return what of the held text and of ``text`` no ``stop`` can begin in."""
        self._held += text
        self._stops.read(text)
        if self._stops.stopped and unfinished is not None:
            self._pieces.append(Piece(self._decode(unfinished), tuple(unfinished)))
        return self._hand_out(self._stops.certain)

    def _hand_out(self, end: int) -> str:
        """Return the held text up to ``end``, counted from the beginning of the answer."""
        count = end - self._certain_chars
        text, self._held = self._held[:count], self._held[count:]
        self._certain.append(text)
        self._certain_chars = end
        return text


def _count_tokens(pieces: Sequence[Piece], end: int, decode: Decode) -> int:
    """Count the tokens it takes to write the first ``end`` characters."""
    count = 0
    for piece in pieces:
        tokens = piece.tokens or ()
        if end <= len(piece.text):
            # Decoding a prefix is not quite a prefix of the text, but the length of what is complete grows with it.
            written = (len(decode(tokens[:number]).rstrip(INCOMPLETE)) for number in range(len(tokens)))
            return count + next((number for number, length in enumerate(written) if length >= end), len(tokens))
        count += len(tokens)
        end -= len(piece.text)
    return count
