"""Tokens in, tokens out: the calls of CTranslate2, in batches, with every option named. Synchronous."""

import handler.openmp  # noqa: F401 - before ctranslate2

# isort: split
from collections.abc import Callable, Iterable, Sequence
from time import monotonic, sleep

from ctranslate2 import TranslationResult, Translator

from handler.assembly import Decoded
from handler.batcher import Batcher, Careful, OnBatch, Unbatched
from handler.batches import by_length, in_order
from handler.cancellation import Cancellation
from handler.decoding_options import DecodingOptions
from handler.errors import AbandonedError, EngineError
from handler.settings import Family
from handler.steps import Steps
from handler.tasks import OnTokens, Sentence, Task
from handler.tokenizer import EOS

PATIENCE = 2.0
"""Beam search goes on until ``beam_size * PATIENCE`` hypotheses are finished (https://arxiv.org/abs/2204.05424).

At CTranslate2's default of 1 it stops too early and drops words; at 2 it gave what transformers' search gives on all of
200 sentences of each demo model, though the two end by different rules.
"""

_SCORED_TOKENS = 256
"""Target tokens, padding included, whose probabilities are computed at once: each has a float for every row of the
vocabulary, 1 MB with NLLB's 256,206."""

_UNLOAD_S, _PAUSE_S = 60.0, 0.01
"""Longest wait for what is still decoded when the model is unloaded, and how often it is tried."""

_CUDA_CANDIDATES = 64
"""Of the likeliest tokens, from which ``top_p`` draws on a GPU."""

_LENGTH_RATIO, _LENGTH_OFFSET = 3, 64
"""A translation longer than ``3 * source + 64`` tokens is a loop, not a translation.

Without this bound one garbled sentence would decode up to the last position, for minutes on a CPU. The factor is this
project's choice: wide enough for a language whose words NLLB spells in two or three pieces where English has one.
"""


class Decoder:
    """A CTranslate2 translator and how this service calls it. Thread-safe, as the translator is."""

    def __init__(
        self, translator: Translator, *, family: Family, max_target_tokens: int, batching: bool, on_batch: OnBatch
    ) -> None:
        """Decode with ``translator``.

        Args:
            translator: The loaded model.
            family: Decides on the target prefix.
            max_target_tokens: Decoder positions, language and end token counted.
            batching: Whether sentences of several requests are decoded together.
            on_batch: Is told of each such batch.
        """
        self._translator = translator
        self._max_target_tokens = max_target_tokens
        self._has_language = family == "nllb"
        self._careful = Careful(self._decode, translator.device)
        self._runner = (
            Batcher(self._careful, replicas=translator.num_translators, on_batch=on_batch)
            if batching
            else Unbatched(self._careful)
        )

    @property
    def broken(self) -> bool:
        """Whether CTranslate2 has failed so often that a new process may be needed."""
        return self._careful.broken

    def forget_failures(self) -> None:
        """Take the engine for a good one again."""
        self._careful.forget_failures()

    def close(self) -> None:
        """End its threads and free the weights; a GPU's allocator would keep what merely nobody refers to."""
        self._runner.close()
        self._runner.join()
        # CTranslate2 says nothing and does nothing while a batch runs: one whose requests were given up has no user.
        deadline = monotonic() + _UNLOAD_S
        while self._translator.model_is_loaded and monotonic() < deadline:
            self._translator.unload_model()
            sleep(_PAUSE_S)

    def decode(
        self,
        sentences: Sequence[list[str]],
        target_lang: str,
        options: DecodingOptions,
        cancellation: Cancellation,
        *,
        on_start: Callable[[float], object],
        on_taken: Callable[[], object],
        on_tokens: OnTokens,
        live: bool,
    ) -> None:
        """Decode sentences, the longest first: little of a batch is padding when they are alike.

        Args:
            sentences: Source tokens.
            target_lang: FLORES-200 code; means nothing to T5.
            options: How to search.
            cancellation: Ends the decoding: at the next token, or after the batch where there is a beam.
            on_start: Gets the milliseconds that the first sentence has waited for others.
            on_taken: Is called when none waits any more.
            on_tokens: Is told of every hypothesis of every sentence, in other threads.
            live: Tell at every token, or sentence by sentence where there is a beam, in reading order: the first
                sentence by itself, the others in batches that grow.

        Raises:
            AbandonedError: Cancelled.
            EngineError: CTranslate2 failed.
        """
        order = range(len(sentences))
        shares = list(in_order(order)) if live else [sorted(order, key=lambda index: -len(sentences[index]))]
        for number, share in enumerate(shares, start=1):
            task = Task(
                options=options,
                cancellation=cancellation,
                on_start=on_start if number == 1 else _ignore,
                on_taken=on_taken if number == len(shares) else _ignore,
                on_tokens=on_tokens,
                live=live,
            )
            for index in share:
                bound = self._bound(sentences[index], options)
                task.add(index, sentences[index], target_lang=target_lang, bound=bound)
            self._runner.run(task)
            if task.complete:
                return

    def score(
        self,
        sentences: Sequence[list[str]],
        translations: Sequence[Sequence[str]],
        target_lang: str,
        cancellation: Cancellation,
    ) -> list[list[float]]:
        """Return the natural logarithm of the probability that the model gives each token of each translation.

        Raises:
            AbandonedError: Cancelled.
            EngineError: CTranslate2 failed.
        """
        special = int(self._has_language)
        targets = [[*[target_lang] * special, *tokens] for tokens in translations]
        scores: dict[int, list[float]] = {}
        for batch in by_length(targets, _SCORED_TOKENS):
            if cancellation.cancelled:
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

    def _decode(self, batch: Sequence[Sentence]) -> None:
        """Decode one batch.

        Raises:
            EngineError: CTranslate2 failed.
        """
        search = batch[0].task.search
        beam_size = 1 if search.sampling else search.beam_size
        longest = max(sentence.bound for sentence in batch)
        if search.max_completion_tokens is not None:
            longest = min(longest, search.max_completion_tokens + 1)
        try:
            results = self._translator.translate_batch(
                [sentence.tokens for sentence in batch],
                target_prefix=[[sentence.target_lang] for sentence in batch] if self._has_language else None,
                beam_size=beam_size,
                patience=PATIENCE if beam_size > 1 else 1.0,
                num_hypotheses=search.hypotheses,
                length_penalty=search.length_penalty,
                repetition_penalty=search.repetition_penalty,
                no_repeat_ngram_size=search.no_repeat_ngram_size,
                sampling_topk=self._candidates(search),
                sampling_topp=search.sampling_topp,
                sampling_temperature=search.sampling_temperature,
                # 0: what is too long was refused or split above; CTranslate2 would silently truncate it.
                max_input_length=0,
                # The decoder counts the language, the translation and its end.
                max_decoding_length=self._has_language + longest,
                return_end_token=True,
                callback=Steps(batch, special=int(self._has_language)) if search.step_by_step else None,
            )
        except (RuntimeError, ValueError) as error:
            raise EngineError from error
        for sentence, result in zip(batch, results, strict=True):
            sentence.end(list(self._hypotheses(result, sentence.bound)))

    def _candidates(self, search: DecodingOptions) -> int:
        """Return how many tokens one is drawn from; 0 is the whole vocabulary."""
        if not search.sampling:
            return 1
        # CTranslate2 refuses to mask the unlikely ones of more than 8,192 on a GPU (its topp_mask_gpu.cu).
        return _CUDA_CANDIDATES if search.sampling_topp < 1 and self._translator.device == "cuda" else 0

    def _bound(self, sentence: Sequence[str], options: DecodingOptions) -> int:
        """Return the most tokens of a translation, whatever is decoded beside it."""
        bound = self._max_target_tokens - self._has_language
        if self._has_language:
            bound = min(bound, _LENGTH_RATIO * len(sentence) + _LENGTH_OFFSET - 1)
        if options.step_by_step and options.max_completion_tokens is not None:
            # One step more than the cap shows whether the answer ends there or is cut off.
            bound = min(bound, options.max_completion_tokens + 1)
        return bound

    def _hypotheses(self, result: TranslationResult, bound: int) -> Iterable[Decoded]:
        for hypothesis in result.hypotheses:
            tokens = hypothesis[self._has_language :]
            if tokens[-1:] == [EOS]:
                yield Decoded(tokens[:-1], ended=True) if len(tokens) <= bound else Decoded(tokens[:bound], ended=False)
            else:
                yield Decoded(tokens[:bound], ended=False)


def _ignore(*_: float) -> None:
    """Take what is of interest once."""
