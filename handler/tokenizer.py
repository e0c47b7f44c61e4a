"""SentencePiece tokenizers with the special tokens each model family was trained with.

What a user types is text: a typed ``</s>`` or ``fra_Latn`` is split into ordinary pieces, never read as a control
token. T5's sentinels (``<extra_id_0>``) are the one exception, for T5 alone; MADLAD's target tags (``<2de>``) are
symbols of its SentencePiece model and so need none.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from handler import ahead
from handler.pieces import open_processor
from handler.settings import Family

EOS = "</s>"
UNK = "<unk>"
_CONTROL_TOKENS = frozenset({"<s>", EOS, "<pad>", UNK, "<mask>"})

_SENTINEL = re.compile(r"<extra_id_[0-9]{1,2}>")


class Tokenizer(Protocol):
    """Text to the tokens a model reads, and the tokens it wrote back to text."""

    def encode(self, text: str, source_lang: str) -> list[str]:
        """Return the tokens of ``text`` with the special tokens of the family around them."""

    def decode(self, tokens: Sequence[str]) -> str:
        """Return the text of ``tokens``, control tokens left out."""


class _SentencePiece:
    """Pieces of one SentencePiece model."""

    def __init__(self, path: Path) -> None:
        self._processor = ahead.result(open_processor, str(path))
        self._unknown_id = self._processor.unk_id()

    def __contains__(self, piece: str) -> bool:
        return bool(self._processor.piece_to_id(piece) != self._unknown_id)

    def encode(self, text: str) -> list[str]:
        # By way of ids: asked for pieces, SentencePiece returns an unknown character itself, which could be anything.
        ids = self._processor.encode(text)
        return [UNK if i == self._unknown_id else self._processor.id_to_piece(i) for i in ids]

    def decode(self, pieces: Sequence[str]) -> str:
        return str(self._processor.decode_pieces(list(pieces)))


class NllbTokenizer:
    """``[source_lang, *pieces, "</s>"]``, as NLLB was released (``legacy_behaviour=False`` in transformers)."""

    def __init__(self, path: Path) -> None:
        """Load the SentencePiece model at ``path``.

        Raises:
            OSError: The file cannot be read.
            RuntimeError: The file is not a SentencePiece model.
        """
        self._pieces = _SentencePiece(path)

    def encode(self, text: str, source_lang: str) -> list[str]:
        """Return the tokens of ``text`` in ``source_lang``, a FLORES-200 code."""
        return [source_lang, *self._pieces.encode(text), EOS]

    def decode(self, tokens: Sequence[str]) -> str:
        """Return the text of ``tokens``, control tokens and language codes left out."""
        # Only pieces are text: a language code, which sampling may draw anywhere, is none.
        return self._pieces.decode(
            [token for token in tokens if token not in _CONTROL_TOKENS and token in self._pieces]
        )


class T5Tokenizer:
    """``[*pieces, "</s>"]`` for T5, flan-T5, mT5 and MADLAD."""

    def __init__(self, path: Path) -> None:
        """Load the SentencePiece model at ``path``.

        Raises:
            OSError: The file cannot be read.
            RuntimeError: The file is not a SentencePiece model.
        """
        self._pieces = _SentencePiece(path)
        # mT5 keeps its sentinels among the SentencePiece pieces, a word boundary before each.
        self._sentinel_prefix = "▁" if "▁<extra_id_0>" in self._pieces else ""

    def encode(self, text: str, source_lang: str = "") -> list[str]:
        """Return the tokens of ``text``; a language means nothing to T5."""
        del source_lang
        return [*self._tokens(text), EOS]

    def _tokens(self, text: str) -> Iterator[str]:
        if self._sentinel_prefix:
            yield from self._pieces.encode(text)
            return
        end = 0
        for match in _SENTINEL.finditer(text):
            # A sentinel takes the white space beside it, also what SentencePiece does not know for that, as it does in
            # transformers.
            before = text[end : match.start()].rstrip()
            yield from self._pieces.encode(before.lstrip() if end else before)
            yield match.group()
            end = match.end()
        yield from self._pieces.encode(text[end:].lstrip() if end else text)

    def decode(self, tokens: Sequence[str]) -> str:
        """Return the text of ``tokens``, control tokens left out and sentinels spelled out."""
        parts: list[str] = []
        run: list[str] = []
        for token in tokens:
            if token.startswith((f"{self._sentinel_prefix}<extra_id_", "<extra_id_")):
                parts += [self._pieces.decode(run), token.removeprefix("▁")]
                run = []
            elif token not in _CONTROL_TOKENS:
                run.append(token)
        parts.append(self._pieces.decode(run))
        return parts[0] if len(parts) == 1 else " ".join(filter(None, parts))


def load_tokenizer(family: Family, path: Path) -> Tokenizer:
    """Return the tokenizer of ``family`` with the SentencePiece model at ``path``.

    Raises:
        OSError: The file cannot be read.
        RuntimeError: The file is not a SentencePiece model.
    """
    return NllbTokenizer(path) if family == "nllb" else T5Tokenizer(path)
