"""Connections that say too little: none is kept for ever, and none is answered amid another answer."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from handler import http_protocol
from handler.http_protocol import EnvelopeProtocol

TIMEOUT_S = 10
SOON_S = 0.2
REQUEST = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
SLOW = REQUEST.replace(b"/", b"/slow", 1)
HEAD_AND_MORE = REQUEST.replace(b"\r\n\r\n", b"\r\ncontent-length: 10\r\n\r\n")

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def app(scope: Scope, _: Receive, send: Send) -> None:
    """Say "here" in two parts, slowly if asked for that."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"he", "more_body": True})
    if scope["path"] == "/slow":
        await asyncio.sleep(3 * SOON_S)
    await send({"type": "http.response.body", "body": b"re"})


@asynccontextmanager
async def connection(
    *, keep_alive_s: float = 60, protocols: list[EnvelopeProtocol] | None = None
) -> AsyncIterator[Streams]:
    """A connection to that app, whose protocol goes into ``protocols``."""
    made = [] if protocols is None else protocols
    config = uvicorn.Config(app, log_config=None, lifespan="off")
    config.timeout_keep_alive = keep_alive_s  # type: ignore[assignment] # seconds, whole or not
    config.load()

    def protocol() -> EnvelopeProtocol:
        made.append(EnvelopeProtocol(config, ServerState(), {}))
        return made[-1]

    async with await asyncio.get_running_loop().create_server(protocol, "127.0.0.1") as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            yield reader, writer
        finally:
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head has to come soon."""
    monkeypatch.setattr(http_protocol, "MAX_HEAD_S", SOON_S)


async def read_answer(reader: asyncio.StreamReader) -> bytes:
    """Return one answer of the app."""
    return await asyncio.wait_for(reader.readuntil(b"here"), TIMEOUT_S)


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
    async with connection() as (reader, writer):
        if before:
            writer.write(before)
            await read_answer(reader)
        writer.write(b"GET / HTTP/1.1\r\nhost: lo")
        head, _, body = (await read_all(reader)).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head
    assert json.loads(body)["error"]["type"] == "invalid_request_error"


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    ("before", "after"),
    [(b"", b"\r\n"), (REQUEST, b"\r\n"), (HEAD_AND_MORE, b"x")],
    ids=["line break", "line break after an answer", "body that nobody reads"],
)
async def test_what_is_no_head_keeps_no_connection(before: bytes, after: bytes) -> None:
    """Nobody has begun a request, so there is nothing to say."""
    async with connection() as (reader, writer):
        if before:
            writer.write(before)
            await read_answer(reader)
        writer.write(after)
        assert await read_all(reader) == b""


async def test_line_breaks_without_end_are_too_large() -> None:
    """They are part of no request, and count."""
    async with connection() as (reader, writer):
        writer.write(b"\r\n" * (http_protocol.MAX_HEAD_BYTES // 2 + 1))
        assert (await read_all(reader)).startswith(b"HTTP/1.1 431 ")


@pytest.mark.usefixtures("hurried")
async def test_a_head_is_not_late_while_another_request_is_answered() -> None:
    """Its answer would come into the middle of that one; its time begins afterwards."""
    async with connection() as (reader, writer):
        writer.write(SLOW + REQUEST[:10])
        first = await read_answer(reader)
        writer.write(REQUEST[10:])
        second = await read_answer(reader)

    assert first.startswith(b"HTTP/1.1 200 ")
    assert second.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("garbage", [b"nonsense\r\n\r\n", b"a" * 100_000], ids=["400", "431"])
async def test_garbage_behind_a_request_does_not_spoil_its_answer(garbage: bytes) -> None:
    """It is the last one on this connection."""
    async with connection() as (reader, writer):
        writer.write(SLOW)
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\nhe"), TIMEOUT_S)
        writer.write(garbage)
        assert await read_all(reader) == b"re"


@pytest.mark.usefixtures("hurried")
async def test_who_waits_between_two_requests_is_not_late() -> None:
    """The time of a head begins with its first byte."""
    async with connection() as (reader, writer):
        for _ in range(2):
            await asyncio.sleep(2 * SOON_S)
            writer.write(REQUEST)
            assert (await read_answer(reader)).startswith(b"HTTP/1.1 200 ")


async def test_a_reset_connection_leaves_no_timer() -> None:
    """Load balancers look at ports so."""
    protocols: list[EnvelopeProtocol] = []
    async with connection(protocols=protocols) as (_, writer):
        writer.write(b"GET")
        async with asyncio.timeout(TIMEOUT_S):
            while not (protocols and protocols[0]._head_timer):  # noqa: SLF001, ASYNC110 - nothing else tells of it
                await asyncio.sleep(0.01)
        [lost] = protocols
        lost.connection_lost(ConnectionResetError())

        assert lost.timeout_keep_alive_task is None
        assert lost._head_timer is None  # noqa: SLF001 - what must not be left behind
