"""The load of the weights alone, from lazily loaded files: CTranslate2's own stream, and with the read-ahead.

``python load.py FOLDER {stream|read-ahead}`` prints the seconds of one.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

from cold.cells import ROOT, lazily_loaded

WAYS = ("stream", "read-ahead")
TIMEOUT_S = 300.0


def once(folder: str, way: str) -> float:
    """Load the weights in ``folder`` in this process; return the seconds."""
    from handler.read_ahead import read_ahead  # noqa: PLC0415 - the parent does without
    from handler.weights import open_translator  # noqa: PLC0415

    start = time.perf_counter()
    if way == "read-ahead":
        read_ahead(f"{folder}/model.bin")
    open_translator(
        folder,
        family="nllb",
        device="cpu",
        device_indices=(0,),
        compute_type="default",
        flash_attention=False,
        inter_threads=1,
        intra_threads=0,
    )
    return time.perf_counter() - start


def take_turns(folder: Path, *, delay_ms: float, n: int) -> dict[str, float]:
    """Return the medians of ``n`` loads each, every one from files none of which was touched."""
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(n):
        for way in WAYS:
            with lazily_loaded(folder, delay_ms) as place:
                command = [sys.executable, "-m", "cold.load", str(place), way]
                done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=TIMEOUT_S)
            times[way].append(float(done.stdout))
    return {way: statistics.median(values) for way, values in times.items()}


if __name__ == "__main__":
    print(once(sys.argv[1], sys.argv[2]))
