"""Where a model comes from: a local folder here, the Hub and object storage behind the same protocol."""

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Protocol

from handler.errors import shorten
from model_bake.errors import SourceError
from model_bake.progress import Advance, Progress

CHECKSUMS = "SHA256SUMS"
"""A file of this name holds the hashes of those beside it, in the form of coreutils' ``sha256sum``."""

_BLOCK = 4 << 20
_HUB_ID = re.compile(r"(?=.{1,96}\Z)[\w-][\w.-]*(/[\w-][\w.-]*)?", re.ASCII)
"""At most 96 characters: https://huggingface.co/docs/huggingface_hub/package_reference/utilities, validate_repo_id."""
_PATH = re.compile(r"[./~]|\w:\\")


class Fetched(NamedTuple):
    """The files of a model on this machine, complete and checked."""

    folder: Path
    revision: str
    """The Hub's commit, else a hash of all the files."""


class Source(Protocol):
    """Files of one model, somewhere."""

    @property
    def id(self) -> str:
        """Return the name the manifest gives the source; never a path of this machine."""

    @property
    def store(self) -> Path:
        """Return the folder that downloads go to."""

    def list(self) -> Mapping[str, int]:
        """Return the names of the files and their sizes in bytes."""

    def read(self, name: str) -> bytes:
        """Return a small file."""

    def missing(self, names: Sequence[str]) -> int:
        """Return how many bytes of the files would be written to this machine's disk."""

    def fetch(self, names: Sequence[str], progress: Progress) -> Fetched:
        """Bring the files here and check their hashes."""


class LocalFolder:
    """A folder of this machine; used where it is."""

    def __init__(self, folder: Path) -> None:
        """Read from ``folder``.

        Raises:
            SourceError: It is not a folder that can be read.
        """
        self._folder = folder
        try:
            self._files = {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.is_file()}
        except OSError as error:
            message = f"{folder}: not a folder that can be read: {error.strerror}"
            raise SourceError(message) from None

    @property
    def id(self) -> str:
        """Return the folder's name."""
        return self._folder.resolve().name

    @property
    def store(self) -> Path:
        """Return the folder itself: nothing is downloaded."""
        return self._folder

    def list(self) -> Mapping[str, int]:
        """Return the names of the files and their sizes in bytes."""
        return self._files

    def read(self, name: str) -> bytes:
        """Return a small file.

        Raises:
            SourceError: It cannot be read.
        """
        try:
            return (self._folder / name).read_bytes()
        except OSError as error:
            message = f"{self._folder / name}: {error.strerror}"
            raise SourceError(message) from None

    def missing(self, names: Sequence[str]) -> int:
        """Return 0: the files are used where they are."""
        del names
        return 0

    def fetch(self, names: Sequence[str], progress: Progress) -> Fetched:
        """Hash the files, and compare them with ``SHA256SUMS`` where there is one.

        Raises:
            SourceError: A file cannot be read, or is not the one that ``SHA256SUMS`` lists.
        """
        return Fetched(self._folder, check_folder(self._folder, names, progress))


def open_source(name: str, *, revision: str | None, cache: Path) -> Source:
    """Return the source that a command line names.

    Args:
        name: A folder, ``s3://bucket/prefix``, or a model id of the Hub; a folder of that name comes first.
        revision: Commit, tag or branch on the Hub.
        cache: Where downloads from object storage stay, so that they can be resumed.

    Raises:
        SourceError: It is none of these, or a revision is given for what has none.
    """
    folder = Path(name).expanduser()
    if name and _is_folder(folder):
        _refuse_revision(name, revision, "a folder")
        return LocalFolder(folder)
    if "://" in name:
        from model_bake.s3_source import S3Source  # noqa: PLC0415 - boto3 takes its time

        _refuse_revision(name, revision, "object storage")
        return S3Source(name, cache)
    if _PATH.match(name) or not _HUB_ID.fullmatch(name):
        message = (
            f"SOURCE {shorten(name)}: there is no such folder, and it is neither s3://bucket/prefix nor a model id"
        )
        raise SourceError(message)
    from model_bake.hub import HubModel  # noqa: PLC0415 - neither a folder nor S3 needs it

    return HubModel(name, revision=revision)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that is too long
        return False


def _refuse_revision(name: str, revision: str | None, kind: str) -> None:
    if revision is not None:
        message = f"--revision {revision}: {name} is {kind}, and only models of the Hub have revisions"
        raise SourceError(message)


def check_folder(folder: Path, names: Sequence[str], progress: Progress) -> str:
    """Hash files and compare them with ``SHA256SUMS`` where there is one; return a hash of all of them.

    Raises:
        SourceError: A file cannot be read, or is not the one that was listed.
    """
    listed = read_checksums(folder)
    total = sum((folder / name).stat().st_size for name in names)
    with progress.step("check", total) as advance, ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        digests = list(pool.map(lambda name: _sha256(folder / name, advance), names))
    found = dict(zip(names, digests, strict=True))
    for name, digest in found.items():
        if listed.get(name, digest) != digest:
            message = f"{folder / name}: SHA-256 {digest}, and {CHECKSUMS} says {listed[name]}"
            raise SourceError(message)
    return hashlib.sha256("".join(f"{found[name]}  {name}\n" for name in sorted(found)).encode()).hexdigest()


def _sha256(path: Path, advance: Advance) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                advance(len(block))
    except OSError as error:
        message = f"{path}: {error.strerror}"
        raise SourceError(message) from None
    return digest.hexdigest()


def read_checksums(folder: Path) -> dict[str, str]:
    """Return the hashes that ``SHA256SUMS`` lists, by file name; nothing where there is no such file.

    Raises:
        SourceError: A line of it is not a hash and a name.
    """
    path = folder / CHECKSUMS
    if not path.is_file():
        return {}
    return parse_checksums(path.read_text(encoding="utf-8", errors="replace"), where=str(path))


def parse_checksums(text: str, *, where: str) -> dict[str, str]:
    """Return the hashes in the text of a ``SHA256SUMS`` file, by file name.

    Raises:
        SourceError: A line is not a hash and a name.
    """
    hashes = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        match = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](?:\./)?(.+)", line)
        if match is None:
            message = f"{where}: {line[:80]!r} is not a SHA-256 hash and a file name"
            raise SourceError(message)
        hashes[match[2]] = match[1].lower()
    return hashes
