"""Tables of medians, and the ratios that the project holds itself to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cold.cells import ROOT, Cell
from cold.measure import Figures, medians
from cold.models import Model

DOCUMENT = ROOT / "docs" / "cold-start.md"
BEGIN, END = "<!-- bench-cold: begin -->", "<!-- bench-cold: end -->"


@dataclass(frozen=True, slots=True)
class Target:
    """A ratio of first answers that may not be larger."""

    title: str
    limit: float
    ours: tuple[str, str]
    """Cell and model; the row is ours."""
    other: tuple[str, str, str]
    """Cell, model and row."""


_FULL, _SMALL, _DEMO = "nllb-600m-full", "nllb-600m-32k", "nllb-demo"
TARGETS = (
    Target("NLLB-600M, 256k rows: ours / floor", 1.02, ("quiet", _FULL), ("quiet", _FULL, "floor")),
    Target("NLLB-600M, 32k rows: ours / floor", 1.02, ("quiet", _SMALL), ("quiet", _SMALL, "floor")),
    Target("ours at 32k rows / naive at 256k", 0.50, ("quiet", _SMALL), ("quiet", _FULL, "naive")),
    Target("demo model: ours / naive", 0.55, ("quiet", _DEMO), ("quiet", _DEMO, "naive")),
    Target("NLLB-600M, two busy neighbours: ours / naive", 0.70, ("busy", _FULL), ("busy", _FULL, "naive")),
    Target("NLLB-600M, one CPU: ours / floor", 1.06, ("cpus-1", _FULL), ("cpus-1", _FULL, "floor")),
    Target("32k rows, blocks of 4 ms: ours / naive", 1 / 3, ("lazy-4", _SMALL), ("lazy-4", _SMALL, "naive")),
)
LOAD_LIMIT = 1 / 3.5
WARM_LIMIT_MS = 0.7


@dataclass(frozen=True, slots=True)
class Results:
    """What one run has measured, in its order."""

    figures: dict[tuple[str, str, str], dict[str, list[Figures]]] = field(default_factory=dict)
    """By kind (``rows``, ``levers``), cell and model: starts of each row."""
    loads: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
    """By cell and model: seconds of each way."""
    titles: dict[str, str] = field(default_factory=dict)
    """Of cells and models, by name."""

    def add(self, kind: str, cell: Cell, model: Model, figures: dict[str, list[Figures]]) -> None:
        """Keep a table."""
        self.titles.update({cell.name: cell.title, model.name: model.title})
        self.figures[kind, cell.name, model.name] = figures

    def add_load(self, cell: Cell, model: Model, seconds: dict[str, float]) -> None:
        """Keep what loading the weights took."""
        self.titles.update({cell.name: cell.title, model.name: model.title})
        self.loads[cell.name, model.name] = seconds

    def median(self, cell: str, model: str, row: str) -> Figures:
        """Return the medians of one row."""
        return medians(self.figures["rows", cell, model][row])


def table(figures: Mapping[str, list[Figures]]) -> str:
    """Return the medians of each row, and the ratio of its first answer to that of the first row."""
    lines = [
        "| | exec to first answer | ratio | init | first invoke | warm | CPU | peak memory |",
        "|---|---|---|---|---|---|---|---|",
    ]
    base = medians(next(iter(figures.values()))).first_ms
    for name, many in figures.items():
        one = medians(many)
        lines.append(
            f"| {name} | {one.first_ms:,.0f} ms | {one.first_ms / base:.2f} | {one.init_ms:,.0f} ms | "
            f"{one.invoke_ms:,.0f} ms | {one.warm_ms:,.1f} ms | {one.cpu_s:.2f} s | {one.peak_mib:,.0f} MiB |"
        )
    return "\n".join(lines)


def load_line(seconds: Mapping[str, float]) -> str:
    """Return what loading the weights took in each way, and the ratio."""
    stream, ahead = seconds["stream"], seconds["read-ahead"]
    return f"CTranslate2's own stream {stream:.2f} s, with the read-ahead {ahead:.2f} s: {stream / ahead:.1f} times"


def write(results: Results) -> None:
    """Put the tables of ``results`` between the marks in the document."""
    text = DOCUMENT.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    DOCUMENT.write_text(f"{head}{BEGIN}\n\n{tables(results)}\n\n{END}{tail}", encoding="utf-8")


def tables(results: Results) -> str:
    """Return every table of ``results``, the ratios first."""
    parts = [ratios(results)]
    for (kind, cell, model), figures in results.figures.items():
        what = "one thing changed at a time" if kind == "levers" else "rows"
        count = len(next(iter(figures.values())))
        title = f"### {results.titles[model]}; {results.titles[cell]}; {what}"
        parts.append(f"{title}\n\nMedians of {count}.\n\n{table(figures)}")
    for (cell, model), seconds in results.loads.items():
        parts.append(f"Weights alone, {results.titles[model]}; {results.titles[cell]}: {load_line(seconds)}.")
    return "\n\n".join(parts)


def ratios(results: Results) -> str:
    """Return what the project holds itself to, as a table."""
    lines = ["| | got | at most |", "|---|---|---|"]
    lines += [f"| {title} | {got:.2f}{unit} | {limit:.2f}{unit} |" for title, got, limit, unit in _held(results)]
    return "\n".join(lines)


def missed(results: Results) -> bool:
    """Tell whether anything is larger than it may be."""
    return any(got > limit for _, got, limit, _ in _held(results))


def _held(results: Results) -> Iterator[tuple[str, float, float, str]]:
    """Yield title, value, limit and unit of everything with a limit."""
    for target in TARGETS:
        ours, other = results.median(*target.ours, "ours"), results.median(*target.other)
        yield target.title, ours.first_ms / other.first_ms, target.limit, ""
    loads = results.loads["lazy-4", _SMALL]
    yield (
        "32k rows, blocks of 4 ms, weights alone: read-ahead / stream",
        loads["read-ahead"] / loads["stream"],
        (LOAD_LIMIT),
        "",
    )
    for floor in ("floor", "floor, our threads"):
        extra = results.median("quiet", _DEMO, "ours").warm_ms - results.median("quiet", _DEMO, floor).warm_ms
        yield f"demo model, warm: ours - {floor}", extra, WARM_LIMIT_MS, " ms"
