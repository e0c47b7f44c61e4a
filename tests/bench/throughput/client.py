"""Many clients of one server: in a closed loop each asks again once answered, in an open one whenever it likes."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import count
from random import Random
from urllib.parse import urlsplit

TIMEOUT_S = 600.0
PATH = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and after how long."""

    status: int
    headers: bytes
    """Status line and headers, in small letters."""
    content: bytes
    seconds: float


@dataclass(slots=True)
class Load:
    """What was answered within one span of time."""

    seconds: float
    latencies_s: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return len(self.latencies_s) / self.seconds


class Connection:
    """One client over a connection that is kept. It parses as little as it can: its time is not the server's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, body: bytes) -> float:
        """Ask once, and return the seconds until the answer is there."""
        answer = await self.request("POST", PATH, body)
        if answer.status != HTTPStatus.OK:
            message = f"answered {answer.content.decode()}"
            raise SystemExit(message)
        return answer.seconds

    async def request(self, method: str, path: str, body: bytes = b"") -> Answer:
        """Ask once, and return whatever is answered."""
        start = time.perf_counter()
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
        )
        self._writer.write(head.encode("ascii") + b"\r\n\r\n" + body)
        headers = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(headers.partition(b"content-length: ")[2].split(b"\r\n")[0])
        content = await self._reader.readexactly(length)
        return Answer(int(headers.split(b" ", 2)[1]), headers, content, time.perf_counter() - start)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    """Yield a client of the server with this address."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()


def bodies(texts: Sequence[str], tokens: int) -> list[bytes]:
    """Return a request for a greedy translation of each text, in which ``tokens`` are decoded."""
    fields = {"source_lang": "eng_Latn", "target_lang": "fra_Latn", "beam_size": 1}
    # One token more than asked for is decoded: it shows whether the answer would end there.
    return [
        json.dumps(
            {"messages": [{"role": "user", "content": text}], "max_completion_tokens": tokens - 1, **fields}
        ).encode()
        for text in texts
    ]


def closed_loop(url: str, requests: Sequence[bytes], *, clients: int, warm_s: float, seconds: float) -> Load:
    """Ask with so many clients for ``seconds``, of which the ``warm_s`` before are not counted."""

    async def run() -> Load:
        load, numbers = Load(seconds), count()
        begin = time.perf_counter() + warm_s

        async def client() -> None:
            async with connected(url) as connection:
                while (now := time.perf_counter()) < begin + seconds:
                    took = await connection.ask(requests[next(numbers) % len(requests)])
                    if begin <= now + took < begin + seconds:
                        load.latencies_s.append(took)

        await _within_time(asyncio.gather(*(client() for _ in range(clients))))
        return load

    return asyncio.run(run())


def open_loop(url: str, requests: Sequence[bytes], *, per_second: float, seconds: float, seed: int = 6) -> Load:
    """Ask at random times (a Poisson process), however many are not answered yet."""

    async def run() -> Load:
        load, draw = Load(seconds), Random(seed)

        async def ask(body: bytes) -> None:
            async with connected(url) as connection:
                load.latencies_s.append(await connection.ask(body))

        asked = []
        start = due = time.perf_counter()
        for number in count():
            due += draw.expovariate(per_second)
            if due > start + seconds:
                break
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            asked.append(asyncio.create_task(ask(requests[number % len(requests)])))
        await _within_time(asyncio.gather(*asked))
        return load

    return asyncio.run(run())


def beside(url: str, background: bytes, requests: Sequence[bytes], *, clients: int, seconds: float) -> Load:
    """Ask with so many clients while another asks for ``background`` again and again; theirs is what is counted."""

    async def run() -> Load:
        load, numbers = Load(seconds), count()
        end = time.perf_counter() + seconds

        async def other() -> None:
            async with connected(url) as connection:
                while True:
                    await connection.ask(background)

        async def client() -> None:
            async with connected(url) as connection:
                while time.perf_counter() < end:
                    load.latencies_s.append(await connection.ask(requests[next(numbers) % len(requests)]))

        task = asyncio.create_task(other())
        await asyncio.sleep(seconds / 10)
        await _within_time(asyncio.gather(*(client() for _ in range(clients))))
        task.cancel()
        return load

    return asyncio.run(run())


async def _within_time(work: Awaitable[object]) -> None:
    await asyncio.wait_for(work, TIMEOUT_S)


Measure = Callable[[str], Load]
"""Puts load on the server with this address."""
