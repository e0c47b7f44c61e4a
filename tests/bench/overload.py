"""How soon a server whose queue is full says so, beside a health check of the same moment.

``make bench-overload`` lets clients in a process of their own ask for documents of 300 sentences, many more than may
wait; who is refused tries again a moment later. Meanwhile one more client asks for a single sentence and for
``/health/live`` in turns: the check shows what the event loop, the CPUs and the client's own time add to any answer. As
many documents as may wait have been translated before, so the server has its threads, as it has where a queue has had
time to fill. Exits with 1 where a refusal is not a 429 in OpenAI's envelope with ``Retry-After``, or took longer than
50 ms.
"""

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from random import Random

from conftest import running_server
from documents import DIRECTION, document
from throughput.client import PATH, Answer, connected

AIM_MS = 50.0
CLIENTS, MAX_QUEUED = 24, 4
PAUSE_S = (0.05, 0.15)
"""Until a refused client asks again, drawn for each time."""
PROBE_PAUSE_S = 0.02
SECONDS = 30.0
TIMEOUT_S = 120.0
"""For what is still translated when the time is over."""


@dataclass(slots=True)
class Refusals:
    """What clients were answered."""

    latencies_s: list[float] = field(default_factory=list)
    """Of those that were refused."""
    served: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, answer: Answer) -> bool:
        """Count an answer, and return whether it is a refusal."""
        if answer.status == HTTPStatus.OK:
            self.served += 1
            return False
        self.latencies_s.append(answer.seconds)
        if not _well_formed(answer):
            self.wrong.append(f"{answer.status} {answer.content[:200]!r}")
        return True


def _well_formed(answer: Answer) -> bool:
    try:
        members = set(json.loads(answer.content)["error"])
    except (ValueError, KeyError, TypeError):
        return False
    retry_after = answer.headers.partition(b"retry-after: ")[2].split(b"\r\n")[0]
    return answer.status == HTTPStatus.TOO_MANY_REQUESTS and retry_after.isdigit() and members >= {"message", "type"}


def _body(text: str) -> bytes:
    fields = dict(zip(("source_lang", "target_lang"), DIRECTION, strict=True))
    return json.dumps({"messages": [{"role": "user", "content": text}], **fields}).encode()


def flood(url: str, seconds: float, pipe: Pipe) -> None:
    """Ask for documents with all clients; runs in a process of its own.

    It sends nothing but that the queue is full, and in the end what the clients were answered.
    """
    body, draw, refusals = _body(document().text), Random(6), Refusals()

    async def client() -> None:
        end = time.monotonic() + seconds
        async with connected(url) as connection:
            while time.monotonic() < end:
                if refusals.add(await connection.request("POST", PATH, body)):
                    if len(refusals.latencies_s) == 1:
                        pipe.send(None)
                    await asyncio.sleep(draw.uniform(*PAUSE_S))

    async def clients() -> None:
        await asyncio.wait_for(asyncio.gather(*(client() for _ in range(CLIENTS))), seconds + TIMEOUT_S)

    asyncio.run(clients())
    pipe.send(refusals)


async def probe(url: str, seconds: float) -> tuple[Refusals, list[float]]:
    """Ask for a sentence and for a health check in turns; return what came of it and the seconds of the checks."""
    body, refusals, checks = _body("Where is the train station?"), Refusals(), []
    end = time.monotonic() + seconds
    async with connected(url) as connection:
        while time.monotonic() < end:
            await asyncio.sleep(PROBE_PAUSE_S)
            checks.append((await connection.request("GET", "/health/live")).seconds)
            await asyncio.sleep(PROBE_PAUSE_S)
            refusals.add(await connection.request("POST", PATH, body))
    return refusals, checks


async def _translate(url: str, text: str, *, clients: int) -> None:
    async def client() -> None:
        async with connected(url) as connection:
            await connection.ask(_body(text))

    await asyncio.wait_for(asyncio.gather(*(client() for _ in range(clients))), TIMEOUT_S)


def _received(pipe: Pipe, timeout_s: float) -> Refusals | None:
    if not pipe.poll(timeout_s):
        message = "the clients were not refused, or did not come to their end"
        raise SystemExit(message)
    received: Refusals | None = pipe.recv()
    return received


def main() -> int:
    """Print the table; return 1 where a refusal was late or wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    seconds = parser.parse_args().seconds
    processes = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Path(folder), MAX_QUEUED_REQUESTS=str(MAX_QUEUED)) as server,
    ):
        asyncio.run(_translate(server.url, document().text, clients=MAX_QUEUED))
        receiving, sending = processes.Pipe(duplex=False)
        process = processes.Process(target=flood, args=(server.url, seconds, sending), daemon=True)
        process.start()
        # The child has its own: where that ends, so does the pipe.
        sending.close()
        _received(receiving, TIMEOUT_S)
        single, checks = asyncio.run(probe(server.url, seconds))
        documents = _received(receiving, TIMEOUT_S)
        process.join(TIMEOUT_S)
    assert documents
    print(f"{CLIENTS} clients with documents, {documents.served} translated; one with sentences, {single.served}")
    print("| | answers | median | p95 | p99 | slowest | over 50 ms |\n|---|---|---|---|---|---|---|")
    rows = {
        "refused documents": documents.latencies_s,
        "refused sentences": single.latencies_s,
        "health checks": checks,
    }
    for name, values in rows.items():
        percentiles = statistics.quantiles(values, n=100)
        figures = [
            f"{1e3 * s:.1f} ms" for s in (statistics.median(values), percentiles[94], percentiles[98], max(values))
        ]
        late = sum(1e3 * s > AIM_MS for s in values)
        print(f"| {' | '.join([name, str(len(values)), *figures, str(late)])} |")
    wrong = documents.wrong + single.wrong
    print(f"refusals that are not a 429 in the envelope: {len(wrong)} {wrong[:1]}; the aim is {AIM_MS:.0f} ms")
    return int(bool(wrong) or max(documents.latencies_s + single.latencies_s) * 1e3 > AIM_MS)


if __name__ == "__main__":
    sys.exit(main())
