"""The folder a bake writes: built under another name beside it, then put in its place by one rename."""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model_bake.errors import OutputError
from model_bake.progress import format_size

_UNFINISHED = ".baking-"
_EPOCH = 315_532_800
"""1980-01-01, the earliest date every archive format can hold: what files are dated without ``SOURCE_DATE_EPOCH``."""


@contextmanager
def workspace(output: Path, *, force: bool) -> Iterator[Path]:
    """Give an empty folder beside ``output`` for the time of the block, and remove what is left in it.

    It is locked while it is in use: what a killed bake left behind is found unlocked, and removed by the next one.

    Raises:
        OutputError: ``output`` is there already and ``force`` is not given, or nothing can be written there.
    """
    output = output.absolute()
    _check_target(output, force=force)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        _sweep(output)
        folder = Path(tempfile.mkdtemp(prefix=f".{output.name}{_UNFINISHED}", dir=output.parent))
    except OSError as error:
        message = f"--output {output}: cannot write into {output.parent}: {error.strerror}"
        raise OutputError(message) from None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise
        message = f"--output {output}: {error.strerror}; {format_size(free_bytes(output))} are free"
        raise OutputError(message) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _check_target(output: Path, *, force: bool) -> None:
    if output.is_symlink() or (output.exists() and not output.is_dir()):
        message = f"--output {output}: not a folder"
        raise OutputError(message)
    if force and (output == Path.cwd() or output in Path.cwd().parents):
        message = f"--output {output}: this is the working directory, or holds it; name a folder of the model's own"
        raise OutputError(message)
    if output.is_dir() and any(output.iterdir()):
        if not force:
            message = f"--output {output}: is there already; --force replaces it"
            raise OutputError(message)
        if not (output / "manifest.json").is_file():
            message = f"--output {output}: holds no manifest.json, so it is no baked model, and --force leaves it alone"
            raise OutputError(message)


def _sweep(output: Path) -> None:
    """Remove what killed bakes of ``output`` have left."""
    for folder in output.parent.glob(f".{output.name}{_UNFINISHED}*"):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            continue  # another bake is at work in it
        finally:
            os.close(descriptor)


def publish(folder: Path, output: Path, *, force: bool) -> None:
    """Date and sync the files of ``folder`` and give it the name ``output``, by one rename.

    Modes and dates are always the same, so that two bakes of one source make one and the same image layer.

    Raises:
        OutputError: Another bake was faster and ``force`` is not given, or ``SOURCE_DATE_EPOCH`` is no number of
            seconds.
    """
    output = output.absolute()
    date = _date()
    _check_target(output, force=force)
    for path in [*sorted(folder.iterdir()), folder]:
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (date, date))
        _sync(path)
    if output.is_dir() and any(output.iterdir()):
        # rename(2) replaces empty folders only: the old model steps aside, and goes when the new one stands.
        aside = folder.parent / "replaced"
        output.rename(aside)
        try:
            folder.rename(output)
        except OSError:
            aside.rename(output)
            raise
    else:
        folder.rename(output)
    os.utime(output, (date, date))
    _sync(output.parent)


def _sync(path: Path) -> None:
    """Have the kernel write it to the disk: a rename must not outlive the bytes it names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _date() -> int:
    """Return the date of every file: https://reproducible-builds.org/specs/source-date-epoch/."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not given:
        return _EPOCH
    if not given.isascii() or not given.isdigit():
        message = f"SOURCE_DATE_EPOCH: {given[:40]!r} is not a number of seconds since 1970"
        raise OutputError(message)
    return int(given)


def check_space(folder: Path, needed: int, *, purpose: str) -> None:
    """Refuse to start what the disk has no room for.

    Raises:
        OutputError: Fewer than ``needed`` bytes are free where ``folder`` is, or will be.
    """
    free = free_bytes(folder)
    if free < needed:
        message = f"{folder}: {purpose} needs {format_size(needed)}, and {format_size(free)} are free"
        raise OutputError(message)


def free_bytes(folder: Path) -> int:
    """Return how much can be written where ``folder`` is, or will be."""
    place = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
    return shutil.disk_usage(place).free
