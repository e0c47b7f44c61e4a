"""An hour of load with clients that go away: whether anything fails, grows or is left behind.

``make bench-soak`` asks for more than the server can do, counts what it answers, then asks at random times for 80 % of
that: plain and streamed, single sentences and short documents, greedy and with a beam; one client in ten goes away if
its answer does not come soon. It prints the server's memory, threads and open files as time goes by, and exits with 1
if any answer was wrong or refused, or if at the end there is more of them than after the first tenth.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

from cold.models import MODELS, model
from conftest import Server, running_server
from document import cpu_s
from documents import document
from throughput.client import bodies, closed_loop

SHARE = 0.8
LEAVE = 0.1
"""Of the clients."""
CLIENTS, WARM_S, CAPACITY_S, SAMPLES = 32, 5.0, 20.0, 60
GROWTH = 1.05
"""Of memory, from the first tenth to the end."""
TIMEOUT_S = 120.0
TOKENS = 16


@dataclass(frozen=True, slots=True)
class Sample:
    """What the server had at one moment."""

    seconds: float
    memory_mib: float
    threads: int
    files: int


@dataclass(slots=True)
class Outcome:
    """What has become of the requests."""

    counts: Counter[str] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)


def sample(server: Server, start: float) -> Sample:
    """Return what the server has now."""
    process = Path(f"/proc/{server.process.pid}")
    fields = dict(line.split(":", 1) for line in (process / "status").read_text("ascii").splitlines())
    return Sample(
        time.monotonic() - start,
        int(fields["VmRSS"].split()[0]) / 1024,
        int(fields["Threads"]),
        len(list((process / "fd").iterdir())),
    )


async def ask(server: Server, body: bytes, expected: str | None, leave_s: float | None, outcome: Outcome) -> None:
    """Ask once over a connection of its own; go away after ``leave_s``, if that is sooner than the answer."""
    address = urlsplit(server.url)
    start = time.monotonic()
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode("ascii") + body)
        answer = await asyncio.wait_for(reader.read(-1), leave_s or TIMEOUT_S)
    except TimeoutError:
        outcome.counts["left" if leave_s else "no answer in time"] += 1
        return
    except OSError as error:
        outcome.counts[f"error: {error}"] += 1
        return
    finally:
        writer.close()
    status = answer[9:12].decode()
    content = answer.partition(b"\r\n\r\n")[2].decode()
    if status != "200":
        outcome.counts[f"status {status}"] += 1
    elif expected is None:
        outcome.counts["answered" if content.count("[DONE]") == 1 else "stream without its end"] += 1
    else:
        text = json.loads(content)["choices"][0]["message"]["content"]
        outcome.counts["answered" if text == expected else "wrong text"] += 1
    outcome.latencies_s.append(time.monotonic() - start)


async def soak(server: Server, outcome: Outcome, *, per_second: float, seconds: float, right: bool) -> None:
    """Ask at random times for ``seconds``; with ``right`` the answers are checked."""
    draw, start = Random(6), time.monotonic()
    given = document()
    pending: set[asyncio.Task[None]] = set()
    due, due_sample = start, start
    for number in count():
        due += draw.expovariate(per_second)
        if due > start + seconds:
            break
        if time.monotonic() >= due_sample:
            outcome.samples.append(sample(server, start))
            due_sample += seconds / SAMPLES
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        pairs = [given.sentences[(number + k) % len(given.sentences)] for k in range(draw.choice((1, 1, 1, 1, 4)))]
        stream, beam_size = draw.random() < 0.25, draw.choice((1, 1, 1, 2))
        fields = {
            "messages": [{"role": "user", "content": "\n".join(source for source, _ in pairs)}],
            "source_lang": "eng_Latn",
            "target_lang": "fra_Latn",
            "beam_size": beam_size,
            "stream": stream,
            **({} if right else {"max_completion_tokens": len(pairs) * TOKENS}),
        }
        expected = "\n".join(target for _, target in pairs) if right and not stream and beam_size == 1 else None
        if not stream and expected is None:
            fields["stream"] = True  # its end can be checked
        leave_s = draw.expovariate(20.0) if draw.random() < LEAVE else None
        task = asyncio.create_task(ask(server, json.dumps(fields).encode(), expected, leave_s, outcome))
        pending.add(task)
        task.add_done_callback(pending.discard)
    await asyncio.wait_for(asyncio.gather(*pending), TIMEOUT_S)


def capacity(server: Server, *, per_second: float, right: bool) -> float:
    """Return how many requests a second the server takes care of when it is asked for more; the others get 429."""
    flood = Outcome()
    start = time.monotonic()
    asyncio.run(soak(server, flood, per_second=per_second, seconds=CAPACITY_S, right=right))
    return (flood.counts["answered"] + flood.counts["left"]) / (time.monotonic() - start)


def main() -> int:
    """Print the table; return 1 if anything failed or grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--model", choices=list(MODELS), default="demo")
    options = parser.parse_args()
    right = options.model == "demo"
    outcome = Outcome()
    texts = [source for source, _ in document().sentences]
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Path(folder), LOG_LEVEL="ERROR", MODEL_PATH=str(model(options.model).folder)) as server,
    ):
        load = closed_loop(server.url, bodies(texts, TOKENS), clients=CLIENTS, warm_s=3, seconds=WARM_S)
        # Of single sentences over kept connections, which is more than can be had of these requests.
        most = capacity(server, per_second=load.per_second, right=right)
        per_second = SHARE * most
        start = cpu_s(server.process.pid)
        asyncio.run(soak(server, outcome, per_second=per_second, seconds=options.seconds, right=right))
        cpu_share = (cpu_s(server.process.pid) - start) / options.seconds
        time.sleep(5)
        outcome.samples.append(sample(server, time.monotonic() - options.seconds))
        log = (Path(folder) / "server.log").read_text(encoding="utf-8")
    errors = [line for line in log.splitlines() if '"level":"ERROR"' in line]
    print(f"{options.model}: {most:.1f} requests/s at most; asked {per_second:.1f} times a second")
    print(f"{options.seconds:.0f} s, {cpu_share:.2f} CPUs, latency p50 {_percentile(outcome, 50):.0f} ms, ", end="")
    print(f"p99 {_percentile(outcome, 99):.0f} ms; {dict(outcome.counts)}; errors in the log: {len(errors)}")
    print("| minutes | memory | threads | open files |\n|---|---|---|---|")
    for moment in outcome.samples[:: max(1, len(outcome.samples) // 10)] + outcome.samples[-1:]:
        print(f"| {moment.seconds / 60:.1f} | {moment.memory_mib:.0f} MiB | {moment.threads} | {moment.files} |")
    early = outcome.samples[len(outcome.samples) // 10]
    last = outcome.samples[-1]
    grown = last.memory_mib > GROWTH * early.memory_mib or last.files > early.files + 2
    bad = set(outcome.counts) - {"answered", "left"}
    return int(bool(grown or bad or errors))


def _percentile(outcome: Outcome, percent: int) -> float:
    return statistics.quantiles(outcome.latencies_s, n=100)[percent - 1] * 1e3


if __name__ == "__main__":
    sys.exit(main())
