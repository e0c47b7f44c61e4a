"""Tokens in, tokens out: the calls of CTranslate2, in batches, with every option named. Synchronous."""

import handler.openmp  # noqa: F401 - before ctranslate2

# isort: split
import atexit
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic, sleep
from weakref import WeakSet

from ctranslate2 import GenerationStepResult, TranslationResult, Translator

from handler.assembly import Decoded
from handler.errors import AbandonedError, EngineError
from handler.settings import Family
from handler.tokenizer import EOS

PATIENCE = 2.0
"""Beam search goes on until ``beam_size * PATIENCE`` hypotheses are finished (https://arxiv.org/abs/2204.05424).

At CTranslate2's default of 1 it stops too early and drops words; at 2 it gave what transformers' search gives on all of
200 sentences of each demo model, though the two end by different rules.
"""

_BATCH_TOKENS = 8192
"""Source tokens, padding included and once for each beam, that are decoded at once: bounds a long document's memory."""

_SCORED_TOKENS = 512
"""Target tokens whose probabilities are computed at once: each has a float for every row of the vocabulary."""

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
    logprobs: bool = False
    """Whether the log probability of each token of the answer is wanted."""

    @property
    def width(self) -> int:
        """Hypotheses that are decoded beside each other for one sentence."""
        return self.num_hypotheses if self.sampling else self.beam_size

    @property
    def hypotheses(self) -> int:
        """Different answers that are decoded: a search gives at most as many as its beam is wide."""
        return self.num_hypotheses if self.sampling else min(self.num_hypotheses, self.beam_size)

    @property
    def step_by_step(self) -> bool:
        """Whether tokens are final as soon as they are decoded; those of a beam are not."""
        return self.sampling or self.beam_size == 1


_EXIT_S = 2.0
"""Longest wait for CTranslate2's threads when the process ends."""

OnTokens = Callable[[int, int, Sequence[str], bool | None], bool]
"""Takes the index of a sentence, that of a hypothesis, its tokens so far, and once it is over whether the model ended
it; returns whether the answers are complete and nothing more is to be decoded."""


class Decoder:
    """A CTranslate2 translator and how this service calls it. Thread-safe, as the translator is."""

    def __init__(self, translator: Translator, *, family: Family, max_target_tokens: int) -> None:
        """Decode with ``translator``.

        Args:
            translator: The loaded model.
            family: Decides on the target prefix.
            max_target_tokens: Decoder positions, language and end token counted.
        """
        self._translator = translator
        self._max_target_tokens = max_target_tokens
        self._has_language = family == "nllb"

    def decode(
        self,
        sentences: Sequence[list[str]],
        target_lang: str,
        options: DecodingOptions,
        abandoned: Callable[[], bool],
    ) -> list[list[Decoded]]:
        """Return the hypotheses of each sentence, best first.

        Decodes in batches of similar length, so that little of them is padding and others get a turn between.

        Raises:
            AbandonedError: ``abandoned`` said that nobody wants the rest.
            EngineError: CTranslate2 failed.
        """
        results: dict[int, list[Decoded]] = {}
        for batch in by_length(sentences, _BATCH_TOKENS // options.width):
            decoded = self._decode([sentences[index] for index in batch], target_lang, options, abandoned)
            results.update(zip(batch, map(self._hypotheses, decoded), strict=True))
        return [results[index] for index in range(len(sentences))]

    def stream(
        self,
        sentences: Sequence[list[str]],
        target_lang: str,
        options: DecodingOptions,
        abandoned: Callable[[], bool],
        *,
        on_tokens: OnTokens,
    ) -> None:
        """Call ``on_tokens`` as tokens are decoded, or, where there is a beam, as sentences are.

        Decodes in reading order: the first sentence by itself, the others in batches that grow.

        Args:
            sentences: Source tokens.
            target_lang: FLORES-200 code; means nothing to T5.
            options: How to search.
            abandoned: Asked at every token, or between batches of a beam; once it says so, decoding ends.
            on_tokens: Must not raise.

        Raises:
            AbandonedError: ``abandoned`` said so.
            EngineError: CTranslate2 failed.
        """
        for batch in in_order(sentences, _BATCH_TOKENS // options.width):
            steps = _Steps(batch.start, special=int(self._has_language), on_tokens=on_tokens)
            on_step = steps.take if options.step_by_step else None
            results = self._decode(sentences[batch.start : batch.stop], target_lang, options, abandoned, on_step)
            if on_step is None:
                for index, result in zip(batch, results, strict=True):
                    for number, decoded in enumerate(self._hypotheses(result)):
                        steps.complete = on_tokens(index, number, decoded.tokens, decoded.ended)
            if steps.complete:
                return

    def score(
        self, sentences: Sequence[list[str]], translations: Sequence[Sequence[str]], target_lang: str
    ) -> list[list[float]]:
        """Return the natural logarithm of the probability that the model gives each token of each translation.

        Raises:
            EngineError: CTranslate2 failed.
        """
        if not sentences:
            return []
        prefix = [target_lang] if self._has_language else []
        try:
            results = self._translator.score_batch(
                sentences,
                [[*prefix, *tokens] for tokens in translations],
                max_batch_size=_SCORED_TOKENS,
                batch_type="tokens",
                max_input_length=0,
            )
        except (RuntimeError, ValueError) as error:
            raise EngineError from error
        # Before them the language, after them the end of the sentence.
        return [
            result.log_probs[len(prefix) :][: len(tokens)] for result, tokens in zip(results, translations, strict=True)
        ]

    def _decode(
        self,
        sentences: Sequence[list[str]],
        target_lang: str,
        options: DecodingOptions,
        abandoned: Callable[[], bool],
        on_step: Callable[[GenerationStepResult], bool] | None = None,
    ) -> list[TranslationResult]:
        """Decode one batch, which ends early once ``abandoned`` says so."""
        if abandoned():
            raise AbandonedError

        def take(step: GenerationStepResult) -> bool:
            return (on_step is not None and on_step(step)) or abandoned()

        beam_size = 1 if options.sampling else options.beam_size
        if options.step_by_step:
            _callbacks.add(take)
        try:
            results = self._translator.translate_batch(
                sentences,
                target_prefix=[[target_lang]] * len(sentences) if self._has_language else None,
                beam_size=beam_size,
                patience=PATIENCE if beam_size > 1 else 1.0,
                num_hypotheses=options.hypotheses,
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
                callback=take if options.step_by_step else None,
            )
        except (RuntimeError, ValueError) as error:
            raise EngineError from error
        if abandoned():
            raise AbandonedError
        return results

    def _max_decoding_length(self, sentences: Sequence[list[str]], max_completion_tokens: int | None) -> int:
        """Return the bound for one batch: what the decoder counts is the language token, the answer and its end."""
        bounds = [self._max_target_tokens]
        if max_completion_tokens is not None:
            # One step more than the cap shows whether the answer ends there or is cut off.
            bounds.append(max_completion_tokens + self._has_language + 1)
        if self._has_language:
            bounds.append(_LENGTH_RATIO * max(map(len, sentences)) + _LENGTH_OFFSET)
        return min(bounds)

    def _hypotheses(self, result: TranslationResult) -> list[Decoded]:
        return [_decoded(tokens[self._has_language :]) for tokens in result.hypotheses]


_callbacks: "WeakSet[Callable[[GenerationStepResult], bool]]" = WeakSet()
"""What CTranslate2 was given to call and still holds."""


@atexit.register
def _wait_for_callbacks() -> None:
    """Let CTranslate2's threads drop what they were given to call, which they do a moment after they have returned.

    For that they need Python's lock, and a thread that asks for it once the interpreter ends aborts the process.
    """
    deadline = monotonic() + _EXIT_S
    while _callbacks and monotonic() < deadline:
        sleep(0.001)


class _Steps:
    """Tells of the tokens of a batch as they come.

    The results are of no use to that: they have the hypotheses in the order of their scores.
    """

    def __init__(self, start: int, *, special: int, on_tokens: OnTokens) -> None:
        """Count sentences from ``start``; the first ``special`` tokens of each are no text."""
        self._start = start
        self._special = special
        self._on_tokens = on_tokens
        self._tokens: dict[tuple[int, int], list[str]] = {}
        self.complete = False

    def take(self, step: GenerationStepResult) -> bool:
        """Take a token; return whether decoding is to end."""
        if step.step >= self._special:
            tokens = self._tokens.setdefault((step.batch_id, step.hypothesis_id), [])
            ended = step.token == EOS
            if not ended:
                tokens.append(step.token)
            over = ended if step.is_last or ended else None
            self.complete = self._on_tokens(self._start + step.batch_id, step.hypothesis_id, tokens, over)
        return self.complete


def _decoded(tokens: Sequence[str]) -> Decoded:
    ended = tokens[-1:] == [EOS]
    return Decoded(tokens[:-1] if ended else tokens, ended)


def by_length(sentences: Sequence[list[str]], max_tokens: int) -> Iterator[list[int]]:
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


def in_order(sentences: Sequence[list[str]], max_tokens: int) -> Iterator[range]:
    """Yield ranges of sentences, each twice as long as the one before it, within ``max_tokens`` as above."""
    start, count = 0, 1
    while start < len(sentences):
        stop, longest = start, 0
        for index in range(start, min(start + count, len(sentences))):
            longest = max(longest, len(sentences[index]))
            if index > start and (index - start + 1) * longest > max_tokens:
                break
            stop = index + 1
        yield range(start, stop)
        start, count = stop, 2 * count
