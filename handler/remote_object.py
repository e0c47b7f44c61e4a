"""An object in storage as it was listed, and how a copy of it is checked."""

import hashlib
import io
import os
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

from handler.errors import DownloadError

_BLOCK_BYTES = 128 << 10

Check = Literal["sha256", "md5", "multipart md5", ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file in object storage."""

    name: str
    """Relative to the prefix, without a slash."""
    size: int
    check: Check
    """How its bytes are checked; empty where the store has no hash of them."""


class RemoteObject(NamedTuple):
    """A file in object storage, and the evidence a copy is checked by."""

    file: RemoteFile
    url: str
    etag: str
    digest: str
    """The size, where there is no hash."""
    part_bytes: int
    """Size of the parts it was uploaded in, for ``multipart md5``."""
    modified_s: float
    """Unix seconds."""

    def verify(self, stream: io.BufferedIOBase) -> None:
        """Raise DownloadError if this is no copy; without a hash, if its size is another."""
        check = self.file.check
        if not check:
            found = str(stream.seek(0, os.SEEK_END))
        elif self.part_bytes:
            found = _multipart_md5(stream, self.part_bytes)
        else:
            found = hashlib.file_digest(stream, partial(hashlib.new, check, usedforsecurity=False)).hexdigest()
        if found != self.digest:
            what = check or "size"
            message = (
                f"{self.url}: {what} of the download is {found}, expected {self.digest}; it is fetched anew the next "
                "time, and has to be uploaded anew if that is no help"
            )
            raise DownloadError(message)


def _multipart_md5(stream: io.BufferedIOBase, part_bytes: int) -> str:
    """Return what S3 has for an ETag after an upload in parts: the MD5 of their MD5s, and their number."""
    parts = []
    left = 0
    while block := stream.read(min(left, _BLOCK_BYTES) or min(part_bytes, _BLOCK_BYTES)):
        if not left:
            parts.append(hashlib.md5(usedforsecurity=False))
            left = part_bytes
        parts[-1].update(block)
        left -= len(block)
    digest = hashlib.md5(b"".join(part.digest() for part in parts), usedforsecurity=False)
    return f"{digest.hexdigest()}-{len(parts)}"
