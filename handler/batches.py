"""Which sentences are decoded together: alike in length for a whole answer, in reading order for a streamed one."""

from collections.abc import Iterator, Sequence


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
