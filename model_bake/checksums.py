"""Hashes of a model's files, and the ``SHA256SUMS`` file that a publisher may have laid beside them."""

import hashlib
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from model_bake.errors import SourceError
from model_bake.progress import Advance, Progress

CHECKSUMS = "SHA256SUMS"
"""The form is that of coreutils' ``sha256sum``."""

_BLOCK = 4 << 20


def check_folder(folder: Path, names: Sequence[str], progress: Progress) -> str:
    """Hash files and compare them with ``SHA256SUMS`` where there is one; return a hash of all of them.

    Raises:
        SourceError: A file cannot be read, or is not the one that was listed.
    """
    listed = read_checksums(folder) if CHECKSUMS in names else {}
    try:
        total = sum((folder / name).stat().st_size for name in names)
    except OSError as error:
        message = f"{error.filename}: {error.strerror}"
        raise SourceError(message) from None
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
