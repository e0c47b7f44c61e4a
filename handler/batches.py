"""Which sentences are decoded together, and how many."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from handler.tasks import Sentence, Task

_AIM_S = 1.0
"""How long a batch is to take: so long others wait for their turn, and a beam goes on for nobody."""
_LEAST_TOKENS = 1024
"""32 sentences of 32 tokens: in smaller batches each costs notably more."""
_MOST_TOKENS = {"cpu": 2048, "cuda": 16_384}
"""By device. On a CPU larger batches cost more for each sentence, not less: they no longer fit into its caches. On a
GPU it is memory that is bounded."""
_FILLED = 0.5
"""How full a batch has to be to tell how long one takes that is full."""


class Budget:
    """How many source tokens a batch may have, padding included and once for each hypothesis of a sentence.

    Learnt from how long batches take: what takes a small model a moment takes a large one a minute.
    """

    def __init__(self, device: str) -> None:
        """Begin small on a device, ``cpu`` or ``cuda``."""
        self._most = _MOST_TOKENS[device]
        self.tokens = _LEAST_TOKENS

    def learn(self, batch: Sequence[Sentence], took_s: float) -> None:
        """Take note of a batch that was decoded to its end."""
        if padded(batch) >= _FILLED * self.tokens:
            fitting = int(padded(batch) * _AIM_S / max(took_s, 1e-6))
            self.tokens = max(_LEAST_TOKENS, min(fitting, 2 * self.tokens, self._most))

    def shrink(self) -> None:
        """Take note of a batch that could not be decoded."""
        self.tokens = max(_LEAST_TOKENS, self.tokens // 2)


def padded(batch: Sequence[Sentence]) -> int:
    """Return the source tokens of ``batch``, padding included and once for each hypothesis of a sentence."""
    width = batch[0].task.search.width
    return len(batch) * max(len(sentence.tokens) for sentence in batch) * width


def next_batch(tasks: Iterable[Task], max_tokens: int) -> list[Sentence]:
    """Take the sentences out of ``tasks`` that are to be decoded next.

    The first task decides on the search, and those that share it give a sentence each, in turns: a document does not
    keep single sentences waiting.

    Args:
        tasks: In the order of their turns; each has a sentence at least.
        max_tokens: As :func:`padded` counts them. A single sentence may have more.
    """
    turns = deque(tasks)
    search = turns[0].search
    batch: list[Sentence] = []
    longest, shortest = 0, max_tokens
    while turns:
        task = turns.popleft()
        sentence = task.next
        if sentence is None or task.search != search:
            continue
        length = len(sentence.tokens)
        fits = (len(batch) + 1) * max(longest, length) * search.width <= max_tokens
        # A sentence of a beam is certain when all of its batch are: it should not wait for much longer ones.
        alike = search.step_by_step or max(longest, length) <= 2 * min(shortest, length) + 8
        if not batch or (fits and alike):
            batch.append(task.take())
            longest, shortest = max(longest, length), min(shortest, length)
            turns.append(task)
    return batch


def in_order(sentences: range) -> Iterator[range]:
    """Yield parts of a range, each twice as long as the one before it: the first text of a stream comes soon."""
    count = 1
    while sentences:
        yield sentences[:count]
        sentences, count = sentences[count:], 2 * count


def by_length(sequences: Sequence[list[str]], max_tokens: int) -> Iterator[list[int]]:
    """Yield indices of sequences, longest first, so many at once that padded they have at most ``max_tokens``."""
    batch: list[int] = []
    longest = 0
    for index in sorted(range(len(sequences)), key=lambda index: -len(sequences[index])):
        longest = longest or len(sequences[index])
        if batch and (len(batch) + 1) * longest > max_tokens:
            yield batch
            batch, longest = [], len(sequences[index])
        batch.append(index)
    if batch:
        yield batch
