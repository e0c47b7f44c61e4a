"""The tokens of an answer with the text each adds to it, and how likely the model finds it there."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from handler.assembly import INCOMPLETE, Choice, Decode


class TokenScore(NamedTuple):
    """One token of an answer."""

    text: str
    """What it adds, with what stands between it and the token before it. Joined, the texts are the answer."""
    logprob: float
    """Natural logarithm of the probability; at most 0."""


def token_scores(choice: Choice, scores: Sequence[Sequence[float]], *, decode: Decode) -> list[TokenScore]:
    """Return the tokens that are counted as the answer's.

    Args:
        choice: The answer.
        scores: Log probabilities of the tokens of each of its sentences.
        decode: Tokens of one sentence to text.
    """
    return list(_cut(_scored(choice, scores, decode), choice))


def _scored(choice: Choice, scores: Sequence[Sequence[float]], decode: Decode) -> list[TokenScore]:
    scored: list[TokenScore] = []
    before = ""
    sentences = iter(scores)
    for piece in choice.pieces:
        if piece.tokens is None:
            before += piece.text
            continue
        told = 0
        for count, score in enumerate(next(sentences), start=1):
            whole = piece.text if count == len(piece.tokens) else decode(piece.tokens[:count]).rstrip(INCOMPLETE)
            # Rounding may leave a probability a little above 1.
            scored.append(TokenScore(before + whole[told:], min(score, 0.0)))
            before, told = "", max(told, len(whole))
    return scored


def _cut(scored: Sequence[TokenScore], choice: Choice) -> Iterator[TokenScore]:
    """Yield the tokens that are counted; the last has the rest of the answer: up to a ``stop``, or with a last gap."""
    told = 0
    for number, (text, logprob) in enumerate(scored[: choice.completion_tokens], start=1):
        last = number == choice.completion_tokens
        yield TokenScore(choice.text[told:] if last else text, logprob)
        told += len(text)
