"""A prompt on its way to the engine: sentences as tokens, none too long, and the gaps between them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from handler import normalizer
from handler.errors import ContextLengthExceededError
from handler.segmenter import cut, segment
from handler.settings import Family
from handler.tokenizer import Tokenizer

_MAX_PIECE_CHARS = 16
"""Longest piece of a SentencePiece model: its trainer's default, which NLLB and T5 kept.

So a text has a token at least for every 16 characters that are not white space, and most of what is too long can be
refused before any work is done.
"""

_UNSPACED = frozenset(
    "zho_Hans zho_Hant yue_Hant jpn_Jpan tha_Thai lao_Laoo khm_Khmr mya_Mymr shn_Mymr bod_Tibt dzo_Tibt".split()
)
"""Languages written without white space between sentences."""


@dataclass(slots=True)
class Source:
    """Sentences as tokens, and where they stand between the gaps."""

    limit: int | None
    """Most tokens to accept."""
    parts: list[str | int] = field(default_factory=list)
    """Gaps, and indices into ``sentences``."""
    sentences: list[list[str]] = field(default_factory=list)
    tokens: int = 0

    def check(self, further: int) -> None:
        """Refuse ``further`` tokens if they are too many: before the work of cutting and decoding them is done."""
        if self.limit is not None and self.tokens + further > self.limit:
            raise ContextLengthExceededError(self.tokens + further, limit=self.limit)

    def add(self, tokens: list[str]) -> None:
        """Append a sentence."""
        self.check(len(tokens))
        self.tokens += len(tokens)
        self.parts.append(len(self.sentences))
        self.sentences.append(tokens)


class SourceEncoder:
    """Turns text into what one model reads."""

    def __init__(self, tokenizer: Tokenizer, *, family: Family, max_source_tokens: int, normalize: bool) -> None:
        """Encode with ``tokenizer``; NLLB's text in sentences of at most ``max_source_tokens``, T5's whole.

        Args:
            tokenizer: Of the model.
            family: Of the model.
            max_source_tokens: Encoder positions, special tokens counted.
            normalize: Whether NLLB's sentences are normalised as its training data was.
        """
        self._tokenizer = tokenizer
        self._family = family
        self._max_source_tokens = max_source_tokens
        self._normalize = normalize

    def encode(self, text: str, source_lang: str, target_lang: str, *, limit: int | None = None) -> Source:
        """Return ``text`` as the engine reads it.

        Args:
            text: For NLLB any number of sentences, for T5 a prompt.
            source_lang: FLORES-200 code; means nothing to T5.
            target_lang: Decides whether sentences that touch are joined with a space.
            limit: Most tokens to accept.

        Raises:
            ContextLengthExceededError: There are more tokens than ``limit``, or for T5 than the encoder takes.
        """
        if self._family == "t5":
            limit = self._max_source_tokens if limit is None else min(limit, self._max_source_tokens)
        source = Source(limit)
        source.check(len("".join(text.split())) // _MAX_PIECE_CHARS)
        if self._family == "t5":
            if text.strip():
                source.add(self._tokenizer.encode(text, source_lang))
            else:
                source.parts.append(text)
            return source
        for part in self._split(text, source_lang, source):
            if isinstance(part, str):
                source.parts.append(part)
                continue
            if source.parts and isinstance(source.parts[-1], int) and target_lang not in _UNSPACED:
                # Chinese sentences stand side by side; their translations into English must not.
                source.parts.append(" ")
            source.add(part)
        return source

    def _split(self, text: str, source_lang: str, source: Source) -> Iterator[str | list[str]]:
        """Yield gaps as text and sentences as tokens, none longer than the encoder takes."""

        def encode(sentence: str) -> list[str]:
            # Here and no earlier: the gaps, and where a sentence is cut, are those of the text as it was written.
            return self._tokenizer.encode(normalizer.normalize(sentence) if self._normalize else sentence, source_lang)

        def fits(piece: str) -> bool:
            return len(encode(piece)) <= self._max_source_tokens

        for sentence in segment(text, source_lang):
            if not sentence.translate:
                yield sentence.text
                continue
            tokens = encode(sentence.text)
            if len(tokens) <= self._max_source_tokens:
                yield tokens
                continue
            source.check(len(tokens))
            for piece in cut(sentence.text, fits):
                yield encode(piece.text) if piece.translate else piece.text
