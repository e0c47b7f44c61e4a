"""Tokens in, tokens out: the calls of CTranslate2, in batches, with every option named. Synchronous."""

import handler.openmp  # noqa: F401 - before ctranslate2

# isort: split
from collections.abc import Callable, Iterable, Sequence

from ctranslate2 import TranslationResult, Translator

from handler.assembly import Decoded
from handler.batches import by_length, in_order
from handler.decoding_options import DecodingOptions
from handler.errors import AbandonedError, EngineError
from handler.settings import Family
from handler.steps import OnTokens, Steps
from handler.tokenizer import EOS

PATIENCE = 2.0
"""Beam search goes on until ``beam_size * PATIENCE`` hypotheses are finished (https://arxiv.org/abs/2204.05424).

At CTranslate2's default of 1 it stops too early and drops words; at 2 it gave what transformers' search gives on all of
200 sentences of each demo model, though the two end by different rules.
"""

_BATCH_TOKENS = 4096
"""Source tokens, padding included and once for each beam, that are decoded at once: bounds a long document's memory,
and how long a beam goes on for nobody."""

_SCORED_TOKENS = 256
"""Target tokens, padding included, whose probabilities are computed at once: each has a float for every row of the
vocabulary, 1 MB with NLLB's 256,206."""

_LENGTH_RATIO, _LENGTH_OFFSET = 3, 64
"""A translation longer than ``3 * source + 64`` tokens is a loop, not a translation.

Without this bound one garbled sentence would decode up to the last position, for minutes on a CPU. The factor is this
project's choice: wide enough for a language whose words NLLB spells in two or three pieces where English has one.
"""


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
            texts = [sentences[index] for index in batch]
            steps = self._steps(texts, abandoned) if options.step_by_step else None
            decoded = self._decode(texts, target_lang, options, abandoned, steps)
            results.update(zip(batch, decoded, strict=True))
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
            on_tokens: Called in a thread of CTranslate2's.

        Raises:
            AbandonedError: ``abandoned`` said so.
            EngineError: CTranslate2 failed.
        """
        for batch in in_order(sentences, _BATCH_TOKENS // options.width):
            texts = sentences[batch.start : batch.stop]
            if options.step_by_step:
                steps = self._steps(texts, abandoned, start=batch.start, on_tokens=on_tokens)
                self._decode(texts, target_lang, options, abandoned, steps)
                complete = steps.complete
            else:
                complete = False
                for index, hypotheses in zip(batch, self._decode(texts, target_lang, options, abandoned), strict=True):
                    for number in range(options.hypotheses):
                        # CTranslate2 may find fewer than it was asked for: then they repeat.
                        decoded = hypotheses[number % len(hypotheses)]
                        complete = on_tokens(index, number, decoded.tokens, "ended" if decoded.ended else "cut")
            if complete:
                return

    def score(
        self,
        sentences: Sequence[list[str]],
        translations: Sequence[Sequence[str]],
        target_lang: str,
        abandoned: Callable[[], bool],
    ) -> list[list[float]]:
        """Return the natural logarithm of the probability that the model gives each token of each translation.

        Raises:
            AbandonedError: ``abandoned`` said that nobody wants the rest.
            EngineError: CTranslate2 failed.
        """
        special = int(self._has_language)
        targets = [[*[target_lang] * special, *tokens] for tokens in translations]
        scores: dict[int, list[float]] = {}
        for batch in by_length(targets, _SCORED_TOKENS):
            if abandoned():
                raise AbandonedError
            try:
                results = self._translator.score_batch(
                    [sentences[index] for index in batch], [targets[index] for index in batch], max_input_length=0
                )
            except (RuntimeError, ValueError) as error:
                raise EngineError from error
            # Before them the language, after them the end of the sentence.
            scores.update(
                (index, result.log_probs[special : len(targets[index])])
                for index, result in zip(batch, results, strict=True)
            )
        return [scores[index] for index in range(len(targets))]

    def _steps(
        self,
        sentences: Sequence[list[str]],
        abandoned: Callable[[], bool],
        *,
        start: int = 0,
        on_tokens: OnTokens = lambda *_: False,
    ) -> Steps:
        return Steps(
            [self._bound(sentence) for sentence in sentences],
            start=start,
            special=int(self._has_language),
            abandoned=abandoned,
            on_tokens=on_tokens,
        )

    def _decode(
        self,
        sentences: Sequence[list[str]],
        target_lang: str,
        options: DecodingOptions,
        abandoned: Callable[[], bool],
        steps: Steps | None = None,
    ) -> list[list[Decoded]]:
        """Decode one batch; ``steps`` may end it early."""
        if abandoned():
            raise AbandonedError
        beam_size = 1 if options.sampling else options.beam_size
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
                callback=steps,
            )
        except (RuntimeError, ValueError) as error:
            raise EngineError from error
        if abandoned():
            raise AbandonedError
        return [
            list(self._hypotheses(result, self._bound(sentence)))
            for result, sentence in zip(results, sentences, strict=True)
        ]

    def _bound(self, sentence: Sequence[str]) -> int:
        """Return the most tokens of a translation, whatever is decoded beside it."""
        positions = self._max_target_tokens - self._has_language
        if not self._has_language:
            return positions
        return min(positions, _LENGTH_RATIO * len(sentence) + _LENGTH_OFFSET - 1)

    def _max_decoding_length(self, sentences: Sequence[list[str]], max_completion_tokens: int | None) -> int:
        """Return the bound for one batch: what the decoder counts is the language token, the answer and its end."""
        longest = max(map(self._bound, sentences))
        if max_completion_tokens is not None:
            # One step more than the cap shows whether the answer ends there or is cut off.
            longest = min(longest, max_completion_tokens + 1)
        return self._has_language + longest

    def _hypotheses(self, result: TranslationResult, bound: int) -> Iterable[Decoded]:
        for hypothesis in result.hypotheses:
            tokens = hypothesis[self._has_language :]
            if tokens[-1:] == [EOS]:
                yield Decoded(tokens[:-1], ended=True) if len(tokens) <= bound else Decoded(tokens[:bound], ended=False)
            else:
                yield Decoded(tokens[:bound], ended=False)
