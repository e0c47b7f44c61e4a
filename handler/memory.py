"""Memory that is free and still counted as this process's."""

import ctypes
import gc


def return_memory() -> None:
    """Give what is free back to the system, as far as the C library can."""
    gc.collect()
    # glibc keeps what was freed for what comes next, and knows how to let go (malloc_trim(3)); musl has no need to.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
