"""What pruning the vocabulary gives: NLLB-600M's shape whole, cut to 64k and 32k rows, and whole with a vocabulary map.

``make bench-bake`` prints one table of one run. Every figure comes from a process of its own, which loads the model
and decodes on one thread; the models take turns, so that a busy machine slows all of them. Trust the ratios.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from shapes import FOLDER, ROWS, nllb_600m

SOURCE_TOKENS, TARGET_TOKENS = 20, 20
"""About what an everyday sentence has."""
BATCHES, BEAMS = (1, 8), (1, 4)
TIMEOUT_S = 600
SMALL = 32_768
SIZES = {"full": ROWS, "64k": 65_536, "32k": SMALL}


def measure(folder: Path, *, use_vmap: bool) -> None:
    """Print one model's figures as JSON: seconds to load, MiB at the peak, CPU seconds by beam and batch."""
    from ctranslate2 import Translator  # noqa: PLC0415 - the parent does without

    start = time.perf_counter()
    translator = Translator(str(folder), device="cpu", intra_threads=1)
    figures = {"load_s": time.perf_counter() - start}
    source = ["eng_Latn", *[f"▁t{number}" for number in range(SOURCE_TOKENS - 2)], "</s>"]
    for beam_size in BEAMS:
        for batch in BATCHES:
            began = time.process_time()
            translator.translate_batch(
                [source] * batch,
                target_prefix=[["fra_Latn"]] * batch,
                beam_size=beam_size,
                min_decoding_length=TARGET_TOKENS,
                max_decoding_length=TARGET_TOKENS,
                use_vmap=use_vmap,
            )
            figures[f"beam {beam_size} batch {batch}"] = time.process_time() - began
    figures["peak_mib"] = _peak_mib()
    print(json.dumps(figures))


def _peak_mib() -> float:
    """Return this process's own peak; getrusage also tells that of the process it was forked from."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def prepare() -> dict[str, Path]:
    """Make the models that are not there yet; return their folders."""
    folders = {name: nllb_600m(rows) for name, rows in SIZES.items()}
    folders["vmap"] = FOLDER / "nllb-600m-vmap"
    if not folders["vmap"].is_dir():
        folders["vmap"].mkdir()
        for path in folders["full"].iterdir():
            os.link(path, folders["vmap"] / path.name)
        # An empty source n-gram: these targets are allowed whatever the source is.
        tokens = json.loads((folders["32k"] / "shared_vocabulary.json").read_bytes())
        (folders["vmap"] / "vmap.txt").write_text("\t" + " ".join(tokens) + "\n", encoding="utf-8")
    return folders


def _round(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=5, help="processes a model")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--vmap", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--clean", action="store_true", help="remove the models afterwards")
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, use_vmap=options.vmap)
        return
    folders = prepare()
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in folders}
    for _ in range(options.n):
        for name, folder in folders.items():
            command = [sys.executable, __file__, "--measure", str(folder), *(["--vmap"] if name == "vmap" else [])]
            output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=TIMEOUT_S).stdout
            runs[name].append(json.loads(output))
    _print_table(folders, runs)
    if options.clean:
        shutil.rmtree(FOLDER)


def _print_table(folders: dict[str, Path], runs: dict[str, list[dict[str, float]]]) -> None:
    medians = {
        name: {key: statistics.median(run[key] for run in figures) for key in figures[0]}
        for name, figures in runs.items()
    }
    keys = list(medians["full"])
    print(f"| model | model.bin MB | {' | '.join(key.replace('_', ' ') for key in keys)} |")
    print(f"|---|---|{'---|' * len(keys)}")
    for name, figures in medians.items():
        size = (folders[name] / "model.bin").stat().st_size / 1e6
        cells = [f"{_round(figures[key])} ({figures[key] / medians['full'][key]:.2f})" for key in keys]
        print(f"| {name} | {size:.0f} | {' | '.join(cells)} |")
    count = len(next(iter(runs.values())))
    print(
        f"\nMedians of {count} processes each, in parentheses the ratio to full. beam, batch: CPU seconds on one thread"
    )
    print(f"to decode {TARGET_TOKENS} tokens a sentence from {SOURCE_TOKENS}. vmap: full, held to the 32k tokens.")


if __name__ == "__main__":
    main()
