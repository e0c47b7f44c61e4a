"""What CTranslate2 calls at every token: it tells of the token, and ends the decoding of what nobody wants."""

from collections.abc import Sequence
from time import monotonic, sleep
from weakref import WeakSet

from ctranslate2 import GenerationStepResult

from handler.tasks import Sentence

_EXIT_S = 2.0
"""Longest wait for CTranslate2's threads when the process ends."""


class Steps:
    """Takes the steps of one batch.

    The results of the batch are of no use to a stream: they have the hypotheses in the order of their scores.
    """

    def __init__(self, sentences: Sequence[Sentence], *, special: int) -> None:
        """Take steps.

        Args:
            sentences: The batch.
            special: Tokens at the head of each hypothesis that are no text.
        """
        self._sentences = sentences
        self._special = special
        _alive.add(self)

    def __call__(self, step: GenerationStepResult) -> bool:
        """Take a step; return whether the decoding of this hypothesis is to end."""
        sentence = self._sentences[step.batch_id]
        if step.step < self._special:
            return sentence.task.over
        return sentence.step(step.hypothesis_id, step.token, last=step.is_last)


_alive: "WeakSet[Steps]" = WeakSet()
"""What CTranslate2 was given to call and still holds."""


def wait_for_ctranslate2() -> None:
    """Before the process ends, let CTranslate2's threads drop what they were given to call.

    They do so a moment after they have returned, and need Python's lock for it: a thread that asks for that once the
    interpreter ends aborts the process.
    """
    deadline = monotonic() + _EXIT_S
    while _alive and monotonic() < deadline:
        sleep(0.001)
