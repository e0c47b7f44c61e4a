"""A file on its way to its name: ranges as they arrive, notes of which there are, one rename at the end."""

import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from handler.errors import DownloadError
from handler.remote_object import RemoteObject

_POLL_S = 0.1


class PartialFile:
    """A file on its way to its name: the bytes so far, and notes of which they are."""

    def __init__(self, remote: RemoteObject, folder: Path, part_bytes: int) -> None:
        """Put a copy of ``remote`` into ``folder``, ``part_bytes`` a range."""
        size = remote.file.size
        self.remote = remote
        self.data = folder / f"{remote.file.name}.part"
        self._final = folder / remote.file.name
        self._notes = folder / f"{remote.file.name}.part.ranges"
        self._heading = f"{remote.etag} {size} {part_bytes}"
        self._parts = [range(start, min(start + part_bytes, size)) for start in range(0, size, part_bytes)]
        self._missing = 0
        self._lock = threading.Lock()

    def begin(self) -> list[range]:
        """Return the ranges to fetch; none if the file is complete."""
        with writing(self._final):
            noted = self._noted()
            missing = [part for part in self._parts if ends(part) not in noted]
            if self._is_complete(missing):
                self._forget()
                return []
            self._final.unlink(missing_ok=True)
            if not noted or not self.data.exists():
                self._notes.unlink(missing_ok=True)  # first, so that notes never outlive the bytes they are of
                self.data.write_bytes(b"")
                self._notes.write_text(self._heading)
                missing = self._parts
            self._missing = len(missing)
            if not missing:
                self._finish()
            return missing

    def note(self, part: range) -> None:
        """Remember that a range has been written, and finish the file with the last one."""
        with self._lock, writing(self._final):
            with self._notes.open("a") as notes:
                # A note that a full disk cuts short is no range, and does not run into the next one.
                notes.write(f"\n{ends(part)}")
            self._missing -= 1
            if not self._missing:
                self._finish()

    def _noted(self) -> set[str]:
        """Return what the notes say; nothing if they are of another object."""
        try:
            heading, *ranges = self._notes.read_text(errors="replace").split("\n")
        except FileNotFoundError:
            return set()
        return {heading, *ranges} if heading == self._heading else set()

    def _is_complete(self, missing: list[range]) -> bool:
        """Look at what an earlier run has finished; without a hash, it is this object's copy if the notes say so."""
        if missing and not self.remote.file.check:
            return False
        try:
            with self._final.open("rb") as stream:
                self.remote.verify(stream)
        except (FileNotFoundError, DownloadError):
            return False
        return True

    def _finish(self) -> None:
        with self.data.open("rb") as stream:
            try:
                self.remote.verify(stream)
            except DownloadError:
                self._notes.unlink()
                self.data.unlink()
                raise
            os.fsync(stream.fileno())
        self.data.replace(self._final)
        self._forget()

    def _forget(self) -> None:
        """Remove the notes, unless they are all there is to tell of which object the file is a copy."""
        if self.remote.file.check:
            self._notes.unlink(missing_ok=True)


def ends(part: range) -> str:
    """Return a range as HTTP writes it."""
    return f"{part[0]}-{part[-1]}"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a second download out of the folder: it would write into files that this one has just checked.

    Raises:
        DownloadError: Another download writes there, or the folder cannot be made.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    try:
        if not _lock(handle):
            message = f"{folder}: another download writes there; wait for it, or name another folder"
            raise DownloadError(message)
        yield
    finally:
        os.close(handle)


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Wait until no other process has the file ``lock``, and keep it from others; it is free when its process ends.

    Raises:
        DownloadError: The file cannot be made, or this process ends.
    """
    with writing(lock):
        lock.parent.mkdir(parents=True, exist_ok=True)
        # A file, and for writing: what NFS makes of flock(2) takes both.
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        while not _lock(handle):
            stop_if_ending(lock)
            time.sleep(_POLL_S)
        yield
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system without locks, as NFS may be
    return True


def stop_if_ending(what: object) -> None:
    """Raise DownloadError if this process is about to end: a thread that went on for minutes would hold it up."""
    # The main thread counts as ended from when the interpreter begins to wait for the others.
    if not threading.main_thread().is_alive():
        message = f"{what}: the process ends; what has been fetched is kept"
        raise DownloadError(message)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into one line about ``path``.

    Raises:
        DownloadError: It cannot be written.
    """
    try:
        yield
    except OSError as error:
        message = f"{path}: cannot be written: {error.strerror}"
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            message += "; make room and try again, what has been fetched is kept"
        raise DownloadError(message) from None
