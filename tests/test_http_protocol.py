"""Connections that say too little: none is kept for ever."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from uvicorn.server import ServerState

from handler import http_protocol
from handler.http_protocol import EnvelopeProtocol

TIMEOUT_S = 10
SOON_S = 0.2
REQUEST = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"


@asynccontextmanager
async def connection(*, keep_alive_s: float) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to an app that says "here"."""
    config = uvicorn.Config(PlainTextResponse("here"), log_config=None, lifespan="off")
    config.timeout_keep_alive = keep_alive_s  # type: ignore[assignment] # seconds, whole or not
    config.load()
    server = await asyncio.get_running_loop().create_server(
        lambda: EnvelopeProtocol(config, ServerState(), {}), "127.0.0.1"
    )
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            yield reader, writer
        finally:
            writer.close()
            await writer.wait_closed()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head has to come soon."""
    monkeypatch.setattr(http_protocol, "MAX_HEAD_S", SOON_S)


async def read_all(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the connection is closed."""
    return await asyncio.wait_for(reader.read(-1), TIMEOUT_S)


async def test_a_connection_that_says_nothing_is_closed() -> None:
    """As one that has said nothing more."""
    async with connection(keep_alive_s=SOON_S) as (reader, _):
        assert await read_all(reader) == b""


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("before", [b"", REQUEST], ids=["first", "second"])
async def test_a_head_that_does_not_come_is_answered_408(before: bytes) -> None:
    """In the envelope, and the connection is closed."""
    async with connection(keep_alive_s=60) as (reader, writer):
        writer.write(before + b"GET / HTTP/1.1\r\nhost: lo")
        if before:
            await reader.readuntil(b"here")
        head, _, body = (await read_all(reader)).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head
    assert json.loads(body)["error"]["type"] == "invalid_request_error"


@pytest.mark.usefixtures("hurried")
async def test_who_waits_between_two_requests_is_not_late() -> None:
    """The time of a head begins with its first byte."""
    async with connection(keep_alive_s=60) as (reader, writer):
        for _ in range(2):
            await asyncio.sleep(2 * SOON_S)
            writer.write(REQUEST)
            assert (await asyncio.wait_for(reader.readuntil(b"here"), TIMEOUT_S)).startswith(b"HTTP/1.1 200 ")
