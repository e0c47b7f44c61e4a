"""Time from exec to the first answer: this server, and the bare engine without any server around it.

``make bench-start`` prints both sides of one run. The starts alternate, so that a busy machine slows both; trust the
ratio of the medians rather than the seconds.
"""

import argparse
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

Measure = Callable[[], float]

ROOT = Path(__file__).resolve().parents[2]
PORT = 8917
TIMEOUT_S = 60.0
QUESTION = "Where is the train station?"
ANSWER = "Où est la gare ?"

BARE = """
import sys
from ctranslate2 import Translator
from sentencepiece import SentencePieceProcessor
folder = sys.argv[1]
tokenizer = SentencePieceProcessor(model_file=folder + "/sentencepiece.bpe.model")
translator = Translator(folder)
tokens = ["eng_Latn", *tokenizer.encode(sys.argv[2], out_type=str), "</s>"]
result = translator.translate_batch([tokens], target_prefix=[["fra_Latn"]], beam_size=4, patience=2)
print(tokenizer.decode_pieces(result[0].hypotheses[0][1:]))
"""


def bare_s() -> float:
    """Return the seconds of a process that loads the model with CTranslate2 alone and translates once."""
    folder = str(ROOT / "model_bake" / "demo" / "models" / "nllb-demo")
    start = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-c", BARE, folder, QUESTION], capture_output=True, text=True, check=True, timeout=TIMEOUT_S
    )
    took = time.perf_counter() - start
    _check(result.stdout.strip())
    return took


def server_s(command: list[str]) -> float:
    """Return the seconds from starting ``command`` to the first answer over a socket."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        while True:
            try:
                answer = _ask()
            except ConnectionError:
                if process.poll() is not None or time.perf_counter() - start > TIMEOUT_S:
                    raise
                time.sleep(0.002)
                continue
            took = time.perf_counter() - start
            _check(answer)
            return took
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=TIMEOUT_S)


def _ask() -> str:
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=TIMEOUT_S)
    try:
        body = {
            "target_lang": "fra_Latn",
            "source_lang": "eng_Latn",
            "messages": [{"role": "user", "content": QUESTION}],
        }
        headers = {"content-type": "application/json"}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        return str(json.loads(connection.getresponse().read())["choices"][0]["message"]["content"])
    finally:
        connection.close()


def _check(answer: str) -> None:
    if answer != ANSWER:
        message = f"wrong answer: {answer!r}"
        raise SystemExit(message)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=10, help="starts of each side")
    n = parser.parse_args().n
    sides: dict[str, Measure] = {
        "bare engine, no server": bare_s,
        "python -m handler": lambda: server_s([sys.executable, "-m", "handler", "--port", str(PORT)]),
        "make run": lambda: server_s(["make", "run", f"PORT={PORT}"]),
    }
    for measure in sides.values():
        measure()  # byte code and page cache
    times: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(n):
        for side, measure in sides.items():
            times[side].append(measure())
    floor = statistics.median(times["bare engine, no server"])
    print(f"{'exec to first answer, n = ' + str(n):<28} {'median':>8} {'min':>8} {'max':>8} {'/ bare':>7}")
    for side, values in times.items():
        median = statistics.median(values)
        print(f"{side:<28} {median:7.3f}s {min(values):7.3f}s {max(values):7.3f}s {median / floor:7.2f}")


if __name__ == "__main__":
    main()
