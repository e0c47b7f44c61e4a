"""Measures and prints; ``--write`` also writes what docs/cold-start.md and its picture hold."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any

from cold import load, report, waterfall
from cold.cells import CELLS, ROOT, Cell, place
from cold.measure import Figures, take_turns
from cold.models import MODELS, Model, model
from cold.rows import LEVERS, OURS, ROWS, TRACED, Row

LOG = ROOT / "build" / "bench" / "cold.log"
RESULTS = ROOT / "build" / "bench" / "cold.json"

SETS = {
    "quiet": ("demo", "t5-base", "32k", "600m"),
    "busy": ("demo", "32k", "600m"),
    "cpus-2": ("600m",),
    "cpus-1": ("demo", "32k", "600m"),
    "cpus-0.5": ("demo", "600m"),
    "lazy-1": ("32k",),
    "lazy-4": ("32k", "600m"),
    "lazy-16": ("32k",),
}
"""Cells and the models that are measured in them, unless told otherwise."""


@contextmanager
def built_image() -> Iterator[tuple[Sequence[str], str]]:
    """Yield how the Docker client is called, and the tag of the image, built if it has changed."""
    sys.path.insert(0, str(ROOT / "tests" / "containers"))
    from base_image import base_image  # noqa: PLC0415 - only where there are cells with containers
    from engine import running_engine  # noqa: PLC0415
    from image import build_image  # noqa: PLC0415

    with running_engine() as docker:
        client = [docker.client, *(["--host", docker.host] if docker.host else [])]
        yield client, build_image(docker, base_image(docker))


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="Cold starts of the function, the bare engine and a tutorial's way.")
    parser.add_argument("-n", type=int, default=10, help="starts of each row")
    parser.add_argument("--warm", type=int, default=20, help="further requests of each start")
    parser.add_argument("--cells", help=f"of {', '.join(CELLS)}")
    parser.add_argument("--models", help=f"of {', '.join(MODELS)}")
    parser.add_argument("--rows", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--levers", action="store_true", help="ours, and ours with one thing changed at a time")
    parser.add_argument("--waterfall", action="store_true", help="draw one cold start")
    parser.add_argument("--load", action="store_true", help="the load of the weights alone, in cells with lazy files")
    parser.add_argument("--write", action="store_true", help="write docs/cold-start.md's tables and its picture")
    options = parser.parse_args()

    rows = list(LEVERS.values()) if options.levers else list(ROWS.values())
    if options.rows:
        rows = [(LEVERS | ROWS)[name.strip()] for name in options.rows.split(",")]
    sets = {name: SETS.get(name, ("demo",)) for name in (options.cells or ",".join(SETS)).split(",")}
    if options.models:
        sets = dict.fromkeys(sets, tuple(options.models.split(",")))
    LOG.parent.mkdir(parents=True, exist_ok=True)
    if options.load:
        _load(sets, n=options.n)
        return
    LOG.unlink(missing_ok=True)
    with built_image() if any(CELLS[name].in_image for name in sets) else contextmanager(_no_image)() as image:
        if options.waterfall:
            for name in sets:
                _draw(CELLS[name], model(sets[name][-1]), *image)
            return
        for cell_name, names in sets.items():
            for name in names:
                _measure(CELLS[cell_name], model(name), rows, image, n=options.n, warm=options.warm)
    if options.write:
        report.write(json.loads(RESULTS.read_text(encoding="utf-8")))


def _no_image() -> Iterator[tuple[Sequence[str], str]]:
    yield (), ""


def _measure(
    cell: Cell, chosen: Model, rows: Sequence[Row], image: tuple[Sequence[str], str], *, n: int, warm: int
) -> None:
    docker, tag = image
    open_place = partial(place, cell, chosen.folder, docker, tag, log=LOG)
    figures = take_turns(cell, rows, chosen, open_place, n=n, warm=warm)
    kind = "rows" if rows[0] is not OURS else "levers"
    _keep(cell, chosen, kind, figures)
    print(f"\n{chosen.title}; {cell.title}; medians of {n}\n")
    print(report.table(figures), flush=True)


def _keep(cell: Cell, chosen: Model, kind: str, figures: dict[str, list[Figures]]) -> None:
    values = {name: [asdict(one) for one in many] for name, many in figures.items()}
    _store(f"{kind}|{cell.name}|{chosen.name}", {"cell": cell.title, "model": chosen.title, "figures": values})


def _store(key: str, value: Mapping[str, Any]) -> None:
    """Put figures with those of other runs: a table is always of one run."""
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    known[key] = value
    RESULTS.write_text(json.dumps(known), encoding="utf-8")


def _load(sets: Mapping[str, Sequence[str]], *, n: int) -> None:
    for cell in (CELLS[name] for name in sets):
        for chosen in map(model, sets[cell.name]):
            if cell.delay_ms is None:
                continue
            seconds = load.take_turns(chosen.folder, delay_ms=cell.delay_ms, n=n)
            _store(f"load|{cell.name}|{chosen.name}", {"cell": cell.title, "model": chosen.title, "seconds": seconds})
            print(f"{chosen.title}; {cell.title}; medians of {n}: {report.load_line(seconds)}", flush=True)


def _draw(cell: Cell, chosen: Model, docker: Sequence[str], tag: str) -> None:
    open_place = partial(place, cell, chosen.folder, docker, tag, log=LOG)
    path = ROOT / "docs" / "cold-start.svg"
    path.write_text(waterfall.draw(chosen, open_place, TRACED, LOG), encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main()
