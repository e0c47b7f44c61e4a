"""Files below one prefix of a bucket: fetched in ranges, resumable, and under their names only when they are right."""

import base64
import errno
import fcntl
import hashlib
import io
import os
import re
import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from model_bake.checksums import CHECKSUMS, parse_checksums
from model_bake.errors import OutputError, SourceError
from model_bake.progress import Advance, format_size

if TYPE_CHECKING:
    from botocore.client import BaseClient

PART_BYTES = 16 << 20
"""Of one request: enough to fill a connection, and all a worker that is interrupted has to fetch again."""
MAX_READ_BYTES = 16 << 20
CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 20.0
"""Also how long an interrupted download waits for a connection that has gone silent."""

_CHUNK_BYTES = 128 << 10
"""How often a worker looks whether it is to stop."""
_ATTEMPTS = 5
"""For one range; botocore's own retries end where the body of an answer begins."""

_CREDENTIALS = "the credentials are refused; check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
_DENIED = "access is denied; it takes s3:ListBucket for the bucket and s3:GetObject for the files"
_GONE = "it is no longer there; run again"
_REPLACED = "it was replaced after it had been listed; run again"
_REFUSALS = {
    "403": _DENIED,
    "404": _GONE,
    "412": _REPLACED,
    "AccessDenied": _DENIED,
    "ExpiredToken": _CREDENTIALS,
    "InvalidAccessKeyId": _CREDENTIALS,
    "InvalidToken": _CREDENTIALS,
    "NoSuchBucket": "there is no such bucket; check its name and AWS_ENDPOINT_URL_S3",
    "NoSuchKey": _GONE,
    "PreconditionFailed": _REPLACED,
    "SignatureDoesNotMatch": _CREDENTIALS,
}
"""Codes of https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; a HEAD gets a status only."""

Check = Literal["sha256", "md5", "multipart md5", ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file in object storage."""

    name: str
    """Relative to the prefix, without a slash."""
    size: int
    check: Check
    """How its bytes are checked; empty where the store has no hash of them."""


class _Object(NamedTuple):
    file: RemoteFile
    url: str
    etag: str
    digest: str
    """The size, where there is no hash."""
    part_bytes: int
    """Size of the parts it was uploaded in, for ``multipart md5``."""

    def verify(self, stream: io.BufferedIOBase) -> None:
        """Raise SourceError if this is no copy; without a hash, if its size is another."""
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
                f"{self.url}: {what} of the download is {found}, expected {self.digest}; run again to fetch it anew"
            )
            raise SourceError(message)


class S3Folder:
    """Files directly below one prefix of a bucket; credentials, region and endpoint are those that boto3 finds."""

    def __init__(self, url: str, *, workers: int = 16, part_bytes: int = PART_BYTES) -> None:
        """Read below ``s3://bucket/prefix`` over ``workers`` connections, ``part_bytes`` a request.

        Raises:
            SourceError: The URL is of another form.
        """
        match = re.fullmatch(r"s3://([A-Za-z0-9][A-Za-z0-9._-]{2,62})(?:/([^\x00-\x1f]*))?", url)
        if match is None:
            # Some tools take s3://key:secret@bucket, so what stands before an @ is not shown.
            message = f"{re.sub('//.*@', '//...@', _one_line(url))}: not of the form s3://bucket/prefix"
            raise SourceError(message)
        self._bucket = match[1]
        self._prefix = f"{prefix}/" if (prefix := (match[2] or "").rstrip("/")) else ""
        self._url = f"s3://{self._bucket}/{self._prefix}"
        self._workers = workers
        self._part_bytes = part_bytes
        self._objects: dict[str, _Object] = {}

    def list(self) -> tuple[RemoteFile, ...]:
        """Return the files, sorted by name.

        Raises:
            SourceError: The store cannot be reached, refuses, or has no file there.
        """
        names = self._names()
        if not names:
            message = f"{self._url}: no file stands directly below this prefix; name the folder that holds the files"
            raise SourceError(message)
        sums = {}
        if CHECKSUMS in names:
            text = self._read(self._look(CHECKSUMS, {})).decode(errors="replace")
            sums = parse_checksums(text, where=self._url + CHECKSUMS)
        with ThreadPoolExecutor(self._workers) as pool:
            self._objects = dict(zip(names, pool.map(partial(self._look, sums=sums), names), strict=True))
        return tuple(found.file for found in self._objects.values())

    def read(self, name: str) -> bytes:
        """Return a small file.

        Raises:
            SourceError: It is not there, is larger than 16 MiB, cannot be had, or its hash is wrong.
        """
        return self._read(self._find(name))

    def download(self, names: Sequence[str], folder: Path, advance: Advance) -> None:
        """Put files into ``folder``, and fetch only what an earlier run has not left there.

        Args:
            names: Of files that :meth:`list` has; a file that is there already is checked, not fetched.
            folder: Beside a file on its way stand ``name.part`` and notes of which ranges it has.
            advance: Called for each range, and once a file for those that were there.

        Raises:
            SourceError: A file is not there, was replaced, cannot be had, or its hash is wrong.
            OutputError: The folder cannot be written, has no room, or is in use by another download.
        """
        files = [_LocalFile(self._find(name), folder, self._part_bytes) for name in dict.fromkeys(names)]
        stop = threading.Event()
        pool = ThreadPoolExecutor(self._workers)
        with _locked(folder):
            try:
                futures = []
                for file in files:
                    missing = file.begin()
                    if there := file.remote.file.size - sum(map(len, missing)):
                        advance(there)
                    futures += [pool.submit(self._fetch, file, part, advance, stop) for part in missing]
                for future in as_completed(futures):
                    future.result()
            finally:
                stop.set()
                pool.shutdown(cancel_futures=True)

    def _fetch(self, file: "_LocalFile", part: range, advance: Advance, stop: threading.Event) -> None:
        # A file object of this range's own, instead of os.pwrite: it writes all of a chunk or raises.
        with _writing(file.data), file.data.open("r+b") as data, closing(self._chunks(file.remote, part)) as chunks:
            data.seek(part.start)
            for chunk in chunks:
                if stop.is_set():
                    return
                data.write(chunk)
            if not file.remote.file.check:
                # Notes that survive a power cut, and bytes that do not, would pass for complete: no hash tells.
                data.flush()
                os.fdatasync(data.fileno())
        file.note(part)
        advance(len(part))

    def _read(self, found: _Object) -> bytes:
        size = found.file.size
        if size > MAX_READ_BYTES:
            message = (
                f"{found.url}: its {format_size(size)} are too large to be read; {MAX_READ_BYTES >> 20} MiB may be"
            )
            raise SourceError(message)
        data = b"".join(self._chunks(found, range(size)))
        found.verify(io.BytesIO(data))
        return data

    def _chunks(self, found: _Object, part: range) -> Generator[bytes]:
        """Yield the bytes of a range, and where an answer breaks off go on after its last byte."""
        from botocore.exceptions import IncompleteReadError, ReadTimeoutError, ResponseStreamingError  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        failures = 0
        with _refusals(found.url):
            while part:
                try:
                    answer = self._client.get_object(
                        Bucket=self._bucket,
                        Key=self._prefix + found.file.name,
                        Range=f"bytes={_ends(part)}",
                        IfMatch=found.etag,
                    )
                    if answer["ContentLength"] != len(part):
                        message = f"{found.url}: the store does not send single ranges of a file"
                        raise SourceError(message)
                    with closing(answer["Body"]) as body:
                        for chunk in body.iter_chunks(_CHUNK_BYTES):
                            yield chunk
                            part = part[len(chunk) :]
                except (HTTPError, IncompleteReadError, ReadTimeoutError, ResponseStreamingError):
                    failures += 1
                    if failures == _ATTEMPTS:
                        raise
                    yield b""  # whoever reads can stop here too

    @cached_property
    def _client(self) -> "BaseClient":
        import boto3  # noqa: PLC0415 - takes 135 ms, and most bakes do without
        from botocore.config import Config  # noqa: PLC0415

        config = Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            retries={"mode": "standard"},
            max_pool_connections=self._workers,
        )
        try:
            return boto3.client("s3", config=config)
        except ValueError as error:  # how botocore refuses an endpoint
            message = f"{self._url}: {_one_line(error)}; check AWS_ENDPOINT_URL_S3 and AWS_REGION"
            raise SourceError(message) from None

    def _names(self) -> Sequence[str]:
        with _refusals(self._url):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix, Delimiter="/"
            )
            names = {entry["Key"].removeprefix(self._prefix) for page in pages for entry in page.get("Contents", ())}
        # A key can be any text: the prefix itself, a path that leads elsewhere, the name of an unfinished download.
        return sorted(n for n in names - {"", ".", ".."} if not re.search(r"[/\x00-\x1f]|\.part(\.ranges)?$", n))

    def _find(self, name: str) -> _Object:
        if not self._objects:
            self.list()
        if name not in self._objects:
            message = f"{self._url}{name}: there is no such file"
            raise SourceError(message)
        return self._objects[name]

    def _head(self, name: str, **options: str | int) -> dict[str, Any]:
        head: dict[str, Any] = self._client.head_object(Bucket=self._bucket, Key=self._prefix + name, **options)
        return head

    def _look(self, name: str, sums: dict[str, str]) -> _Object:
        with _refusals(self._url + name):
            head = self._head(name, ChecksumMode="ENABLED")
            check, digest, part_bytes = self._evidence(name, head, sums)
        file = RemoteFile(name=name, size=head["ContentLength"], check=check)
        return _Object(file, self._url + name, head["ETag"], digest, part_bytes)

    def _evidence(self, name: str, head: dict[str, Any], sums: dict[str, str]) -> tuple[Check, str, int]:
        if name in sums:
            return "sha256", sums[name], 0
        # After an upload in parts it is a hash of their hashes, and ends in "-" and their number.
        if sha256 := re.fullmatch(r"[A-Za-z0-9+/]{43}=", head.get("ChecksumSHA256", "")):
            return "sha256", base64.b64decode(sha256[0]).hex(), 0
        size = head["ContentLength"]
        etag = re.fullmatch(r'"?([0-9a-f]{32}(?:-([0-9]+))?)"?', head["ETag"])
        # Under a key of KMS or of the client, and in a directory bucket, an ETag may look the same and be no MD5:
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
        opaque = head.get("ServerSideEncryption", "AES256") != "AES256" or "SSECustomerAlgorithm" in head
        if etag and not opaque and not self._bucket.endswith("--x-s3"):
            if etag[2] is None:
                return "md5", etag[1], 0
            if part_bytes := self._uploaded_part_bytes(name, size, int(etag[2])):
                return "multipart md5", etag[1], part_bytes
        return "", str(size), 0

    def _uploaded_part_bytes(self, name: str, size: int, parts: int) -> int:
        """Return the size of all parts of an upload but the last; 0 if it cannot be known."""
        from botocore.exceptions import ClientError  # noqa: PLC0415

        try:
            first, last = (int(self._head(name, PartNumber=number)["ContentLength"]) for number in (1, parts))
        except ClientError:  # the store knows no part numbers
            return 0
        return first if first * (parts - 1) + last == size else 0


class _LocalFile:
    """A file on its way to its name: the bytes so far, and notes of which they are."""

    def __init__(self, remote: _Object, folder: Path, part_bytes: int) -> None:
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
        with _writing(self._final):
            noted = self._noted()
            missing = [part for part in self._parts if _ends(part) not in noted]
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
        with self._lock, _writing(self._final):
            with self._notes.open("a") as notes:
                # A note that a full disk cuts short is no range, and does not run into the next one.
                notes.write(f"\n{_ends(part)}")
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
        except (FileNotFoundError, SourceError):
            return False
        return True

    def _finish(self) -> None:
        with self.data.open("rb") as stream:
            try:
                self.remote.verify(stream)
            except SourceError:
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


def _ends(part: range) -> str:
    """Return a range as HTTP writes it."""
    return f"{part[0]}-{part[-1]}"


def _multipart_md5(stream: io.BufferedIOBase, part_bytes: int) -> str:
    """Return what S3 has for an ETag after an upload in parts: the MD5 of their MD5s, and their number."""
    parts = []
    left = 0
    while block := stream.read(min(left, _CHUNK_BYTES) or min(part_bytes, _CHUNK_BYTES)):
        if not left:
            parts.append(hashlib.md5(usedforsecurity=False))
            left = part_bytes
        parts[-1].update(block)
        left -= len(block)
    digest = hashlib.md5(b"".join(part.digest() for part in parts), usedforsecurity=False)
    return f"{digest.hexdigest()}-{len(parts)}"


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep a second download out of the folder: it would write into files that this one has just checked."""
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        message = f"{folder}: another download writes there; wait for it, or name another folder"
        raise OutputError(message) from None
    except OSError:
        pass  # a file system without locks, as NFS may be
    try:
        yield
    finally:
        os.close(handle)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"{path}: cannot be written: {error.strerror}"
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            message += "; make room and run again, what has been fetched is kept"
        raise OutputError(message) from None


@contextmanager
def _refusals(url: str) -> Iterator[None]:
    """Turn what boto3 raises into one line; here alone it is known what its errors are."""
    from botocore import exceptions  # noqa: PLC0415
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    try:
        yield
    except exceptions.ClientError as error:
        refusal = error.response["Error"]
        said = f"the store answers {refusal['Code']}: {refusal.get('Message', '')}"
        message = f"{url}: {_REFUSALS.get(refusal['Code'], said)}"
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
        message = f"{url}: {error}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    except (exceptions.ConnectionError, exceptions.HTTPClientError, exceptions.IncompleteReadError, HTTPError) as error:
        message = f"{url}: {error}; check the network and AWS_ENDPOINT_URL_S3, or run again"
    except exceptions.BotoCoreError as error:
        message = f"{url}: {error}"
    else:
        return
    raise SourceError(_one_line(message)) from None


def _one_line(message: object) -> str:
    """Return a message without line breaks, and without the password of a URL in it."""
    return re.sub(r"//[^/@\s]*@", "//", " ".join(str(message).split()))
