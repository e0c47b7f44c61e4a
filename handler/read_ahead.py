"""Fetches a file into the page cache by many reads at once, where it is not there yet.

Lambda loads a container image lazily: a block of it is fetched over the network when it is first touched ("On-demand
Container Loading in AWS Lambda", USENIX ATC 2023: blocks of 512 KiB). CTranslate2 reads a model in one sequential
stream, and so waits for one block after another; reads side by side wait together.
"""

from __future__ import annotations

import os
from threading import Thread

TYPE_CHECKING = False
# As typing has it, without typing: its import takes milliseconds.
if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 524_288
_THREADS = 32
_SMALLEST = 16 * _BLOCK
"""A file of fewer blocks is read as fast by the one who loads it."""
_PROBES = 8


def read_ahead(path: str) -> bool:
    """Begin to fetch the file at ``path``; return whether that was necessary.

    The threads end by themselves. A file that cannot be read is left to whoever loads it to complain about.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    size = os.fstat(file).st_size
    if size >= _SMALLEST and not _cached(file, size) and _start(Thread(target=_fetch_all, args=(file, size))):
        return True
    os.close(file)
    return False


def _start(thread: Thread) -> bool:
    """Start a thread that nobody waits for; return whether it could be started."""
    thread.name, thread.daemon = "read-ahead", True
    try:
        thread.start()
    except RuntimeError:
        return False
    return True


def _fetch_all(file: int, size: int) -> None:
    """Read the file to its end, in this thread and as many others as can be started, and close it."""
    # An iterator over a range hands each number to one thread: Python's lock is held while it does.
    blocks = iter(range(0, size, _BLOCK))
    others = [Thread(target=_fetch, args=(file, blocks)) for _ in range(_THREADS - 1)]
    started = [thread for thread in others if _start(thread)]
    _fetch(file, blocks)
    for thread in started:
        thread.join()
    os.close(file)


def _fetch(file: int, blocks: Iterator[int]) -> None:
    buffer = [bytearray(_BLOCK)]
    try:
        for offset in blocks:
            os.preadv(file, buffer, offset)
    except OSError:
        pass


def _cached(file: int, size: int) -> bool:
    """Tell whether the pages of a file are in memory, by some of them; no where the kernel cannot tell.

    ``RWF_NOWAIT`` makes a read fail that would have to wait for the disk (preadv2(2)).
    """
    page = [bytearray(1)]
    try:
        for number in range(_PROBES):
            os.preadv(file, page, size * number // _PROBES, os.RWF_NOWAIT)
    except (OSError, AttributeError):
        return False
    return True
