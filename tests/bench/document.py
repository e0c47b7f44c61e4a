"""CPU seconds of a document of 300 sentences in one request, beside those of its sentences in 300.

``make bench-document`` asks one server through HTTP, with the same search for both, in turns: a busy machine slows
both. What is counted is the server's own CPU time, so the client costs nothing. Beside it stands what CTranslate2 takes
by itself for the same sentences, all at hand in batches of 32 and one by one: with the demo model, whose weights are in
the processor's cache whatever the batch, and with NLLB-600M's shape. Exits with 1 where the document takes the server
more than a quarter, or an answer is not the right translation.
"""

import handler.openmp  # noqa: F401 - before ctranslate2

# isort: split

import argparse
import http.client
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cold.models import model
from conftest import Server, running_server
from ctranslate2 import Translator
from documents import DIRECTION, SENTENCES, Document, document
from shapes import TOKENIZER

from handler.cpus import batch_threads
from handler.decoder import PATIENCE
from handler.model_folder import MODEL_FILE
from handler.tokenizer import load_tokenizer

LARGEST_RATIO = 0.25
BATCH = 32
MODELS = {"demo": (SENTENCES, 128), "32k": (48, 16)}
"""Short name to how many sentences, and the most tokens of each: random weights decode all of them."""
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


class Alone:
    """CTranslate2 without a server, in this process."""

    def __init__(self, short: str, *, beam_size: int) -> None:
        """Load the model of this short name, and decode with a search of ``beam_size``."""
        folder = model(short).folder
        # As the server loads it: in a thread that ends, and with as many threads.
        threads = batch_threads(str(folder / MODEL_FILE), inter_threads=1)
        with ThreadPoolExecutor() as pool:
            self._translator = pool.submit(Translator, str(folder), intra_threads=threads).result()
        count, self._tokens = MODELS[short]
        tokenizer = load_tokenizer("nllb", folder / TOKENIZER)
        self._sentences = [tokenizer.encode(source, DIRECTION[0]) for source, _ in document(count).sentences]
        self._beam_size = beam_size

    def whole(self) -> float:
        """Return the CPU seconds of all sentences together, sorted by length, in batches."""
        return self._decode([self._sentences])

    def singly(self) -> float:
        """Return the CPU seconds of the sentences one by one."""
        return self._decode([[sentence] for sentence in self._sentences])

    def _decode(self, calls: Sequence[Sequence[list[str]]]) -> float:
        start = time.process_time()
        for sentences in calls:
            self._translator.translate_batch(
                sentences,
                target_prefix=[[DIRECTION[1]]] * len(sentences),
                beam_size=self._beam_size,
                patience=PATIENCE if self._beam_size > 1 else 1.0,
                max_batch_size=BATCH,
                max_input_length=0,
                max_decoding_length=1 + self._tokens,  # the language
            )
        return time.process_time() - start


def _ratio(name: str, whole: Sequence[float], singly: Sequence[float], sentences: int) -> float:
    ratio = statistics.median(whole) / statistics.median(singly)
    print(f"{name}, {sentences} sentences, n = {len(whole)}: ", end="")
    print(f"together {_row(whole)}, one by one {_row(singly)}: {ratio:.3f}", flush=True)
    return ratio


def alone(short: str, *, beam_size: int, n: int) -> None:
    """Print the ratio of CTranslate2 by itself."""
    engine = Alone(short, beam_size=beam_size)
    engine.whole()  # buffers
    runs = [(engine.whole(), engine.singly()) for _ in range(n)]
    whole, singly = zip(*runs, strict=True)
    _ratio(f"CTranslate2 alone, {short}, beam_size {beam_size}", whole, singly, MODELS[short][0])


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
    print("CPU seconds, medians (min, max)")
    largest = 0.0
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder), LOG_LEVEL="ERROR") as server:
        for beam_size in arguments.beams:
            with closing(Client(server, beam_size=beam_size)) as client:
                client.whole(given), client.singly(given)  # buffers
                runs = [(client.whole(given), client.singly(given)) for _ in range(arguments.n)]
            whole, singly = zip(*runs, strict=True)
            largest = max(largest, _ratio(f"server, demo, beam_size {beam_size}", whole, singly, SENTENCES))
            alone("demo", beam_size=beam_size, n=arguments.n)
    for beam_size in arguments.beams:
        alone("32k", beam_size=beam_size, n=1)
    print(f"the server's aim is {LARGEST_RATIO}")
    return int(largest > LARGEST_RATIO)


def _row(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f}, {max(values):.3f})"


if __name__ == "__main__":
    sys.exit(main())
