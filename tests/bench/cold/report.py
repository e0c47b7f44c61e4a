"""Tables of medians, and the ratios that the project holds itself to."""

from collections.abc import Mapping
from typing import Any

from cold.cells import ROOT
from cold.measure import Figures, medians

DOCUMENT = ROOT / "docs" / "cold-start.md"
BEGIN, END = "<!-- bench-cold: begin -->", "<!-- bench-cold: end -->"

TARGETS = (
    (
        "NLLB-600M, 256k rows: ours / floor",
        1.02,
        ("quiet", "nllb-600m-full", "ours"),
        ("quiet", "nllb-600m-full", "floor"),
    ),
    (
        "NLLB-600M, 32k rows: ours / floor",
        1.02,
        ("quiet", "nllb-600m-32k", "ours"),
        ("quiet", "nllb-600m-32k", "floor"),
    ),
    (
        "ours at 32k rows / naive at 256k",
        0.50,
        ("quiet", "nllb-600m-32k", "ours"),
        ("quiet", "nllb-600m-full", "naive"),
    ),
    ("demo model: ours / naive", 0.55, ("quiet", "nllb-demo", "ours"), ("quiet", "nllb-demo", "naive")),
    (
        "NLLB-600M, two busy neighbours: ours / naive",
        0.70,
        ("busy", "nllb-600m-full", "ours"),
        ("busy", "nllb-600m-full", "naive"),
    ),
    (
        "NLLB-600M, one CPU: ours / floor",
        1.06,
        ("cpus-1", "nllb-600m-full", "ours"),
        ("cpus-1", "nllb-600m-full", "floor"),
    ),
    (
        "32k rows, blocks of 4 ms: ours / naive",
        1 / 3,
        ("lazy-4", "nllb-600m-32k", "ours"),
        ("lazy-4", "nllb-600m-32k", "naive"),
    ),
)
"""Title, largest ratio, and what is divided by what: cell, model and row."""


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


def write(results: Mapping[str, Any]) -> None:
    """Put the tables of ``results`` between the marks in the document."""
    text = DOCUMENT.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    DOCUMENT.write_text(f"{head}{BEGIN}\n\n{tables(results)}\n\n{END}{tail}", encoding="utf-8")


def tables(results: Mapping[str, Any]) -> str:
    """Return every table of ``results``, the ratios first."""
    parts = [_ratios(results)]
    for key, result in results.items():
        if key.startswith("load|"):
            line = load_line(result["seconds"])
            parts.append(f"Weights alone, {result['model']}; {result['cell']}: {line}.")
            continue
        figures = {name: [Figures(**one) for one in many] for name, many in result["figures"].items()}
        count = len(next(iter(figures.values())))
        what = "one thing changed at a time" if key.startswith("levers|") else "rows"
        parts.append(f"### {result['model']}; {result['cell']}; {what}\n\nMedians of {count}.\n\n{table(figures)}")
    return "\n\n".join(parts)


def _ratios(results: Mapping[str, Any]) -> str:
    lines = ["| exec to first answer | ratio | aim |", "|---|---|---|"]
    for title, limit, *sides in TARGETS:
        values = []
        for cell, model, row in sides:
            result = results.get(f"rows|{cell}|{model}")
            if result is None:
                break
            values.append(medians([Figures(**one) for one in result["figures"][row]]).first_ms)
        else:
            lines.append(f"| {title} | {values[0] / values[1]:.2f} | {limit:.2f} |")
    demo = results.get("rows|quiet|nllb-demo")
    if demo is not None:
        ours, floor = (medians([Figures(**one) for one in demo["figures"][row]]).warm_ms for row in ("ours", "floor"))
        lines.append(f"| demo model, warm: ours - floor | {ours - floor:.1f} ms | 0.7 ms |")
    return "\n".join(lines)
