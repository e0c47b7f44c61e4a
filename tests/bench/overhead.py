"""What the HTTP path adds to a warm translation: the Lambda handler and uvicorn beside the bare engine.

``make bench-http`` asks each side for the same translation of the demo model, in turns within one run, so that a busy
machine slows all of them. The sides:

- the engine, and the handler as a function that calls this very engine, in one process;
- behind AWS's runtime client, which a stand-in of the Runtime API hands events to: the engine with nothing but the
  reading and writing of JSON, FastAPI and Mangum around it and nothing else, and the handler;
- uvicorn, over a connection that is kept, asked by a client that neither writes nor reads JSON: FastAPI around the
  engine and nothing else, and the server.

Trust the differences of medians. Exits with 1 where one of ours is larger than its aim.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from random import Random
from threading import Semaphore
from typing import Any
from urllib.parse import urlsplit

from cold.runtime_api import RuntimeApi
from conftest import ROOT, clean_environment, running_server

HERE = Path(__file__).resolve().parent
TIMEOUT_S = 60.0
WARM_UP = 30
"""Rounds before those that count."""
PAUSE_S = 0.002
"""Between two sides: what one does after its answer, its line in the log for one, is not to slow the next."""
ONE_THREAD = "1"
"""Threads that wait for each other would be most of the noise, and nothing of the HTTP path."""
ENGINE, FUNCTION, RUNTIME_ENGINE, RUNTIME_FASTAPI, RUNTIME, UVICORN_FASTAPI, UVICORN = (
    "engine",
    "handler, as a function",
    "engine, through awslambdaric",
    "FastAPI and Mangum, awslambdaric",
    "handler, through awslambdaric",
    "FastAPI alone, uvicorn",
    "uvicorn, kept connection",
)
AIMS_MS = {
    (FUNCTION, ENGINE): 0.7,
    (RUNTIME_FASTAPI, RUNTIME_ENGINE): None,
    (RUNTIME, RUNTIME_ENGINE): 0.7,
    (UVICORN_FASTAPI, ENGINE): None,
    (UVICORN, ENGINE): 1.0,
}
"""Two sides to the largest difference of their medians, if there is one."""
QUESTION, ANSWER = "Where is the train station?", "Où est la gare ?"
REQUEST = {
    "model": "nllb-demo",
    "messages": [{"role": "user", "content": QUESTION}],
    "source_lang": "eng_Latn",
    "target_lang": "fra_Latn",
}
PATH = "/v1/chat/completions"

Side = Callable[[], float]
"""Asks once; returns the milliseconds."""


def lambda_event() -> dict[str, Any]:
    """Return the event of an HTTP API that asks the question."""
    event: dict[str, Any] = json.loads((ROOT / "tests" / "events" / "http_api_v2.json").read_text(encoding="utf-8"))
    event["rawPath"] = event["requestContext"]["http"]["path"] = PATH
    event["requestContext"]["http"]["method"] = "POST"
    event["headers"]["content-type"] = "application/json"
    return event | {"body": json.dumps(REQUEST)}


def _check(answer: str) -> None:
    if answer != ANSWER:
        message = f"wrong answer: {answer!r}"
        raise SystemExit(message)


def _environment() -> dict[str, str]:
    environment = {name: value for name, value in clean_environment().items() if not name.startswith("AWS_")}
    path = os.pathsep.join(map(str, (HERE, ROOT)))
    return environment | {"PYTHONPATH": path, "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13", "INTRA_THREADS": ONE_THREAD}


@contextmanager
def in_process() -> Iterator[tuple[Side, Side]]:
    """Yield the engine and the handler of one process."""
    reading, writing = os.pipe()
    with (
        subprocess.Popen(
            [sys.executable, str(HERE / "bare.py"), str(writing)],
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=[writing],
            text=True,
        ) as process,
        os.fdopen(reading) as answers,
    ):
        os.close(writing)
        assert process.stdin
        questions = process.stdin

        def ask(side: str) -> float:
            questions.write(f"{side}\n")
            questions.flush()
            took, text = json.loads(answers.readline())
            _check(text)
            return float(took)

        questions.write(json.dumps(lambda_event()) + "\n")
        yield (lambda: ask("bare")), (lambda: ask("handler"))
        questions.close()


class Turns(Sequence[dict[str, Any]]):
    """One event again and again, handed out when its turn has come."""

    def __init__(self, event: dict[str, Any]) -> None:
        self._event = event
        self._turn = Semaphore(0)
        self.handed_out_ns = 0

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, index: Any) -> Any:
        self._turn.acquire()
        self.handed_out_ns = time.monotonic_ns()
        return self._event

    def next(self) -> None:
        """Let the next event go."""
        self._turn.release()


@contextmanager
def runtime(handler: str) -> Iterator[Side]:
    """Yield a handler that AWS's runtime client calls."""
    api, turns = RuntimeApi(), Turns(lambda_event())
    exchange = api.expect(turns)
    environment = _environment() | {"AWS_LAMBDA_RUNTIME_API": api.address, "AWS_LAMBDA_FUNCTION_NAME": "bench"}
    process = subprocess.Popen(
        [sys.executable, "-m", "awslambdaric", handler], env=environment, cwd=ROOT, stdout=subprocess.DEVNULL
    )

    def ask() -> float:
        count = len(exchange.answers)
        turns.next()
        deadline = time.monotonic() + TIMEOUT_S
        while len(exchange.answers) == count:
            if process.poll() is not None or time.monotonic() > deadline:
                message = f"{handler} did not answer: {exchange.error}"
                raise SystemExit(message)
            time.sleep(PAUSE_S)
        _check(json.loads(exchange.answers[-1]["body"])["choices"][0]["message"]["content"])
        return (exchange.answered_ns[-1] - turns.handed_out_ns) / 1e6

    try:
        yield ask
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=TIMEOUT_S)
        api.close()


@contextmanager
def uvicorn(folder: Path) -> Iterator[Side]:
    """Yield a server in its process, over one connection."""
    with running_server(folder, INTRA_THREADS=ONE_THREAD) as server:
        address = urlsplit(server.url)
        with _connected(address.hostname, address.port) as connection:
            yield partial(_ask, connection)


@contextmanager
def fastapi_uvicorn() -> Iterator[Side]:
    """Yield FastAPI around the engine under uvicorn, over one connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        # What it accepts has this, as the server's own has.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        command = [
            sys.executable,
            "-m",
            "uvicorn",
            "plain:app",
            "--fd",
            str(listening.fileno()),
            "--log-level",
            "warning",
        ]
        process = subprocess.Popen(
            command,
            env=_environment(),
            stdout=subprocess.DEVNULL,
            pass_fds=[listening.fileno()],
        )
        try:
            # The kernel takes the connection until the server does.
            with _connected(*listening.getsockname()) as connection:
                yield partial(_ask, connection)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=TIMEOUT_S)


def _connected(host: str | None, port: int | None) -> socket.socket:
    connection = socket.create_connection((host, port), TIMEOUT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _ask(connection: socket.socket) -> float:
    body = json.dumps(REQUEST).encode()
    head = f"POST {PATH} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    request = head.encode("ascii") + b"\r\n\r\n" + body
    start = time.perf_counter_ns()
    connection.sendall(request)
    answer = b""
    while True:
        received = connection.recv(65_536)
        if not received:
            message = f"the connection was closed after {answer!r}"
            raise SystemExit(message)
        answer += received
        headers, blank, content = answer.partition(b"\r\n\r\n")
        if blank and len(content) == int(headers.lower().partition(b"content-length: ")[2].split()[0]):
            break
    took = time.perf_counter_ns() - start
    _check(json.loads(content)["choices"][0]["message"]["content"])
    return took / 1e6


def measure(sides: dict[str, Side], n: int) -> dict[str, list[float]]:
    """Ask each side ``n`` times, in an order that is drawn anew for each round."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    order = list(sides)
    draw = Random(5)
    for number in range(WARM_UP + n):
        draw.shuffle(order)
        for name in order:
            time.sleep(PAUSE_S)
            took = sides[name]()
            if number >= WARM_UP:
                times[name].append(took)
    return times


def main() -> int:
    """Print the table; return 1 where an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=500, help="translations of each side")
    n = parser.parse_args().n
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        engine, function = stack.enter_context(in_process())
        sides = {
            ENGINE: engine,
            FUNCTION: function,
            RUNTIME_ENGINE: stack.enter_context(runtime("bare.handler")),
            RUNTIME_FASTAPI: stack.enter_context(runtime("plain.handler")),
            RUNTIME: stack.enter_context(runtime("handler.aws_lambda.lambda_handler")),
            UVICORN_FASTAPI: stack.enter_context(fastapi_uvicorn()),
            UVICORN: stack.enter_context(uvicorn(folder)),
        }
        times = measure(sides, n)
    print(f"{f'warm, n = {n}, ms':<32} {'median':>7} {'p10':>7} {'p90':>7}")
    for name, values in times.items():
        deciles = statistics.quantiles(values, n=10)
        print(f"{name:<32} {statistics.median(values):7.2f} {deciles[0]:7.2f} {deciles[-1]:7.2f}")
    missed = False
    for (name, beside), aim in AIMS_MS.items():
        difference = statistics.median(times[name]) - statistics.median(times[beside])
        missed |= aim is not None and difference > aim
        print(f"{name} - {beside}: {difference:.2f} ms{f'; the aim is {aim}' if aim else ''}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
