"""Puts decoded sentences and the gaps between them together into one answer, within its limits.

Pure text work: no engine, no model. The order of the rules is the contract's: the answer is capped at
``max_completion_tokens`` first, then cut at the earliest ``stop``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

FinishReason = Literal["stop", "length"]
Decode = Callable[[Sequence[str]], str]


@dataclass(frozen=True, slots=True)
class Decoded:
    """Target tokens of one sentence, control tokens left out, and whether the model ended the sentence itself."""

    tokens: Sequence[str]
    ended: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """One finished answer."""

    text: str
    completion_tokens: int
    """Target tokens of ``text``; the end-of-sentence token is not part of the answer and is not counted."""
    finish_reason: FinishReason


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch of the answer and the tokens it was decoded from, if any."""

    text: str
    tokens: Sequence[str] = ()


def assemble(
    parts: Sequence[str | Decoded],
    *,
    decode: Decode,
    max_completion_tokens: int | None = None,
    stop: Sequence[str] = (),
) -> Choice:
    """Return the answer that ``parts`` make: decoded sentences, and gaps as they stand between them.

    Args:
        parts: Sentences and gaps in reading order.
        decode: Tokens of one sentence to text.
        max_completion_tokens: Tokens after which the answer is cut off, over all sentences together.
        stop: Literal strings; the answer ends before the earliest one.
    """
    pieces: list[_Piece] = []
    finish_reason: FinishReason = "stop"
    left = max_completion_tokens
    for part in parts:
        if isinstance(part, str):
            pieces.append(_Piece(part))
            continue
        tokens = part.tokens
        if left is not None and len(tokens) > left:
            tokens = tokens[:left]
            pieces.append(_Piece(decode(tokens), tokens))
            finish_reason = "length"
            break
        if not part.ended:
            finish_reason = "length"
        pieces.append(_Piece(decode(tokens), tokens))
        left = None if left is None else left - len(tokens)
    text = "".join(piece.text for piece in pieces)
    end = _earliest(text, stop)
    if end is None:
        return Choice(text, sum(len(piece.tokens) for piece in pieces), finish_reason)
    return Choice(text[:end], _count_tokens(pieces, end, decode), "stop")


def _earliest(text: str, stop: Sequence[str]) -> int | None:
    found = [index for index in map(text.find, stop) if index >= 0]
    return min(found, default=None)


def _count_tokens(pieces: Sequence[_Piece], end: int, decode: Decode) -> int:
    """Count the tokens it takes to write the first ``end`` characters."""
    count = 0
    for piece in pieces:
        if end <= len(piece.text):
            # Decoding a prefix is not quite a prefix of the text, but its length grows with it.
            return count + next(
                (n for n in range(len(piece.tokens)) if len(decode(piece.tokens[:n])) >= end), len(piece.tokens)
            )
        count += len(piece.tokens)
        end -= len(piece.text)
    return count
