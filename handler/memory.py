"""Memory that is free and still counted as this process's."""

import ctypes
import gc


def return_memory() -> None:
    """Give what is free back to the system, as far as the C library can."""
    # What an error's traceback and its frames keep alive of each other goes now, and with it what they refer to.
    gc.collect()
    # glibc keeps what was freed for what comes next: of a model that is loaded for the second time, nearly all of it.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
