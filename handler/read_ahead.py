"""Fetches a file into the page cache by many reads at once, where it is not there yet.

Lambda loads a container image lazily: a block of it is fetched over the network when it is first touched ("On-demand
Container Loading in AWS Lambda", USENIX ATC 2023: blocks of 512 KiB). CTranslate2 reads a model in one sequential
stream, and so waits for one block after another; reads side by side wait together.
"""

import os
from threading import Lock, Thread

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
    if size < _SMALLEST or _cached(file, size):
        os.close(file)
        return False
    blocks = iter(range(0, size, _BLOCK))
    lock, left = Lock(), [_THREADS]

    def fetch() -> None:
        buffer = [bytearray(_BLOCK)]
        try:
            # An iterator over a range hands each number to one thread: Python's lock is held while it does.
            for offset in blocks:
                os.preadv(file, buffer, offset)
        except OSError:
            pass
        finally:
            with lock:
                left[0] -= 1
                last = not left[0]
            if last:
                os.close(file)

    for number in range(_THREADS):
        try:
            Thread(target=fetch, name=f"read-ahead-{number}", daemon=True).start()
        except RuntimeError:
            # No further thread is to be had; those that run read it all, and this one's share of the count is over.
            with lock:
                left[0] -= _THREADS - number
                none = not left[0]
            if none:
                os.close(file)
            break
    return True


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
