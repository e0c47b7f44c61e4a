"""Measures and prints. Without options: everything, written into docs/cold-start.md, its ratios held to."""

import argparse
import sys
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from cold import load, report, waterfall
from cold.cells import CELLS, ROOT, Cell, place
from cold.measure import Opener, take_turns
from cold.models import MODELS, Model, model
from cold.rows import LEVERS, ROWS, TRACED, Row, levers

LOG = ROOT / "build" / "bench" / "cold.log"
PICTURE = ROOT / "docs" / "cold-start.svg"
Sets = Mapping[str, Sequence[str]]
"""Names of cells to names of models."""

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
"""Cells and the models that the rows are measured with in them, unless told otherwise."""
LEVER_SETS = {"quiet": ("demo", "32k"), "cpus-1": ("32k",), "lazy-4": ("32k",)}
LOAD_SETS = {"lazy-4": ("32k",)}
WATERFALL_SETS = {"quiet": ("32k",)}
LEAST = 10
"""Starts of each row without which no table is written and no ratio held to."""


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


def main() -> int:
    """Run what the command line asks for; return 1 if a ratio of the whole run is larger than it may be."""
    parser = argparse.ArgumentParser(description="Cold starts of the function, the bare engine and a tutorial's way.")
    parser.add_argument("-n", type=_positive, default=LEAST, help="starts of each row")
    parser.add_argument("--warm", type=_positive, default=10, help="further requests of each start")
    parser.add_argument("--cells", type=partial(_names, CELLS), help=f"of {', '.join(CELLS)}")
    parser.add_argument("--models", type=partial(_names, MODELS), help=f"of {', '.join(MODELS)}")
    parser.add_argument("--rows", type=partial(_names, ROWS | LEVERS), help=f"of {', '.join(ROWS | LEVERS)}")
    parser.add_argument("--levers", action="store_true", help="ours, and ours with one thing changed at a time")
    parser.add_argument("--load", action="store_true", help="the load of the weights alone, in cells with lazy files")
    parser.add_argument("--waterfall", action="store_true", help="draw one cold start")
    options = parser.parse_args()
    part = any((options.cells, options.models, options.rows, options.levers, options.load, options.waterfall))

    LOG.parent.mkdir(parents=True, exist_ok=True)
    LOG.unlink(missing_ok=True)
    bench = Bench(n=options.n, warm=options.warm)
    if part:
        sets = LEVER_SETS if options.levers else LOAD_SETS if options.load else SETS
        sets = WATERFALL_SETS if options.waterfall else sets
        cells = options.cells or list(sets)
        chosen = {name: options.models or sets.get(name, ("demo",)) for name in cells}
        rows = [(LEVERS | ROWS)[name] for name in options.rows] if options.rows else None
        with image_for(cells):
            if options.load:
                bench.load(chosen)
            elif options.waterfall:
                bench.draw(chosen)
            else:
                bench.compare("levers" if options.levers else "rows", chosen, rows)
        return 0
    with image_for(list(CELLS)):
        bench.compare("rows", SETS)
        bench.compare("levers", LEVER_SETS)
        bench.load(LOAD_SETS)
        if options.n < LEAST:
            print(f"\n{options.n} starts of each row: fewer than {LEAST}, so nothing is written", file=sys.stderr)
            return 0
        bench.draw(WATERFALL_SETS)
    report.write(bench.results)
    print(f"\n{report.ratios(bench.results)}")
    return 1 if report.missed(bench.results) else 0


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _names(known: Container[str], text: str) -> list[str]:
    """Return the names in a list with commas between them."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            message = f"there is no {name!r}"
            raise argparse.ArgumentTypeError(message)
    return names


class Bench:
    """Measures, prints, and keeps what one run of this program has measured."""

    def __init__(self, *, n: int, warm: int) -> None:
        """Start each row ``n`` times, and ask each ``warm`` times more."""
        self._n, self._warm = n, warm
        self.results = report.Results()

    def compare(self, kind: str, sets: Sets, rows: Sequence[Row] | None = None) -> None:
        """Measure ``rows``, or those of a kind, ``rows`` or ``levers``, in cells with models."""
        for cell, chosen in _pairs(sets):
            kinds = {"rows": list(ROWS.values()), "levers": levers(cell)}
            figures = take_turns(cell, rows or kinds[kind], chosen, _opener(cell, chosen), n=self._n, warm=self._warm)
            self.results.add(kind, cell, chosen, figures)
            print(f"\n{chosen.title}; {cell.title}; medians of {self._n}\n\n{report.table(figures)}", flush=True)

    def load(self, sets: Sets) -> None:
        """Measure the load of the weights alone, in cells with lazily loaded files."""
        for cell, chosen in _pairs(sets):
            if cell.delay_ms is None:
                message = f"--load measures cells with lazily loaded files, and {cell.name} has none"
                raise SystemExit(message)
            seconds = load.take_turns(chosen.folder, delay_ms=cell.delay_ms, n=self._n)
            self.results.add_load(cell, chosen, seconds)
            print(f"\n{chosen.title}; {cell.title}; medians of {self._n}: {report.load_line(seconds)}", flush=True)

    def draw(self, sets: Sets) -> None:
        """Draw one cold start of each; the last one stays."""
        for cell, chosen in _pairs(sets):
            PICTURE.write_text(waterfall.draw(chosen, _opener(cell, chosen), TRACED, LOG), encoding="utf-8")
            print(PICTURE)


_image: tuple[Sequence[str], str] = ((), "")
"""How the Docker client is called, and the tag of the image."""


@contextmanager
def image_for(cells: Sequence[str]) -> Iterator[None]:
    """Have the image built, if one of ``cells`` needs it, and an engine that runs until the block ends."""
    global _image
    if not any(CELLS[name].in_image for name in cells):
        yield
        return
    with built_image() as _image:
        yield


def _pairs(sets: Sets) -> Iterator[tuple[Cell, Model]]:
    for name, names in sets.items():
        for short in names:
            yield CELLS[name], model(short)


def _opener(cell: Cell, chosen: Model) -> Opener:
    return partial(place, cell, chosen.folder, *_image, log=LOG)


if __name__ == "__main__":
    sys.exit(main())
