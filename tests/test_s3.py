"""Files from object storage, against a real S3 server: complete and right, or not there."""

import hashlib
import io
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from object_storage import (
    BUCKET,
    KMS_KEY,
    SECRET_KEY,
    STRANGER_KEY,
    STRANGER_SECRET,
    ObjectStorage,
    Wire,
    running_object_storage,
)

from handler.errors import DownloadError
from handler.remote_object import RemoteFile
from handler.s3 import MAX_READ_BYTES, S3Folder

PART = 64 << 10
UPLOAD_PART = 5 << 20
"""The smallest that S3 takes."""
SIZE = 5 * PART + 1234
RANGES = 6
DOWNLOAD = f"""
import os, sys
from pathlib import Path
from handler.s3 import S3Folder
folder = S3Folder(sys.argv[1], workers=2, part_bytes={PART})
folder.download(sys.argv[2:3], Path(sys.argv[3]), lambda amount: os.write(1, b"%d\\n" % amount))
"""


def random_bytes(size: int, seed: int = 1) -> bytes:
    """Return bytes that no two offsets of a file have in common."""
    return Random(seed).randbytes(size)


def nothing(amount: int) -> None:
    """Show no progress."""


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStorage]:
    """One server for all tests of this module."""
    with running_object_storage(tmp_path_factory.mktemp("storage")) as running:
        yield running


@pytest.fixture(scope="module")
def client(storage: ObjectStorage) -> Any:
    """The client that puts objects there."""
    return storage.client()


@pytest.fixture
def wire(storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """The way to the server that boto3 is told to take."""
    with Wire(storage).taken(storage, monkeypatch) as wire:
        yield wire


class Prefix:
    """A prefix of one test, and what it puts there."""

    def __init__(self, client: Any, name: str) -> None:
        self.url = f"s3://{BUCKET}/{name}"
        self._name = name
        self.client = client

    def put(self, name: str, data: bytes, **options: Any) -> bytes:
        """Upload an object in one request."""
        self.client.put_object(Bucket=BUCKET, Key=f"{self._name}/{name}", Body=data, **options)
        return data

    def put_in_parts(self, name: str, data: bytes, **options: Any) -> bytes:
        """Upload an object as boto3 uploads large files."""
        config = TransferConfig(multipart_threshold=UPLOAD_PART, multipart_chunksize=UPLOAD_PART)
        self.client.upload_fileobj(
            io.BytesIO(data), BUCKET, f"{self._name}/{name}", ExtraArgs=options or None, Config=config
        )
        return data

    def put_in_uneven_parts(self, name: str, *parts: bytes) -> bytes:
        """Upload an object so that its ETag does not tell which bytes it is of."""
        target = {"Bucket": BUCKET, "Key": f"{self._name}/{name}"}
        upload = target | {"UploadId": self.client.create_multipart_upload(**target)["UploadId"]}
        done = [
            {"PartNumber": number, "ETag": self.client.upload_part(**upload, PartNumber=number, Body=part)["ETag"]}
            for number, part in enumerate(parts, 1)
        ]
        self.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": done})
        return b"".join(parts)

    def put_sums(self, **files: bytes) -> None:
        """Upload a SHA256SUMS as coreutils write it."""
        lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items()]
        self.put("SHA256SUMS", "".join(lines).encode())

    def folder(self, **options: Any) -> S3Folder:
        """Return what is under test."""
        return S3Folder(self.url, **{"workers": 1, "part_bytes": PART} | options)


@pytest.fixture
def prefix(client: Any, wire: Wire, request: pytest.FixtureRequest) -> Prefix:
    """An empty prefix."""
    del wire
    number = client.list_objects_v2(Bucket=BUCKET, Delimiter="/").get("CommonPrefixes", [])
    return Prefix(client, f"{request.node.originalname}-{len(number)}")


def one_line(error: BaseException) -> str:
    """Return the message, which is one line and gives no secret away."""
    message = str(error)
    assert "\n" not in message
    assert SECRET_KEY not in message
    assert STRANGER_SECRET not in message
    return message


def files(folder: Path) -> set[str]:
    """Return the names of what is in a folder."""
    return {path.name for path in folder.iterdir()}


def noted_ranges(folder: Path) -> set[str]:
    """Return the ranges that an unfinished download has noted, as HTTP writes them."""
    return set((folder / "model.bin.part.ranges").read_text().split("\n")[1:])


class InterruptionError(Exception):
    """What ends a download in the middle."""


def interrupt(
    prefix: Prefix, wire: Wire, folder: Path, *, name: str = "model.bin", after: int = 1, **options: Any
) -> None:
    """Download over one connection, until progress has been reported ``after`` times."""
    reports = 0

    def advance(amount: int) -> None:
        del amount
        nonlocal reports
        reports += 1
        if reports == after:
            raise InterruptionError

    remote = prefix.folder(**options)
    remote.list()
    # A range takes long enough for the worker to be told before it has the next one.
    wire.delay_s = 0.05 * PART / options.get("part_bytes", PART)
    with pytest.raises(InterruptionError):
        remote.download([name], folder, advance)
    wire.delay_s = 0
    assert files(folder) >= {f"{name}.part", f"{name}.part.ranges"}
    assert name not in files(folder)


def run_download(prefix: Prefix, name: str, folder: Path, **options: Any) -> "subprocess.Popen[str]":
    """Start a download in another process, which prints the size of each range it has."""
    command = [sys.executable, "-c", DOWNLOAD, prefix.url, name, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def test_only_files_directly_below_the_prefix_are_listed(prefix: Prefix) -> None:
    """Neither the folder's own marker, nor folders in it, nor what a neighbour's name begins with."""
    for name in ("model.bin", "a b&ü.txt", "", "sub/config.json", "old.bin.part", "old.bin.part.ranges"):
        prefix.put(name, b"{}")
    prefix.client.put_object(Bucket=BUCKET, Key=prefix.url.removeprefix(f"s3://{BUCKET}/") + "-2/x", Body=b"")

    listed = S3Folder(prefix.url + "/").list()

    assert listed == tuple(RemoteFile(name=name, size=2, check="md5") for name in ("a b&ü.txt", "model.bin"))


def test_files_of_a_bucket_itself_are_listed(prefix: Prefix) -> None:
    """A bucket may hold one model and nothing else."""
    del prefix

    assert "ready" in {file.name for file in S3Folder(f"s3://{BUCKET}").list()}


def test_every_kind_of_upload_arrives_as_it_was_sent(prefix: Prefix, tmp_path: Path) -> None:
    """Each by the best evidence there is, the empty file as well."""
    large, small = random_bytes(2 * UPLOAD_PART + 1234), random_bytes(SIZE, 2)
    sent = {
        "composite": prefix.put_in_parts("composite", large, ChecksumAlgorithm="SHA256"),
        "empty": prefix.put("empty", b""),
        "exact": prefix.put("exact", small[: 2 * PART]),
        "kms": prefix.put("kms", small, ServerSideEncryption="aws:kms", SSEKMSKeyId=KMS_KEY),
        "large": prefix.put_in_parts("large", large),
        "managed": prefix.put("managed", small, ServerSideEncryption="AES256"),
        "one part": prefix.put_in_uneven_parts("one part", small),
        "plain": prefix.put("plain", small),
        "sha256": prefix.put("sha256", small, ChecksumAlgorithm="SHA256"),
        "summed": prefix.put_in_parts("summed", large),
        "uneven": prefix.put_in_uneven_parts("uneven", large[:UPLOAD_PART], large, b"end"),
    }
    prefix.put_sums(summed=sent["summed"])
    folder = prefix.folder(workers=16, part_bytes=1 << 20)
    listed = folder.list()
    counted: list[int] = []

    folder.download([file.name for file in listed if file.name in sent], tmp_path / "in" / "it", counted.append)

    assert {file.name: file.check for file in listed} == {
        "SHA256SUMS": "md5",
        "composite": "multipart md5",
        "empty": "md5",
        "exact": "md5",
        "kms": "",
        "large": "multipart md5",
        "managed": "md5",
        "one part": "multipart md5",
        "plain": "md5",
        # AWS adds ChecksumType: FULL_OBJECT, SeaweedFS nothing; the form of the hash tells as much.
        "sha256": "sha256",
        "summed": "sha256",
        "uneven": "",
    }
    assert {name: (tmp_path / "in" / "it" / name).read_bytes() == data for name, data in sent.items()} == dict.fromkeys(
        sent, True
    )
    assert files(tmp_path / "in" / "it") == {*sent, "kms.part.ranges", "uneven.part.ranges"}
    assert sum(counted) == sum(map(len, sent.values()))


def test_a_small_file_is_read_and_checked(prefix: Prefix, wire: Wire) -> None:
    """Its hash counts as much as that of a file on disk."""
    prefix.put("config.json", b'{"a": 1}')
    prefix.put("empty", b"")
    prefix.put("wrong", b"abc")
    prefix.put_sums(wrong=b"abd")
    folder = prefix.folder()

    assert folder.read("config.json") == b'{"a": 1}'
    assert folder.read("empty") == b""
    assert wire.requests[-1] == ("config.json", "0-7")
    with pytest.raises(DownloadError, match="/wrong: sha256 of the download is ba7816bf"):
        folder.read("wrong")
    with pytest.raises(DownloadError, match="/nowhere: there is no such file"):
        folder.read("nowhere")


def test_only_small_files_are_read_into_memory(prefix: Prefix) -> None:
    """16 MiB are, one byte more is not."""
    prefix.put("small", bytes(MAX_READ_BYTES))
    prefix.put("large", bytes(MAX_READ_BYTES + 1))
    folder = prefix.folder()

    assert len(folder.read("small")) == MAX_READ_BYTES
    with pytest.raises(DownloadError, match=r"/large: its 16\.8 MB are too large .* 16 MiB may be"):
        folder.read("large")


def test_an_interrupted_download_fetches_only_what_is_missing(prefix: Prefix, wire: Wire, tmp_path: Path) -> None:
    """The requests on the wire show it: none is made twice, but for the one that was under way."""
    data = prefix.put("model.bin", random_bytes(SIZE))
    interrupt(prefix, wire, tmp_path, after=2)
    noted = noted_ranges(tmp_path)
    assert len(noted) == 2
    assert len(wire.requests) <= 3
    wire.requests.clear()
    counted: list[int] = []

    prefix.folder(workers=4).download(["model.bin"], tmp_path, counted.append)

    assert (tmp_path / "model.bin").read_bytes() == data
    assert files(tmp_path) == {"model.bin"}
    assert len(wire.requests) == len(wire.ranges) == RANGES - 2
    assert not noted & wire.ranges
    assert counted[0] == 2 * PART
    assert sum(counted) == SIZE


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill"])
def test_a_process_that_is_stopped_leaves_nothing_under_the_name(
    prefix: Prefix, wire: Wire, tmp_path: Path, sent: signal.Signals
) -> None:
    """It ends at once, and what it had is used by the next one."""
    data = prefix.put("model.bin", random_bytes(SIZE))
    wire.delay_s = 0.1
    with run_download(prefix, "model.bin", tmp_path) as process:
        assert process.stdout is not None
        printed = [process.stdout.readline() for _ in range(2)]
        process.send_signal(sent)
        start = time.monotonic()
        process.wait(timeout=10)
        took_s = time.monotonic() - start

    assert took_s < 3
    assert process.returncode == -sent
    assert set(printed) == {f"{PART}\n"}
    assert files(tmp_path) == {"model.bin.part", "model.bin.part.ranges"}
    noted = noted_ranges(tmp_path)
    assert 2 <= len(noted) < RANGES
    wire.requests.clear()
    wire.delay_s = 0
    prefix.folder(workers=4).download(["model.bin"], tmp_path, nothing)
    assert (tmp_path / "model.bin").read_bytes() == data
    assert len(wire.requests) == len(wire.ranges) == RANGES - len(noted)
    assert not noted & wire.ranges


def test_notes_of_another_object_are_not_believed(prefix: Prefix, wire: Wire, tmp_path: Path) -> None:
    """The object that was half fetched has been replaced: all of the new one is fetched."""
    prefix.put("model.bin", random_bytes(SIZE))
    interrupt(prefix, wire, tmp_path)
    data = prefix.put("model.bin", random_bytes(SIZE, 2))
    wire.requests.clear()

    prefix.folder().download(["model.bin"], tmp_path, nothing)

    assert (tmp_path / "model.bin").read_bytes() == data
    assert len(wire.requests) == RANGES


@pytest.mark.parametrize(
    "notes",
    [b"", b"\xff\xfe\n", b"torn", None],
    ids=["empty", "garbage", "without a line", "without the bytes"],
)
def test_damaged_notes_are_not_believed(prefix: Prefix, wire: Wire, tmp_path: Path, notes: bytes | None) -> None:
    """The download begins anew."""
    data = prefix.put("model.bin", random_bytes(SIZE))
    interrupt(prefix, wire, tmp_path)
    if notes is None:
        (tmp_path / "model.bin.part").unlink()
    else:
        (tmp_path / "model.bin.part.ranges").write_bytes(notes)

    prefix.folder().download(["model.bin"], tmp_path, nothing)

    assert (tmp_path / "model.bin").read_bytes() == data


def test_a_note_that_was_cut_short_is_not_believed(prefix: Prefix, wire: Wire, tmp_path: Path) -> None:
    """Nor does it spoil the one that is written after it."""
    data = prefix.put("model.bin", random_bytes(SIZE))
    interrupt(prefix, wire, tmp_path)
    first, second = f"0-{PART - 1}", f"{PART}-{2 * PART - 1}"
    with (tmp_path / "model.bin.part.ranges").open("a") as notes:
        notes.write(f"\n{second[:-1]}")
    interrupt(prefix, wire, tmp_path, after=2)  # the first report is of what had been there
    assert noted_ranges(tmp_path) == {first, second[:-1], second}
    wire.requests.clear()

    prefix.folder().download(["model.bin"], tmp_path, nothing)

    assert (tmp_path / "model.bin").read_bytes() == data
    assert len(wire.requests) == RANGES - 2


def test_a_connection_that_breaks_costs_what_had_not_arrived(prefix: Prefix, wire: Wire, tmp_path: Path) -> None:
    """The next request of the range begins where the answer broke off."""
    data = prefix.put("model.bin", random_bytes(SIZE))
    folder = prefix.folder(part_bytes=1 << 20)
    folder.list()
    wire.break_after = [150_000, 60_000]

    folder.download(["model.bin"], tmp_path, nothing)

    assert (tmp_path / "model.bin").read_bytes() == data
    starts = [int(asked.split("-")[0]) for _, asked in wire.requests]
    assert len(starts) == 3
    assert 0 == starts[0] < 100_000 < starts[1] < starts[2] < SIZE


def test_a_connection_that_keeps_breaking_ends_the_download(prefix: Prefix, wire: Wire, tmp_path: Path) -> None:
    """After five attempts, in one line."""
    prefix.put("model.bin", random_bytes(SIZE))
    folder = prefix.folder(part_bytes=1 << 20)
    folder.list()
    wire.break_after = [1000] * 5

    with pytest.raises(DownloadError, match=r"/model\.bin: .*; check the network") as caught:
        folder.download(["model.bin"], tmp_path, nothing)

    one_line(caught.value)
    assert len(wire.requests) == 5
    assert files(tmp_path) == {"model.bin.part", "model.bin.part.ranges"}


def test_an_object_that_its_checksums_do_not_know_is_refused(prefix: Prefix, wire: Wire, tmp_path: Path) -> None:
    """SHA256SUMS is asked before any hash of the store, which is right here."""
    data = prefix.put("model.bin", random_bytes(SIZE), ChecksumAlgorithm="SHA256")
    prefix.put("config.json", b"{}")
    changed = bytes([data[0] ^ 1]) + data[1:]
    prefix.put_sums(**{"model.bin": changed})

    for _ in range(2):
        wire.requests.clear()
        with pytest.raises(DownloadError) as caught:
            prefix.folder().download(["model.bin"], tmp_path, nothing)
        assert one_line(caught.value) == (
            f"{prefix.url}/model.bin: sha256 of the download is {hashlib.sha256(data).hexdigest()}, "
            f"expected {hashlib.sha256(changed).hexdigest()}; it is fetched anew the next time, and has to be uploaded "
            "anew if that is no help"
        )
        assert files(tmp_path) == set()
        assert len([name for name, _ in wire.requests if name == "model.bin"]) == RANGES
    prefix.put_sums(**{"model.bin": data})
    prefix.folder().download(["model.bin", "config.json"], tmp_path, nothing)
    assert files(tmp_path) == {"model.bin", "config.json"}


def test_checksums_that_are_none_are_refused(prefix: Prefix) -> None:
    """Whoever wrote them wants them looked at."""
    prefix.put("model.bin", b"1")
    prefix.put("SHA256SUMS", b"model.bin\n")

    with pytest.raises(DownloadError, match=r"/SHA256SUMS: 'model\.bin' is not") as caught:
        prefix.folder().list()
    one_line(caught.value)


def put_plain(prefix: Prefix) -> bytes:
    """Upload so that the ETag is an MD5."""
    return prefix.put("model.bin", random_bytes(SIZE))


def put_sha256(prefix: Prefix) -> bytes:
    """Upload with a SHA-256."""
    return prefix.put("model.bin", random_bytes(SIZE), ChecksumAlgorithm="SHA256")


def put_in_parts(prefix: Prefix) -> bytes:
    """Upload in parts."""
    return prefix.put_in_parts("model.bin", random_bytes(2 * UPLOAD_PART + 1))


@pytest.mark.parametrize("put", [put_plain, put_sha256, put_in_parts], ids=["md5", "sha256", "multipart md5"])
def test_a_byte_that_changes_between_two_runs_is_found(
    prefix: Prefix, wire: Wire, tmp_path: Path, put: Callable[[Prefix], bytes]
) -> None:
    """The run that finds it says so, the next one is right."""
    data = put(prefix)
    interrupt(prefix, wire, tmp_path, part_bytes=len(data) // 3)
    part = tmp_path / "model.bin.part"
    with part.open("r+b") as file:
        file.write(bytes([data[0] ^ 1]))

    with pytest.raises(DownloadError, match="of the download is") as caught:
        prefix.folder(part_bytes=len(data) // 3).download(["model.bin"], tmp_path, nothing)
    one_line(caught.value)
    assert files(tmp_path) == set()
    prefix.folder(part_bytes=len(data) // 3).download(["model.bin"], tmp_path, nothing)
    assert (tmp_path / "model.bin").read_bytes() == data


@pytest.mark.parametrize("options", [{}, {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KMS_KEY}], ids=["md5", ""])
def test_a_complete_file_is_fetched_once(prefix: Prefix, wire: Wire, tmp_path: Path, options: dict[str, str]) -> None:
    """Its hash is asked again, or if there is none its size and what was noted of its object."""
    prefix.put("model.bin", random_bytes(SIZE), **options)
    prefix.folder().download(["model.bin"], tmp_path, nothing)
    assert len(wire.requests) == RANGES
    wire.requests.clear()
    counted: list[int] = []

    prefix.folder().download(["model.bin", "model.bin"], tmp_path, counted.append)

    assert wire.requests == []
    assert counted == [SIZE]
    data = prefix.put("model.bin", random_bytes(SIZE, 2), **options)
    prefix.folder().download(["model.bin"], tmp_path, nothing)
    assert (tmp_path / "model.bin").read_bytes() == data
    assert len(wire.requests) == RANGES


@pytest.mark.parametrize(
    ("options", "damage"),
    [({}, b"\0"), ({"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KMS_KEY}, b"")],
    ids=["md5", "size"],
)
def test_a_file_that_was_damaged_later_is_fetched_anew(
    prefix: Prefix, tmp_path: Path, options: dict[str, str], damage: bytes
) -> None:
    """As far as can be seen: without a hash, when its size is another."""
    data = prefix.put("model.bin", random_bytes(SIZE), **options)
    prefix.folder().download(["model.bin"], tmp_path, nothing)
    (tmp_path / "model.bin").write_bytes(damage + data[1:])

    prefix.folder().download(["model.bin"], tmp_path, nothing)

    assert (tmp_path / "model.bin").read_bytes() == data


def test_an_old_file_is_gone_before_the_new_one_is_fetched(prefix: Prefix, wire: Wire, tmp_path: Path) -> None:
    """Else an interrupted run would leave files of two models side by side."""
    prefix.put("model.bin", random_bytes(SIZE))
    prefix.folder().download(["model.bin"], tmp_path, nothing)
    prefix.put("model.bin", random_bytes(SIZE, 2))

    interrupt(prefix, wire, tmp_path)

    assert files(tmp_path) == {"model.bin.part", "model.bin.part.ranges"}


def test_an_object_replaced_since_it_was_listed_is_refused(prefix: Prefix, tmp_path: Path) -> None:
    """Before its first range, and between two of them."""
    prefix.put("model.bin", random_bytes(SIZE))
    folder = prefix.folder()
    folder.list()
    prefix.put("model.bin", random_bytes(SIZE, 2))
    message = f"{prefix.url}/model.bin: it was replaced after it had been listed; start again"

    with pytest.raises(DownloadError) as before:
        folder.download(["model.bin"], tmp_path, nothing)
    with pytest.raises(DownloadError) as between:
        prefix.folder().download(
            ["model.bin"], tmp_path, lambda amount: prefix.put("model.bin", random_bytes(SIZE, amount))
        )

    assert one_line(before.value) == one_line(between.value) == message
    assert "model.bin" not in files(tmp_path)


def test_an_object_removed_since_it_was_listed_is_refused(prefix: Prefix, tmp_path: Path) -> None:
    """In one line."""
    prefix.put("model.bin", b"1")
    folder = prefix.folder()
    folder.list()
    prefix.client.delete_object(Bucket=BUCKET, Key=f"{prefix.url.removeprefix(f's3://{BUCKET}/')}/model.bin")

    with pytest.raises(DownloadError) as caught:
        folder.download(["model.bin"], tmp_path, nothing)

    assert one_line(caught.value) == f"{prefix.url}/model.bin: it is no longer there; start again"


def test_an_object_under_a_key_of_its_own_is_refused(prefix: Prefix) -> None:
    """The store's own words where there are none of ours; SSE-C needs a key that boto3's configuration cannot hold."""
    prefix.put("model.bin", b"1", SSECustomerAlgorithm="AES256", SSECustomerKey="k" * 32)

    with pytest.raises(DownloadError) as caught:
        prefix.folder().list()

    assert one_line(caught.value) == f"{prefix.url}/model.bin: the store answers 400: Bad Request"


@pytest.mark.parametrize(
    ("url", "variables", "said"),
    [
        ("s3://no-such-bucket/m", {}, "s3://no-such-bucket/m/: there is no such bucket"),
        (f"s3://{BUCKET}/none/here", {}, f"s3://{BUCKET}/none/here/: no file stands directly below"),
        (f"s3://{BUCKET}/ready", {}, f"s3://{BUCKET}/ready/: no file stands directly below"),
        (f"s3://{BUCKET}", {"AWS_SECRET_ACCESS_KEY": "wrong"}, "the credentials are refused"),
        (f"s3://{BUCKET}", {"AWS_ACCESS_KEY_ID": "wrong"}, "the credentials are refused"),
        (
            f"s3://{BUCKET}",
            {"AWS_ACCESS_KEY_ID": STRANGER_KEY, "AWS_SECRET_ACCESS_KEY": STRANGER_SECRET},
            "access is denied; it takes s3:ListBucket",
        ),
        (f"s3://{BUCKET}", {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "set AWS_ACCESS_KEY_ID"),
        (f"s3://{BUCKET}", {"AWS_SECRET_ACCESS_KEY": ""}, "AWS_SECRET_ACCESS_KEY"),
        (f"s3://{BUCKET}", {"AWS_PROFILE": "nobody"}, "(nobody) could not be found"),
        (f"s3://{BUCKET}", {"AWS_ENDPOINT_URL_S3": "localhost"}, "check AWS_ENDPOINT_URL_S3"),
        (f"s3://{BUCKET}", {"AWS_ENDPOINT_URL_S3": "http://me:test-secret@127.0.0.1:9"}, "127.0.0.1:9"),
    ],
    ids=[
        "bucket",
        "prefix",
        "an object's name",
        "secret",
        "access key",
        "rights",
        "no credentials",
        "half of the credentials",
        "profile",
        "endpoint",
        "nobody listens",
    ],
)
def test_what_cannot_be_had_is_said_in_one_line(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, url: str, variables: dict[str, str], said: str
) -> None:
    """And soon, whatever is wrong."""
    del wire
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it would remember the credentials
    for name, value in variables.items():
        if value:
            monkeypatch.setenv(name, value)
        else:
            monkeypatch.delenv(name)
    start = time.monotonic()

    with pytest.raises(DownloadError) as caught:
        S3Folder(url).list()

    assert said in one_line(caught.value)
    assert str(caught.value).startswith(f"{url.rstrip('/')}/: ")
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://", "s3://"),
        ("s3:///prefix", "s3:///prefix"),
        ("s3:/bucket/prefix", "s3:/bucket/prefix"),
        ("S3://bucket/prefix", "S3://bucket/prefix"),
        ("https://bucket.s3.amazonaws.com/m", "https://bucket.s3.amazonaws.com/m"),
        ("s3://bu cket/prefix", "s3://bu cket/prefix"),
        ("s3://-bucket/prefix", "s3://-bucket/prefix"),
        ("s3://bucket?versionId=1", "s3://bucket?versionId=1"),
        ("s3://bucket/pre\nfix", "s3://bucket/pre fix"),
        ("s3://key:test-secret/more@bucket/prefix", "s3://...@bucket/prefix"),
        ("s3://key:test-secret@bucket/prefix", "s3://...@bucket/prefix"),
    ],
)
def test_other_urls_are_refused(url: str, shown: str) -> None:
    """Without asking anybody, and without showing a password."""
    with pytest.raises(DownloadError) as caught:
        S3Folder(url)

    assert one_line(caught.value) == f"{shown}: not of the form s3://bucket/prefix"


def test_a_full_disk_is_said_in_one_line(prefix: Prefix, wire: Wire, tmp_path: Path) -> None:
    """/dev/full takes nothing; the file beside it, of which there is a part, stays."""
    prefix.put("a.bin", random_bytes(SIZE))
    prefix.put("b.bin", random_bytes(SIZE))
    interrupt(prefix, wire, tmp_path, name="a.bin")
    (tmp_path / "b.bin.part").symlink_to("/dev/full")

    with pytest.raises(DownloadError) as caught:
        prefix.folder().download(["b.bin"], tmp_path, nothing)

    assert one_line(caught.value) == (
        f"{tmp_path / 'b.bin.part'}: cannot be written: No space left on device; "
        "make room and try again, what has been fetched is kept"
    )
    assert files(tmp_path) == {"a.bin.part", "a.bin.part.ranges", "b.bin.part", "b.bin.part.ranges"}


def test_a_limit_of_the_process_is_said_in_one_line(prefix: Prefix, tmp_path: Path) -> None:
    """A file that must not grow ends the download, and no thread keeps the process alive."""
    prefix.put("model.bin", random_bytes(SIZE))

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3 * PART, 3 * PART))

    with run_download(prefix, "model.bin", tmp_path, preexec_fn=limit) as process:
        _, stderr = process.communicate(timeout=20)

    assert process.returncode == 1
    assert stderr.splitlines()[-1].endswith("model.bin.part: cannot be written: File too large")
    assert "model.bin" not in files(tmp_path)


def test_a_folder_that_is_a_file_is_refused(prefix: Prefix, tmp_path: Path) -> None:
    """Nothing has been fetched by then."""
    prefix.put("model.bin", b"1")
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(DownloadError, match="/file: cannot be written: File exists"):
        prefix.folder().download(["model.bin"], tmp_path / "file", nothing)


def test_two_downloads_do_not_write_into_one_folder(prefix: Prefix, tmp_path: Path) -> None:
    """The second is refused while the first is at work, and finds the file when it has ended."""
    data = prefix.put("model.bin", random_bytes(SIZE))
    refused: list[str] = []

    def second(amount: int) -> None:
        del amount
        if not refused:
            with pytest.raises(DownloadError) as caught:
                prefix.folder().download(["model.bin"], tmp_path, nothing)
            refused.append(one_line(caught.value))

    prefix.folder().download(["model.bin"], tmp_path, second)
    prefix.folder().download(["model.bin"], tmp_path, nothing)

    assert refused == [f"{tmp_path}: another download writes there; wait for it, or name another folder"]
    assert (tmp_path / "model.bin").read_bytes() == data


def test_importing_the_module_does_not_import_boto3() -> None:
    """It takes 135 ms that most bakes can do without."""
    code = "import sys, handler.s3; print(sorted({'boto3', 'botocore', 'urllib3'} & set(sys.modules)))"

    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert out.stdout.strip() == "[]"
