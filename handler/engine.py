"""Text in, translation out: tokens, CTranslate2, text again. Synchronous; callers keep it off the event loop."""

from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import cycle, islice
from threading import Lock
from time import perf_counter
from typing import TypeVar

from ctranslate2 import Translator

from handler.assembly import Assembler, Choice, State
from handler.batcher import OnBatch, nothing
from handler.cancellation import Cancellation
from handler.decoder import Decoder
from handler.decoding_options import DecodingOptions
from handler.errors import AbandonedError, EngineError, UnsupportedLanguageError
from handler.languages import parse_language
from handler.logprobs import TokenScore, token_scores
from handler.settings import Family
from handler.source import Source, SourceEncoder
from handler.tokenizer import Tokenizer
from handler.transcript import Transcript

T = TypeVar("T")

_LONG_CHARS = 4_000
_long_texts = Lock()
"""Texts of more characters are tokenized one after the other: most of that is Python, which runs one thread at a time,
and each thread more is one that the event loop waits for whenever it comes back from the system."""

OnText = Callable[[int, str], None]
"""Takes the index of a choice and the further text of it."""
OnStart = Callable[[float, float], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """Answers to one request, best first, and what they cost."""

    choices: tuple[Choice, ...]
    prompt_tokens: int
    """Tokens the encoder read, special tokens counted."""
    tokenize_ms: float
    waited_ms: float
    """For other requests: until it was tokenized, and then until its first sentence was decoded."""
    translate_ms: float
    logprobs: tuple[Sequence[TokenScore], ...] = ()
    """Of each choice, if they were asked for."""


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
        normalize: bool,
        fingerprint: str,
        batching: bool = False,
        on_batch: OnBatch = nothing,
    ) -> None:
        """Put a model and its tokenizer together.

        Args:
            translator: The loaded model.
            tokenizer: The tokenizer the model was trained with.
            family: Decides on special tokens, target prefix and sentence splitting.
            languages: Codes the model's vocabulary holds; NLLB alone has any.
            max_source_tokens: Encoder positions, special tokens counted.
            max_target_tokens: Decoder positions, language and end token counted.
            normalize: Whether NLLB's sentences are normalised as its training data was.
            fingerprint: Changes when the model, the engine's version or its numerics do.
            batching: Whether sentences of several requests are decoded together.
            on_batch: Is told of each such batch.
        """
        self._tokenizer = tokenizer
        self._decoder = Decoder(
            translator, family=family, max_target_tokens=max_target_tokens, batching=batching, on_batch=on_batch
        )
        self._encoder = SourceEncoder(
            tokenizer, family=family, max_source_tokens=max_source_tokens, normalize=normalize
        )
        self.family = family
        self.languages = frozenset(languages)
        self.fingerprint = fingerprint

    def translate(
        self,
        text: str,
        *,
        source_lang: str = "",
        target_lang: str = "",
        options: DecodingOptions,
        max_prompt_tokens: int | None = None,
        cancellation: Cancellation | None = None,
        on_start: OnStart = lambda *_: None,
        on_taken: Callable[[], object] = lambda: None,
        on_text: OnText | None = None,
    ) -> Translation:
        """Translate ``text``, or for T5 answer it.

        Args:
            text: For NLLB any number of sentences; its shape is kept. For T5 the whole prompt.
            source_lang: FLORES-200 code; means nothing to T5.
            target_lang: FLORES-200 code; means nothing to T5.
            options: How to search.
            max_prompt_tokens: Longest prompt to accept.
            cancellation: Says when nobody wants the rest: heard at every token, or between batches of a beam.
            on_start: Gets the milliseconds it took to tokenize the text, and those it waited for other requests, before
                anything is decoded.
            on_taken: Is called once no sentence waits for other requests any more.
            on_text: Gets the text of the answer while it is decoded, that of a beam sentence by sentence. Called in
                another thread. What it gets for a choice adds up to its text.

        Raises:
            AbandonedError: Cancelled.
            UnsupportedLanguageError: NLLB does not have one of the languages.
            ContextLengthExceededError: The prompt has more tokens than ``max_prompt_tokens``, or, for T5, than the
                encoder takes. Nothing has been decoded.
            EngineError: CTranslate2 failed.
        """
        asked = perf_counter()
        cancellation = cancellation or Cancellation()
        with _long_texts if len(text) > _LONG_CHARS else nullcontext():
            start = perf_counter()
            if cancellation.cancelled:
                raise AbandonedError
            source = self._encode(text, source_lang, target_lang, max_prompt_tokens)
        tokenized = perf_counter()
        turn_ms, tokenize_ms = (start - asked) * 1e3, (tokenized - start) * 1e3
        waited_ms = 0.0
        transcripts = [Transcript(source.parts, self._assembler(options)) for _ in range(options.hypotheses)]

        def begin(waited: float) -> None:
            nonlocal waited_ms
            waited_ms = waited
            on_start(tokenize_ms, turn_ms + waited)

        def tell(hypothesis: int, further: str) -> None:
            if further and on_text is not None:
                for choice in range(hypothesis, options.num_hypotheses, len(transcripts)):
                    on_text(choice, further)

        def take(sentence: int, hypothesis: int, tokens: Sequence[str], state: State) -> bool:
            tell(hypothesis, transcripts[hypothesis].add(sentence, tokens, state))
            return all(transcript.ended for transcript in transcripts)

        self._decoder.decode(
            source.sentences,
            target_lang,
            options,
            cancellation,
            on_start=begin,
            on_taken=on_taken,
            on_tokens=take,
            live=on_text is not None,
        )
        for hypothesis, transcript in enumerate(transcripts):
            tell(hypothesis, transcript.close())
        answers = [transcript.choice() for transcript in transcripts]
        logprobs = [self._logprobs(source, answer, target_lang, cancellation) for answer in answers if options.logprobs]
        return Translation(
            choices=_repeated(answers, options.num_hypotheses),
            prompt_tokens=source.tokens,
            tokenize_ms=tokenize_ms,
            waited_ms=turn_ms + waited_ms,
            translate_ms=(perf_counter() - tokenized) * 1e3 - waited_ms,
            logprobs=_repeated(logprobs, options.num_hypotheses),
        )

    @property
    def broken(self) -> bool:
        """Whether decoding has failed so often that a new process may be needed."""
        return self._decoder.broken

    def try_again(self) -> bool:
        """Translate a word, and tell whether that went well; past failures are forgotten then."""
        try:
            self.warm_up()
        except EngineError:
            return False
        self._decoder.forget_failures()
        return True

    def close(self) -> None:
        """End its threads and free its memory; what is still asked of it fails."""
        self._decoder.close()

    def warm_up(self) -> None:
        """Translate a word, so that the first request finds every buffer allocated.

        Raises:
            EngineError: CTranslate2 failed.
        """
        language = min(self.languages, default="")
        options = DecodingOptions(max_completion_tokens=1)
        self.translate("Hello", source_lang=language, target_lang=language, options=options)

    def _encode(self, text: str, source_lang: str, target_lang: str, limit: int | None) -> Source:
        if self.family == "nllb":
            self._check_language(source_lang, param="source_lang")
            self._check_language(target_lang, param="target_lang")
        return self._encoder.encode(text, source_lang, target_lang, limit=limit)

    def _check_language(self, code: str, *, param: str) -> None:
        # CTranslate2 would decode an unknown code as <unk>, and say nothing.
        if code not in self.languages:
            parse_language(code, deployed=self.languages, param=param)
            raise UnsupportedLanguageError(code, nearest=sorted(self.languages)[:5], param=param)

    def _assembler(self, options: DecodingOptions) -> Assembler:
        return Assembler(
            decode=self._tokenizer.decode,
            max_completion_tokens=options.max_completion_tokens,
            stop=options.stop,
        )

    def _logprobs(
        self, source: Source, choice: Choice, target_lang: str, cancellation: Cancellation
    ) -> list[TokenScore]:
        sentences = [piece.tokens for piece in choice.pieces if piece.tokens is not None]
        # Sentences that a limit left out have no tokens.
        scores = self._decoder.score(source.sentences[: len(sentences)], sentences, target_lang, cancellation)
        return token_scores(choice, scores, decode=self._tokenizer.decode)


def _repeated(answers: Sequence[T], count: int) -> tuple[T, ...]:
    """Return ``count`` answers: a search gives at most as many as its beam is wide, further choices repeat them."""
    return tuple(islice(cycle(answers), count))
