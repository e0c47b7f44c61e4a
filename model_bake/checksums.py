"""Hashes of a model's files, compared with those that a publisher may have laid beside them."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from handler.checksums import CHECKSUMS, parse_checksums
from model_bake.errors import SourceError
from model_bake.progress import Advance, Progress

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
    try:
        return parse_checksums(path.read_text(encoding="utf-8", errors="replace"))
    except ValueError as error:
        message = f"{path}: {error}"
        raise SourceError(message) from None
