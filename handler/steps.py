"""What CTranslate2 calls at every token: it tells of the token, and ends the decoding of what nobody wants."""

import atexit
from collections.abc import Callable, Sequence
from time import monotonic, sleep
from weakref import WeakSet

from ctranslate2 import GenerationStepResult

from handler.assembly import State
from handler.tokenizer import EOS

OnTokens = Callable[[int, int, Sequence[str], State], bool]
"""Takes the index of a sentence, that of a hypothesis, its tokens so far, and whether it goes on; returns whether the
answers are complete and nothing more is to be decoded. Must not raise."""

_EXIT_S = 2.0
"""Longest wait for CTranslate2's threads when the process ends."""


class Steps:
    """Takes the steps of one batch.

    The results of the batch are of no use to a stream: they have the hypotheses in the order of their scores.
    """

    def __init__(
        self, bounds: Sequence[int], *, start: int, special: int, abandoned: Callable[[], bool], on_tokens: OnTokens
    ) -> None:
        """Take steps.

        Args:
            bounds: Tokens after which each sentence of the batch is cut.
            start: Index of the batch's first sentence.
            special: Tokens at the head of each hypothesis that are no text.
            abandoned: Whether nobody waits any more.
            on_tokens: Is told of every token.
        """
        self._bounds = bounds
        self._start = start
        self._special = special
        self._abandoned = abandoned
        self._on_tokens = on_tokens
        self._tokens: dict[tuple[int, int], list[str]] = {}
        self._over: set[tuple[int, int]] = set()
        self.complete = False
        _alive.add(self)

    def __call__(self, step: GenerationStepResult) -> bool:
        """Take a step; return whether decoding is to end."""
        if self._abandoned():
            return True
        hypothesis = step.batch_id, step.hypothesis_id
        if step.step >= self._special and hypothesis not in self._over:
            tokens = self._tokens.setdefault(hypothesis, [])
            state: State = "ended"
            if step.token != EOS:
                tokens.append(step.token)
                state = "cut" if step.is_last or len(tokens) >= self._bounds[step.batch_id] else "growing"
            if state != "growing":
                self._over.add(hypothesis)
            self.complete = self._on_tokens(self._start + step.batch_id, step.hypothesis_id, tokens, state)
        return self.complete


_alive: "WeakSet[Steps]" = WeakSet()
"""What CTranslate2 was given to call and still holds."""


@atexit.register
def _wait_for_ctranslate2() -> None:
    """Let CTranslate2's threads drop what they were given to call, which they do a moment after they have returned.

    For that they need Python's lock, and a thread that asks for it once the interpreter ends aborts the process.
    """
    deadline = monotonic() + _EXIT_S
    while _alive and monotonic() < deadline:
        sleep(0.001)
