"""Measures, in turns: a server with batching, the same without, and the engine with all sentences at hand.

Without options: everything, about 45 minutes. ``--write`` puts what was measured into docs/throughput.md. Exits with 1
where an aim is missed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from cold.models import MODELS, Model, model
from conftest import ROOT, Server, clean_environment, running_server
from document import cpu_s
from documents import document

from throughput.client import Measure, beside, bodies, closed_loop, open_loop
from throughput.report import BEGIN, END, Side, picture, table

DOCUMENT, PICTURE = ROOT / "docs" / "throughput.md", ROOT / "docs" / "throughput.svg"
TOKENS = 16
"""Decoded for each sentence; the model of random weights does not end by itself."""
CLIENTS = (1, 2, 4, 8, 16, 32, 64)
BATCHING, WITHOUT = "batching", "without batching"
AIM, AIM_AT, ALONE_AIM = 0.85, 32, 1.03
"""Of the offline optimum at so many clients; and p50 of one client, to the one without batching."""
AIMED = "600m"
TRAINED = "demo"
"""Its sentences end; those of random weights in a document would run into their bound."""
SPANS = {"demo": (1.0, 4.0, 2048), "32k": (4.0, 15.0, 128), "600m": (6.0, 24.0, 96)}
"""Seconds that do not count, seconds that do, and sentences of the offline optimum."""
OPEN_SHARE = 0.7
"""Of the throughput with 32 clients that an open loop asks for."""
BESIDE = 4
"""Clients beside the one that asks for documents."""

Sides = Mapping[str, Server]


@contextmanager
def servers(chosen: Model) -> Iterator[Sides]:
    """Yield a server with batching and one without."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        start = partial(running_server, MODEL_PATH=str(chosen.folder), LOG_LEVEL="ERROR")
        with start(Path(one)) as with_batching, start(Path(other), BATCHING="false") as without:
            yield {BATCHING: with_batching, WITHOUT: without}


@contextmanager
def offline(chosen: Model, texts: list[str]) -> Iterator[partial[float]]:
    """Yield what translates so many sentences at once, and returns how many a second it did."""
    path = os.pathsep.join(map(str, (ROOT, ROOT / "tests" / "bench")))
    with subprocess.Popen(
        [sys.executable, "-m", "throughput.offline", json.dumps([str(chosen.folder), TOKENS, *texts])],
        env=clean_environment(PYTHONPATH=path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:

        def translate(count: int) -> float:
            assert process.stdin
            assert process.stdout
            process.stdin.write(f"{count}\n")
            process.stdin.flush()
            return count / float(process.stdout.readline())

        yield partial(translate)
        assert process.stdin
        process.stdin.close()


def ask(sides: Sides, rows: dict[str, dict[str, Side]], name: str, measure: Measure) -> None:
    """Put a load on each server in turn."""
    for side, server in sides.items():
        result = rows.setdefault(name, {}).setdefault(side, Side())
        start = cpu_s(server.process.pid)
        result.loads.append(measure(server.url))
        result.cpu_s.append(cpu_s(server.process.pid) - start)
        result.memory_mib = peak_mib(server.process.pid)


def peak_mib(pid: int) -> float:
    """Return the most memory that a process has had, in MiB."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def closed(clients: int) -> str:
    """Return the title of a closed loop."""
    return f"{clients} client" + "s" * (clients > 1)


def measure(short: str, *, rounds: int, clients: tuple[int, ...]) -> tuple[str, str, list[str]]:
    """Measure one model; return its tables, its picture and the aims it missed."""
    chosen = model(short)
    warm_s, seconds, count = SPANS[short]
    given = document()
    texts = [source for source, _ in given.sentences]
    requests = bodies(texts, TOKENS)
    rows: dict[str, dict[str, Side]] = {}
    optimum: list[float] = []
    with servers(chosen) as sides, offline(chosen, texts) as translate:
        translate(32)
        for _ in range(rounds):
            optimum.append(translate(count))
            for number in clients:
                load = partial(closed_loop, requests=requests, clients=number, warm_s=warm_s, seconds=seconds)
                ask(sides, rows, closed(number), load)
        if AIM_AT in clients:
            rate = OPEN_SHARE * rows[closed(AIM_AT)][BATCHING].per_second
            title = f"open loop, {rate:.1f} a second"
            # More than the server without batching can do: it would never end.
            batched = {BATCHING: sides[BATCHING]}
            ask(batched, rows, title, partial(open_loop, requests=requests, per_second=rate, seconds=seconds))
        if short == TRAINED:
            [whole] = bodies([given.text], 300 * TOKENS)
            load = partial(beside, background=whole, requests=requests, clients=BESIDE, seconds=3 * seconds)
            ask(sides, rows, f"{closed(BESIDE)} beside documents of 300 sentences", load)
    best = statistics.median(optimum)
    text = table(chosen.title, rows, tokens=TOKENS, offline=best)
    print(text, flush=True)
    curves = {name: [(n, rows[closed(n)][name].per_second) for n in clients] for name in (BATCHING, WITHOUT)}
    missed = []
    if short == AIMED and AIM_AT in clients and 1 in clients:
        share = rows[closed(AIM_AT)][BATCHING].per_second / best
        alone = rows[closed(1)]
        ratio = alone[BATCHING].latency_ms(50) / alone[WITHOUT].latency_ms(50)
        print(f"{AIM_AT} clients: {share:.2f} of the offline optimum; the aim is {AIM}")
        print(f"p50 of one client, with batching / without: {ratio:.3f}; the aim is {ALONE_AIM}")
        missed = [name for name, miss in (("share", share < AIM), ("alone", ratio > ALONE_AIM)) if miss]
    return text, picture(f"{chosen.title}, two CPUs: {TOKENS} tokens a sentence", curves, best), missed


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of each load")
    parser.add_argument("--models", nargs="+", choices=list(SPANS), default=list(SPANS))
    parser.add_argument("--clients", type=int, nargs="+", default=list(CLIENTS))
    parser.add_argument("--write", action="store_true", help="put the tables and the picture into docs/")
    options = parser.parse_args()
    assert set(SPANS) <= set(MODELS)
    texts, missed = [], []
    for short in options.models:
        text, drawn, misses = measure(short, rounds=options.rounds, clients=tuple(options.clients))
        texts.append(text)
        missed += misses
        if options.write and short == AIMED:
            PICTURE.write_text(drawn, encoding="utf-8")
    if options.write:
        before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        DOCUMENT.write_text("\n".join([before + BEGIN, "", *texts]) + END + after, encoding="utf-8")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
