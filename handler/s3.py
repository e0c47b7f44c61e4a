"""Files below one prefix of a bucket: fetched in ranges, resumable, and under their names only when they are right."""

import base64
import hashlib
import io
import os
import re
import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from handler.checksums import CHECKSUMS, parse_checksums
from handler.errors import DownloadError
from handler.partial_file import PartialFile, ends, locked, stop_if_ending, writing
from handler.remote_object import Check, RemoteFile, RemoteObject
from handler.s3_errors import one_line, refusals
from handler.sizes import format_size

if TYPE_CHECKING:
    from botocore.client import BaseClient

Advance = Callable[[int], object]
"""Says that so many more bytes are there; called from any thread."""

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
_POLL_S = 0.5
"""How often a download looks whether the process is to end."""


class Listing(NamedTuple):
    """What stands directly below a prefix, by name."""

    files: Sequence[str]
    folders: Sequence[str]


class S3Folder:
    """Files directly below one prefix of a bucket; credentials, region and endpoint are those that boto3 finds."""

    def __init__(self, url: str, *, workers: int = 16, part_bytes: int = PART_BYTES) -> None:
        """Read below ``s3://bucket/prefix`` over ``workers`` connections, ``part_bytes`` a request.

        Raises:
            DownloadError: The URL is of another form.
        """
        match = re.fullmatch(r"s3://([A-Za-z0-9][A-Za-z0-9._-]{2,62})(?:/([^\x00-\x1f]*))?", url)
        if match is None:
            # Some tools take s3://key:secret@bucket, so what stands before an @ is not shown.
            shown = re.sub("//.*@", "//...@", " ".join(url.split()))
            message = f"{shown}: not of the form s3://bucket/prefix"
            raise DownloadError(message)
        self._bucket = match[1]
        self._prefix = f"{prefix}/" if (prefix := (match[2] or "").rstrip("/")) else ""
        self._url = f"s3://{self._bucket}/{self._prefix}"
        self._workers = workers
        self._part_bytes = part_bytes
        self._objects: dict[str, RemoteObject] = {}

    def look(self) -> Listing:
        """Return the names of what is there, with one request for each thousand of them.

        Raises:
            DownloadError: The store cannot be reached or refuses.
        """
        with refusals(self._url):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix, Delimiter="/"
            )
            keys, prefixes = set(), set()
            for page in pages:
                keys |= {entry["Key"].removeprefix(self._prefix) for entry in page.get("Contents", ())}
                prefixes |= {entry["Prefix"].removeprefix(self._prefix) for entry in page.get("CommonPrefixes", ())}
        # A key can be any text: the prefix itself, a path that leads elsewhere, the name of an unfinished download.
        files = [n for n in keys - {"", ".", ".."} if not re.search(r"[/\x00-\x1f]|\.part(\.ranges)?$", n)]
        folders = [n.removesuffix("/") for n in prefixes - {"/"} if not re.search(r"[\x00-\x1f]", n)]
        return Listing(sorted(files), sorted(folders))

    def list(self) -> tuple[RemoteFile, ...]:
        """Return the files, sorted by name.

        Raises:
            DownloadError: The store cannot be reached, refuses, or has no file there.
        """
        names = self.look().files
        if not names:
            message = f"{self._url}: no file stands directly below this prefix; name the folder that holds the files"
            raise DownloadError(message)
        sums = {}
        if CHECKSUMS in names:
            text = self._read(self._look(CHECKSUMS, {})).decode(errors="replace")
            try:
                sums = parse_checksums(text)
            except ValueError as error:
                message = f"{self._url}{CHECKSUMS}: {error}"
                raise DownloadError(message) from None
        with ThreadPoolExecutor(self._workers) as pool:
            self._objects = dict(zip(names, pool.map(partial(self._look, sums=sums), names), strict=True))
        return tuple(found.file for found in self._objects.values())

    def read(self, name: str) -> bytes:
        """Return a small file.

        Raises:
            DownloadError: It is not there, is larger than 16 MiB, cannot be had, or its hash is wrong.
        """
        return self._read(self._find(name))

    def expect(self, sha256: Mapping[str, str]) -> None:
        """Check files by these hashes, whatever the store says of them.

        Raises:
            DownloadError: One of the files is not there.
        """
        for name, digest in sha256.items():
            found = self._find(name)
            file = replace(found.file, check="sha256")
            self._objects[name] = found._replace(file=file, digest=digest, part_bytes=0)

    def version(self, names: Iterable[str]) -> str:
        """Return a hash that is another as soon as one of the files has been replaced.

        Raises:
            DownloadError: One of the files is not there.
        """
        found = map(self._find, sorted(names))
        lines = [f"{remote.file.name} {remote.file.size} {remote.etag}\n" for remote in found]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def modified_s(self, name: str) -> float:
        """Return when a file was put there, in Unix seconds.

        Raises:
            DownloadError: It is not there.
        """
        return self._find(name).modified_s

    def matches(self, name: str, path: Path, *, contents: bool) -> bool:
        """Tell whether ``path`` is a copy of a file: by its size, or by its ``contents`` as well.

        Raises:
            DownloadError: There is no such file in the store.
        """
        found = self._find(name)
        try:
            with path.open("rb") as stream:
                if os.fstat(stream.fileno()).st_size != found.file.size:
                    return False
                if contents:
                    found.verify(stream)
        except (OSError, DownloadError):
            return False
        return True

    def download(self, names: Sequence[str], folder: Path, advance: Advance) -> int:
        """Put files into ``folder``, fetch only what an earlier run has not left there, and return how many bytes came.

        Args:
            names: Of files that :meth:`list` has; a file that is there already is checked, not fetched.
            folder: Beside a file on its way stand ``name.part`` and notes of which ranges it has.
            advance: Called for each range, and once a file for those that were there.

        Raises:
            DownloadError: A file is not there, was replaced, cannot be had, or its hash is wrong.
            DownloadError: The folder cannot be written, has no room, or is in use by another download.
        """
        files = [PartialFile(self._find(name), folder, self._part_bytes) for name in dict.fromkeys(names)]
        with locked(folder):
            wanted = []
            for file in files:
                missing = file.begin()
                if there := file.remote.file.size - sum(map(len, missing)):
                    advance(there)
                wanted += [(file, part) for part in missing]
            self._fetch_all(wanted, advance)
        return sum(len(part) for _, part in wanted)

    def _fetch_all(self, wanted: Sequence[tuple[PartialFile, range]], advance: Advance) -> None:
        stop = threading.Event()
        failures: list[BaseException] = []
        # Each of its items goes to one thread: Python's lock is held while it is asked.
        left = iter(wanted)

        def work() -> None:
            try:
                for file, part in left:
                    if stop.is_set():
                        return
                    self._fetch(file, part, advance, stop)
            except BaseException as error:  # noqa: BLE001 - the thread that started this one hears of it
                failures.append(error)
                stop.set()

        # No pool: the interpreter would wait for one at its end, before anything can know of the end and stop it.
        threads = [threading.Thread(target=work, name="download") for _ in wanted[: self._workers]]
        try:
            for thread in threads:
                thread.start()
            self._wait_for(threads)
        finally:
            stop.set()
            for thread in threads:
                if thread.is_alive():
                    thread.join()
        if failures:
            raise failures[0]

    def _wait_for(self, threads: Sequence[threading.Thread]) -> None:
        for thread in threads:
            while thread.is_alive():
                thread.join(_POLL_S)
                stop_if_ending(self._url)

    def _fetch(self, file: PartialFile, part: range, advance: Advance, stop: threading.Event) -> None:
        # A file object of this range's own, instead of os.pwrite: it writes all of a chunk or raises.
        with writing(file.data), file.data.open("r+b") as data, closing(self._chunks(file.remote, part)) as chunks:
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

    def _read(self, found: RemoteObject) -> bytes:
        size = found.file.size
        if size > MAX_READ_BYTES:
            message = (
                f"{found.url}: its {format_size(size)} are too large to be read; {MAX_READ_BYTES >> 20} MiB may be"
            )
            raise DownloadError(message)
        data = b"".join(self._chunks(found, range(size)))
        found.verify(io.BytesIO(data))
        return data

    def _chunks(self, found: RemoteObject, part: range) -> Generator[bytes]:
        """Yield the bytes of a range, and where an answer breaks off go on after its last byte."""
        from botocore.exceptions import IncompleteReadError, ReadTimeoutError, ResponseStreamingError  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        failures = 0
        with refusals(found.url):
            while part:
                try:
                    answer = self._client.get_object(
                        Bucket=self._bucket,
                        Key=self._prefix + found.file.name,
                        Range=f"bytes={ends(part)}",
                        IfMatch=found.etag,
                    )
                    if answer["ContentLength"] != len(part):
                        message = f"{found.url}: the store does not send single ranges of a file"
                        raise DownloadError(message)
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
            message = f"{self._url}: {one_line(error)}; check AWS_ENDPOINT_URL_S3 and AWS_REGION"
            raise DownloadError(message) from None

    def _find(self, name: str) -> RemoteObject:
        if not self._objects:
            self.list()
        if name not in self._objects:
            message = f"{self._url}{name}: there is no such file"
            raise DownloadError(message)
        return self._objects[name]

    def _head(self, name: str, **options: str | int) -> dict[str, Any]:
        head: dict[str, Any] = self._client.head_object(Bucket=self._bucket, Key=self._prefix + name, **options)
        return head

    def _look(self, name: str, sums: dict[str, str]) -> RemoteObject:
        with refusals(self._url + name):
            head = self._head(name, ChecksumMode="ENABLED")
            check, digest, part_bytes = self._evidence(name, head, sums)
        file = RemoteFile(name=name, size=head["ContentLength"], check=check)
        return RemoteObject(file, self._url + name, head["ETag"], digest, part_bytes, head["LastModified"].timestamp())

    def _evidence(self, name: str, head: dict[str, Any], sums: dict[str, str]) -> tuple[Check, str, int]:
        if name in sums:
            return "sha256", sums[name], 0
        # After an upload in parts it is a hash of their hashes, and ends in "-" and their number.
        if sha256 := re.fullmatch(r"[A-Za-z0-9+/]{43}=", head.get("ChecksumSHA256", "")):
            return "sha256", base64.b64decode(sha256[0]).hex(), 0
        size = head["ContentLength"]
        etag = re.fullmatch(r'"?([0-9a-f]{32}(?:-([0-9]+))?)"?', head["ETag"])
        # Under a key of KMS or of the client, and in a directory bucket, an ETag may look the same and be no MD5:
        # https://docs.aws.amazon.com/AmazonS3/latest/API/APIRemoteObject.html
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
