"""Text in, translation out: tokens, CTranslate2, text again. Synchronous; callers keep it off the event loop."""

import handler.openmp  # noqa: F401 - before ctranslate2

# isort: split
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

from ctranslate2 import TranslationResult, Translator

from handler.assembly import Choice, Decoded, assemble
from handler.errors import AbandonedError, EngineError, UnsupportedLanguageError
from handler.languages import parse_language
from handler.settings import Family
from handler.source import Source, SourceEncoder
from handler.tokenizer import EOS, Tokenizer

PATIENCE = 2.0
"""Beam search goes on until ``beam_size * PATIENCE`` hypotheses are finished (https://arxiv.org/abs/2204.05424).

At CTranslate2's default of 1 it stops too early and drops words; at 2 it gave what transformers' search gives on all of
200 sentences of each demo model, though the two end by different rules.
"""

_BATCH_TOKENS = 8192
"""Source tokens, padding included and once for each beam, that are decoded at once: bounds a long document's memory."""

_LENGTH_RATIO, _LENGTH_OFFSET = 3, 64
"""A translation longer than ``3 * source + 64`` tokens is a loop, not a translation.

Without this bound one garbled sentence would decode up to the last position, for minutes on a CPU. The factor is this
project's choice: wide enough for a language whose words NLLB spells in two or three pieces where English has one.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingOptions:
    """How to search; the names are CTranslate2's."""

    beam_size: int = 1
    length_penalty: float = 1.0
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    num_hypotheses: int = 1
    max_completion_tokens: int | None = None
    """Cap on each answer, all its sentences together."""
    stop: tuple[str, ...] = ()
    sampling: bool = False
    """Draw each token at random, instead of searching for the likeliest answer."""
    sampling_temperature: float = 1.0
    sampling_topp: float = 1.0

    @property
    def width(self) -> int:
        """Hypotheses that are decoded beside each other for one sentence."""
        return self.num_hypotheses if self.sampling else self.beam_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """Answers to one request, best first, and what they cost."""

    choices: tuple[Choice, ...]
    prompt_tokens: int
    """Tokens the encoder read, special tokens counted."""
    tokenize_ms: float
    translate_ms: float


class Engine:
    """One loaded model with its tokenizer. Thread-safe, as CTranslate2's ``Translator`` is."""

    def __init__(
        self,
        translator: Translator,
        tokenizer: Tokenizer,
        *,
        family: Family,
        languages: Collection[str] = (),
        max_source_tokens: int,
        max_target_tokens: int,
        fingerprint: str,
    ) -> None:
        """Put a model and its tokenizer together.

        Args:
            translator: The loaded model.
            tokenizer: The tokenizer the model was trained with.
            family: Decides on special tokens, target prefix and sentence splitting.
            languages: Codes the model's vocabulary holds; NLLB alone has any.
            max_source_tokens: Encoder positions, special tokens counted.
            max_target_tokens: Decoder positions, language and end token counted.
            fingerprint: Changes when the model, the engine's version or its numerics do.
        """
        self._translator = translator
        self._tokenizer = tokenizer
        self._encoder = SourceEncoder(tokenizer, family=family, max_source_tokens=max_source_tokens)
        self.family = family
        self.languages = frozenset(languages)
        self.fingerprint = fingerprint
        self._max_target_tokens = max_target_tokens

    def translate(
        self,
        text: str,
        *,
        source_lang: str = "",
        target_lang: str = "",
        options: DecodingOptions,
        max_prompt_tokens: int | None = None,
        abandoned: Callable[[], bool] = lambda: False,
    ) -> Translation:
        """Translate ``text``, or for T5 answer it.

        Args:
            text: For NLLB any number of sentences; its shape is kept. For T5 the whole prompt.
            source_lang: FLORES-200 code; means nothing to T5.
            target_lang: FLORES-200 code; means nothing to T5.
            options: How to search.
            max_prompt_tokens: Longest prompt to accept.
            abandoned: Asked between batches; once it says so nobody wants the rest.

        Raises:
            AbandonedError: ``abandoned`` said so.
            UnsupportedLanguageError: NLLB does not have one of the languages.
            ContextLengthExceededError: The prompt has more tokens than ``max_prompt_tokens``, or, for T5, than the
                encoder takes. Nothing has been decoded.
            EngineError: CTranslate2 failed.
        """
        start = perf_counter()
        if self.family == "nllb":
            self._check_language(source_lang, param="source_lang")
            self._check_language(target_lang, param="target_lang")
        source = self._encoder.encode(text, source_lang, target_lang, limit=max_prompt_tokens)
        tokenized = perf_counter()
        results = self._decode_all(source.sentences, target_lang, options, abandoned)
        choices = tuple(self._choice(source, results, index, options) for index in range(options.num_hypotheses))
        return Translation(
            choices=choices,
            prompt_tokens=source.tokens,
            tokenize_ms=(tokenized - start) * 1e3,
            translate_ms=(perf_counter() - tokenized) * 1e3,
        )

    def warm_up(self) -> None:
        """Translate a word, so that the first request finds every buffer allocated.

        Raises:
            EngineError: CTranslate2 failed.
        """
        language = min(self.languages, default="")
        options = DecodingOptions(max_completion_tokens=1)
        self.translate("Hello", source_lang=language, target_lang=language, options=options)

    def _check_language(self, code: str, *, param: str) -> None:
        # CTranslate2 would decode an unknown code as <unk>, and say nothing.
        if code not in self.languages:
            parse_language(code, deployed=self.languages, param=param)
            raise UnsupportedLanguageError(code, nearest=sorted(self.languages)[:5], param=param)

    def _decode_all(
        self,
        sentences: Sequence[list[str]],
        target_lang: str,
        options: DecodingOptions,
        abandoned: Callable[[], bool],
    ) -> list[TranslationResult]:
        """Decode in batches of similar length, so that little of them is padding and others get a turn between."""
        results: dict[int, TranslationResult] = {}
        for batch in _batches(sentences, _BATCH_TOKENS // options.width):
            if abandoned():
                raise AbandonedError
            decoded = self._decode([sentences[index] for index in batch], target_lang, options)
            results.update(zip(batch, decoded, strict=True))
        return [results[index] for index in range(len(sentences))]

    def _decode(
        self, sentences: Sequence[list[str]], target_lang: str, options: DecodingOptions
    ) -> list[TranslationResult]:
        if options.sampling:
            beam_size, num_hypotheses = 1, options.num_hypotheses
        else:
            beam_size, num_hypotheses = options.beam_size, min(options.num_hypotheses, options.beam_size)
        try:
            return self._translator.translate_batch(
                sentences,
                target_prefix=[[target_lang]] * len(sentences) if self.family == "nllb" else None,
                beam_size=beam_size,
                patience=PATIENCE if beam_size > 1 else 1.0,
                num_hypotheses=num_hypotheses,
                length_penalty=options.length_penalty,
                repetition_penalty=options.repetition_penalty,
                no_repeat_ngram_size=options.no_repeat_ngram_size,
                sampling_topk=0 if options.sampling else 1,  # 0 is the whole vocabulary
                sampling_topp=options.sampling_topp,
                sampling_temperature=options.sampling_temperature,
                # 0: what is too long was refused or split above; CTranslate2 would silently truncate it.
                max_input_length=0,
                max_decoding_length=self._max_decoding_length(sentences, options.max_completion_tokens),
                return_end_token=True,
            )
        except (RuntimeError, ValueError) as error:
            raise EngineError from error

    def _max_decoding_length(self, sentences: Sequence[list[str]], max_completion_tokens: int | None) -> int:
        """Return the bound for one batch: what the decoder counts is the language token, the answer and its end."""
        special = 2 if self.family == "nllb" else 1
        bounds = [self._max_target_tokens]
        if max_completion_tokens is not None:
            # One step more than the cap shows whether the answer ends there or is cut off.
            bounds.append(max_completion_tokens + special)
        if self.family == "nllb":
            bounds.append(_LENGTH_RATIO * max(map(len, sentences)) + _LENGTH_OFFSET)
        return min(bounds)

    def _choice(
        self, source: Source, results: Sequence[TranslationResult], index: int, options: DecodingOptions
    ) -> Choice:
        parts = [part if isinstance(part, str) else self._decoded(results[part], index) for part in source.parts]
        return assemble(
            parts,
            decode=self._tokenizer.decode,
            max_completion_tokens=options.max_completion_tokens,
            stop=options.stop,
        )

    def _decoded(self, result: TranslationResult, index: int) -> Decoded:
        # A search gives at most as many answers as its beam is wide: further choices repeat them.
        tokens = result.hypotheses[index % len(result.hypotheses)]
        if self.family == "nllb":
            tokens = tokens[1:]  # the language code, given as the prefix
        ended = tokens[-1:] == [EOS]
        return Decoded(tokens[:-1] if ended else tokens, ended)


def _batches(sentences: Sequence[list[str]], max_tokens: int) -> Iterator[list[int]]:
    """Yield indices of sentences, longest first, so many at once that padded they have at most ``max_tokens``."""
    batch: list[int] = []
    longest = 0
    for index in sorted(range(len(sentences)), key=lambda index: -len(sentences[index])):
        longest = longest or len(sentences[index])
        if batch and (len(batch) + 1) * longest > max_tokens:
            yield batch
            batch, longest = [], len(sentences[index])
        batch.append(index)
    if batch:
        yield batch
