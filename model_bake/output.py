"""The folder a bake writes: built under another name beside it, then put in its place by one rename."""

import ctypes
import errno
import fcntl
import glob
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from handler.sizes import format_size
from model_bake.errors import OutputError

_UNFINISHED = ".baking-"
_EPOCH = 315_532_800
"""1980-01-01, the earliest date every archive format can hold: what files are dated without ``SOURCE_DATE_EPOCH``."""

_AT_FDCWD, _RENAME_NOREPLACE, _RENAME_EXCHANGE = -100, 1, 2
"""Of renameat2(2)."""


@contextmanager
def workspace(output: Path, *, force: bool) -> Iterator[Path]:
    """Give an empty folder beside ``output`` for the time of the block, and remove what is left in it.

    It is locked while it is in use: what a killed bake left behind is found unlocked, and removed by the next one.

    Raises:
        OutputError: ``output`` is there already and ``force`` is not given, or nothing can be written there.
    """
    output = _resolved(output)
    made: list[Path] = []
    try:
        check_target(output, force=force)
        made = [folder for folder in output.parents if not folder.exists()]
        output.parent.mkdir(parents=True, exist_ok=True)
        # One bake at a time looks for leftovers and makes its own folder: it must not be taken for one before it is
        # locked.
        with _locked(output.parent):
            _sweep(output)
            folder = Path(tempfile.mkdtemp(prefix=f".{output.name}{_UNFINISHED}", dir=output.parent))
            lock = _locked(folder)
            lock.__enter__()
    except OSError as error:
        message = f"--output {output}: cannot write into {output.parent}: {error.strerror}"
        raise OutputError(message) from None
    try:
        yield folder
    except OSError as error:
        message = f"{error.filename or output}: {error.strerror or error}"
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            message = f"--output {output}: {error.strerror}; {format_size(free_bytes(output))} are free"
        raise OutputError(message) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.__exit__(None, None, None)
        with suppress(OSError):  # unless something stands in them now
            for parent in made:
                parent.rmdir()


def _resolved(output: Path) -> Path:
    """Return the folder that is meant, without ``..`` and links on the way: it has to have one name all the time."""
    try:
        return output.parent.resolve() / output.name if output.name not in {"", ".."} else output.resolve()
    except (OSError, RuntimeError) as error:
        message = f"--output {output}: {error}"
        raise OutputError(message) from None


@contextmanager
def _locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a folder, for as long as this process lives at most.

    Raises:
        BlockingIOError: Another process has it, and ``wait`` is false.
        OSError: The folder cannot be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            if not wait:  # a file system without locks, as NFS may be: nothing tells a leftover from work
                raise BlockingIOError from None
        yield
    finally:
        os.close(descriptor)


def check_target(output: Path, *, force: bool) -> None:
    """Refuse an output that must not be replaced, or cannot be.

    Raises:
        OutputError: It is there and ``force`` is not given, is no folder, a mount point, the working directory, or
            holds what is no part of a model; or ``SOURCE_DATE_EPOCH`` is no date.
    """
    output = _resolved(output)
    _date()
    problem = None
    try:
        if output.is_symlink() or (output.exists() and not output.is_dir()):
            problem = "not a folder"
        elif output.is_mount():
            problem = "is a mount point, which no rename can replace; name a folder in it"
        elif output.is_dir() and any(output.iterdir()):
            problem = _refusal(output) if force else "is there already; --force replaces it"
    except OSError as error:
        problem = str(error.strerror)
    if problem:
        message = f"--output {output}: {problem}"
        raise OutputError(message)


def _refusal(output: Path) -> str | None:
    """Return why a folder that is there may not be replaced."""
    here = Path.cwd().resolve()
    if output == here or output in here.parents:
        return "this is the working directory, or holds it; name a folder of the model's own"
    try:
        listed = set(json.loads((output / "manifest.json").read_bytes())["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return "holds no manifest.json, so it is no baked model, and --force leaves it alone"
    others = sorted({path.name for path in output.iterdir()} - listed - {"manifest.json"})
    return f"holds {others[0]!r}, which is no part of its model, so --force leaves it alone" if others else None


def _sweep(output: Path) -> None:
    """Remove what killed bakes of ``output`` have left."""
    for folder in output.parent.glob(f".{glob.escape(output.name)}{_UNFINISHED}*"):
        # Another bake is at work in it or has just removed it, or it is no folder of a bake at all.
        with suppress(OSError), _locked(folder, wait=False):
            shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, output: Path, *, force: bool) -> None:
    """Date and sync the files of ``folder`` and give it the name ``output``, by one rename.

    Modes and dates are always the same, so that two bakes of one source make one and the same image layer. A model
    that is replaced changes places with the new one, so that at every moment one of them has the name.

    Raises:
        OutputError: Another bake was faster and ``force`` is not given, ``SOURCE_DATE_EPOCH`` is no number of
            seconds, or the file system cannot replace a folder by one rename.
    """
    output = _resolved(output)
    date = _date()
    for path in [*sorted(folder.iterdir()), folder]:
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (date, date))
        _sync(path)
    check_target(output, force=force)
    if output.is_dir() and any(output.iterdir()):
        _rename(folder, output, _RENAME_EXCHANGE)  # the old one is now in the workspace, and goes with it
    else:
        with suppress(FileNotFoundError):
            output.rmdir()
        _rename(folder, output, _RENAME_NOREPLACE)
    _sync(output.parent)


def _rename(source: Path, target: Path, flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), flags) == 0:
        return
    code = ctypes.get_errno()
    if code == errno.EEXIST:
        message = f"--output {target}: is there already; --force replaces it"
    elif flags == _RENAME_NOREPLACE and code in {errno.EINVAL, errno.ENOSYS}:
        source.rename(target)  # a file system without flags, and rename(2) leaves what is not empty alone
        return
    elif flags == _RENAME_EXCHANGE:
        message = f"--output {target}: cannot be replaced by one rename here ({os.strerror(code)}); remove it first"
    else:
        raise OSError(code, os.strerror(code), str(target))
    raise OutputError(message)


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
    if not given.isascii() or not given.isdigit() or len(given) > 10:  # noqa: PLR2004 - until the year 2286
        message = f"SOURCE_DATE_EPOCH: {given[:40]!r} is not a number of seconds since 1970"
        raise OutputError(message)
    return int(given)


def check_space(needs: dict[Path, int], *, purpose: str) -> None:
    """Refuse to start what the disks have no room for; what shares a disk is added up.

    Raises:
        OutputError: Fewer bytes are free than are needed where a folder is, or will be.
    """
    disks: dict[int, tuple[Path, int]] = {}
    for folder, needed in needs.items():
        try:
            disk = _existing(folder).stat().st_dev
        except OSError as error:
            message = f"{folder}: {error.strerror}"
            raise OutputError(message) from None
        place, before = disks.get(disk, (folder, 0))
        disks[disk] = (place, before + needed)
    for folder, needed in disks.values():
        free = free_bytes(folder)
        if free < needed:
            message = f"{folder}: {purpose} needs {format_size(needed)}, and {format_size(free)} are free"
            raise OutputError(message)


def free_bytes(folder: Path) -> int:
    """Return how much can be written where ``folder`` is, or will be."""
    return shutil.disk_usage(_existing(folder)).free


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
