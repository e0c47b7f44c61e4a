"""Sentences on their way through the engine: what one request wants decoded, and what has come of it.

A batch may hold sentences of several requests. What becomes of one of them is told to its own request alone, and as
soon as it is certain: a request waits for its own sentences, not for those they are decoded with.
"""

from collections import deque
from collections.abc import Callable, Sequence
from threading import Event, Lock
from time import perf_counter

from handler.assembly import Decoded, State
from handler.cancellation import Cancellation
from handler.decoding_options import DecodingOptions
from handler.errors import AbandonedError
from handler.tokenizer import EOS

OnTokens = Callable[[int, int, Sequence[str], State], bool]
"""Takes the index of a sentence, that of a hypothesis, its tokens so far, and whether it goes on; returns whether the
answers are complete and nothing more is to be decoded."""


class Task:
    """Sentences of one request that are decoded with one search. Thread-safe."""

    def __init__(
        self,
        *,
        options: DecodingOptions,
        cancellation: Cancellation,
        on_start: Callable[[float], object],
        on_taken: Callable[[], object],
        on_tokens: OnTokens,
        live: bool,
    ) -> None:
        """Begin without sentences.

        Args:
            options: How to search.
            cancellation: Ends the task.
            on_start: Gets the milliseconds until the first sentence goes into a batch, when it does.
            on_taken: Is called when the last one does.
            on_tokens: Is told of every sentence, and never twice at the same time.
            live: Whether it is told at every token, where tokens are certain one by one.
        """
        self.search = options.search
        """What tasks have to share for their sentences to be decoded together."""
        self._cancellation = cancellation
        self._on_start: Callable[[float], object] | None = on_start
        self._on_taken = on_taken
        self.begun_s = perf_counter()
        """By the clock of ``time.perf_counter``."""
        self.ended_s: float | None = None
        """When it was answered or failed, while somebody waited for that."""
        self._on_tokens = on_tokens
        self.live = live
        """Whether tokens that were told once may be seen already."""
        self._waiting: deque[Sentence] = deque()
        self.waiting_tokens = 0
        """Source tokens of the sentences that wait, once for each hypothesis."""
        self._unfinished = 0
        self._lock = Lock()
        self._done = Event()
        self._error: Exception | None = None
        self.complete = False
        """Whether ``on_tokens`` said so."""

    def add(self, index: int, tokens: list[str], *, target_lang: str, bound: int) -> None:
        """Append a sentence, before the task is handed on.

        Args:
            index: What ``on_tokens`` knows it by.
            tokens: Of the source.
            target_lang: FLORES-200 code; means nothing to T5.
            bound: Most tokens of its translation.
        """
        self._waiting.append(Sentence(self, index, tokens, target_lang=target_lang, bound=bound))
        self.waiting_tokens += len(tokens) * self.search.width
        self._unfinished += 1

    @property
    def over(self) -> bool:
        """Whether nothing more is wanted."""
        return self._done.is_set() or self._cancellation.cancelled

    @property
    def next(self) -> "Sentence | None":
        """The sentence that waits longest."""
        return self._waiting[0] if self._waiting else None

    def take(self) -> "Sentence":
        """Take that sentence out, to be decoded."""
        on_start, self._on_start = self._on_start, None
        sentence = self._waiting.popleft()
        self.waiting_tokens -= len(sentence.tokens) * self.search.width
        try:
            if on_start is not None:
                on_start((perf_counter() - self.begun_s) * 1e3)
            if not self._waiting:
                self._on_taken()
        except Exception as error:  # noqa: BLE001 - as in tell
            self.fail(error)
        return sentence

    def fail(self, error: Exception) -> None:
        """End the task with ``error``."""
        with self._lock:
            if not self._done.is_set():
                self._end(error)

    def wait(self) -> None:
        """Return once every sentence is decoded, or the answers are complete without.

        Raises:
            AbandonedError: Nobody waits for them any more.
            Exception: Whatever it failed with.
        """
        if self._unfinished:
            with self._cancellation.told(self._done.set):
                self._done.wait()
        if self._cancellation.cancelled:
            raise AbandonedError
        if self._error is not None:
            raise self._error

    def tell(self, sentence: "Sentence", hypothesis: int, tokens: Sequence[str], state: State) -> None:
        """Pass on what a hypothesis of a sentence has come to."""
        if state == "growing" and not self.live:
            return
        with self._lock:
            if self.over:
                return
            try:
                self.complete = self._on_tokens(sentence.index, hypothesis, tokens, state)
            except Exception as error:  # noqa: BLE001 - a fault of one request is not to take its batch mates along
                self._end(error)
                return
            if sentence.finished:
                self._unfinished -= 1
            if self.complete or not self._unfinished:
                self._end()

    def _end(self, error: Exception | None = None) -> None:
        self._error = error
        self.ended_s = perf_counter()
        self._done.set()


class Sentence:
    """One sentence of a task, while it is decoded."""

    def __init__(self, task: Task, index: int, tokens: list[str], *, target_lang: str, bound: int) -> None:
        """Begin with nothing decoded; the arguments are those of :meth:`Task.add`."""
        self.task = task
        self.index = index
        self.tokens = tokens
        self.target_lang = target_lang
        self.bound = bound
        self._decoded: dict[int, list[str]] = {}
        self._over: set[int] = set()

    @property
    def finished(self) -> bool:
        """Whether all its hypotheses are over."""
        return len(self._over) == self.task.search.hypotheses

    @property
    def told(self) -> bool:
        """Whether anything has been decoded of it."""
        return bool(self._decoded)

    def restart(self) -> None:
        """Forget what was decoded of hypotheses that are not over."""
        self._decoded.clear()

    def step(self, hypothesis: int, token: str, *, last: bool) -> bool:
        """Take the next token of a hypothesis.

        Args:
            hypothesis: Its index.
            token: What was decoded.
            last: Whether CTranslate2 ends the hypothesis here.

        Returns:
            Whether decoding it is to end.
        """
        if self.task.over or hypothesis in self._over:
            return True
        tokens = self._decoded.setdefault(hypothesis, [])
        state: State = "ended"
        if token != EOS or not last:
            # What looks like the end and is none to CTranslate2 is a token like any other: a model converted wrongly is
            # not to look right here and be wrong with a beam.
            tokens.append(token)
            state = "cut" if last or len(tokens) >= self.bound else "growing"
        if state != "growing":
            self._over.add(hypothesis)
        self.task.tell(self, hypothesis, tokens, state)
        return state == "cut" or self.task.over

    def end(self, hypotheses: Sequence[Decoded]) -> None:
        """Take the hypotheses that a search has found, best first; it may find fewer than it was asked for."""
        if self.task.over:
            return
        for number in range(self.task.search.hypotheses):
            if number not in self._over:
                decoded = hypotheses[number % len(hypotheses)]
                self._over.add(number)
                self.task.tell(self, number, decoded.tokens, "ended" if decoded.ended else "cut")
