"""A file system whose files come in blocks that each take a while when they are first touched: a lazily loaded image.

``python lazy_files.py FOLDER MOUNT_POINT BLOCK_BYTES DELAY_MS`` serves until it is unmounted. What AWS's own delay is,
AWS does not publish: the delay is an assumption, and so is that blocks are fetched side by side without slowing down.
"""

import errno
import os
import sys
import time
from pathlib import Path
from threading import Event, Lock
from typing import Any

import mfusepy

_ATTRIBUTES = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid")


class LazyFiles(mfusepy.Operations):  # type: ignore[misc] # the package has no types
    """The files of one folder, read-only."""

    use_ns = True

    def __init__(self, folder: Path, block: int, delay_s: float) -> None:
        self._folder = folder
        self._block = block
        self._delay_s = delay_s
        self._lock = Lock()
        self._fetched: dict[tuple[str, int], Event] = {}

    def getattr(self, path: str, _: int | None = None) -> dict[str, Any]:
        """Return what stat would."""
        try:
            stat = os.lstat(self._folder / path.lstrip("/"))
        except OSError as error:
            raise mfusepy.FuseOSError(error.errno or errno.EIO) from None
        return {key: getattr(stat, key) for key in _ATTRIBUTES}

    def readdir(self, path: str, _: int) -> list[str]:
        """List a folder."""
        return [".", "..", *(entry.name for entry in (self._folder / path.lstrip("/")).iterdir())]

    def open(self, path: str, _: int) -> int:
        """Open a file."""
        return os.open(self._folder / path.lstrip("/"), os.O_RDONLY)

    def release(self, _: str, fh: int) -> int:
        """Close a file."""
        os.close(fh)
        return 0

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """Return bytes of a file, after its blocks have been fetched."""
        for number in range(offset // self._block, (offset + size - 1) // self._block + 1):
            with self._lock:
                fetched = self._fetched.get((path, number))
                first = fetched is None
                if fetched is None:
                    fetched = self._fetched[path, number] = Event()
            if first:
                time.sleep(self._delay_s)
                fetched.set()
            else:
                fetched.wait()
        return os.pread(fh, size, offset)


def main() -> None:
    """Serve."""
    folder, mount_point, block, delay_ms = sys.argv[1:]
    files = LazyFiles(Path(folder), int(block), float(delay_ms) / 1000)
    mfusepy.FUSE(files, mount_point, foreground=True, ro=True, allow_other=True, max_background=64)


if __name__ == "__main__":
    main()
