"""CPU seconds of a document of 300 sentences in one request, beside those of its sentences in 300.

``make bench-document`` asks one server through HTTP, with the same search for both, in turns: a busy machine slows
both. What is counted is the server's own CPU time, so the client costs nothing. Exits with 1 where the document takes
more than a quarter, or an answer is not the right translation.
"""

import argparse
import http.client
import json
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from conftest import Server, running_server
from documents import DIRECTION, Document, document

LARGEST_RATIO = 0.25
TIMEOUT_S = 600.0
_CPUCLOCK_SCHED = 2
"""Of ``clock_getcpuclockid(3)``, whose clocks Linux numbers so (``include/linux/posix-timers.h``)."""


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process has used, all its threads together."""
    return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)


class Client:
    """One connection that is kept: what a connection costs is none of the document's merit."""

    def __init__(self, server: Server, *, beam_size: int) -> None:
        """Ask ``server`` for translations with a search of ``beam_size``."""
        address = urlsplit(server.url)
        self._connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=TIMEOUT_S)
        self._pid = server.process.pid
        self._fields: dict[str, Any] = {
            "beam_size": beam_size,
            **dict(zip(("source_lang", "target_lang"), DIRECTION, strict=True)),
        }

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def translate(self, text: str) -> str:
        """Return the translation of ``text``."""
        body = json.dumps({"messages": [{"role": "user", "content": text}], **self._fields})
        self._connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
        answer = json.loads(self._connection.getresponse().read())
        return str(answer["choices"][0]["message"]["content"])

    def whole(self, given: Document) -> float:
        """Return the CPU seconds of the document in one request."""
        start = cpu_s(self._pid)
        answer = self.translate(given.text)
        took = cpu_s(self._pid) - start
        _check([(answer, given.translation)])
        return took

    def singly(self, given: Document) -> float:
        """Return the CPU seconds of its sentences, each in a request of its own."""
        start = cpu_s(self._pid)
        answers = [self.translate(source) for source, _ in given.sentences]
        took = cpu_s(self._pid) - start
        _check(list(zip(answers, [target for _, target in given.sentences], strict=True)))
        return took


def _check(answers: list[tuple[str, str]]) -> None:
    wrong = [pair for pair in answers if pair[0] != pair[1]]
    if wrong:
        got, expected = wrong[0]
        lines = [pair for pair in zip(got.split("\n"), expected.split("\n"), strict=False) if pair[0] != pair[1]]
        message = f"{len(wrong)} of {len(answers)} answers are wrong, the first of them in {lines[:1] or 'its length'}"
        raise SystemExit(message)


def main() -> int:
    """Print the table; return 1 where the document is too dear."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=5, help="runs of each side")
    parser.add_argument("--beams", type=int, nargs="+", default=[4, 1], help="beam sizes; the first is the default")
    arguments = parser.parse_args()
    given = document()
    sentences = len(given.sentences)
    largest = 0.0
    print(f"CPU seconds of the server, {sentences} sentences, medians (min, max) of {arguments.n} runs")
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder), LOG_LEVEL="ERROR") as server:
        for beam_size in arguments.beams:
            with closing(Client(server, beam_size=beam_size)) as client:
                client.whole(given), client.singly(given)  # buffers
                runs = [(client.whole(given), client.singly(given)) for _ in range(arguments.n)]
            whole, singly = ([run[side] for run in runs] for side in (0, 1))
            ratio = statistics.median(whole) / statistics.median(singly)
            largest = max(largest, ratio)
            print(f"beam_size {beam_size}: one request {_row(whole)}, {sentences} requests {_row(singly)}: {ratio:.3f}")
    print(f"at most {LARGEST_RATIO} is allowed")
    return int(largest > LARGEST_RATIO)


def _row(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f}, {max(values):.3f})"


if __name__ == "__main__":
    sys.exit(main())
