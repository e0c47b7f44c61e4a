"""Tables and the picture of throughput over clients."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from throughput.client import Load

BEGIN, END = "<!-- bench-load: begin -->", "<!-- bench-load: end -->"
_COLOURS = {"batching": "#c2703d", "without batching": "#4878a8"}
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 340, 64, 150, 44, 48


@dataclass(slots=True)
class Side:
    """What one server did under one load, round by round."""

    loads: list[Load] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    memory_mib: float = 0.0
    """At its peak so far."""

    @property
    def per_second(self) -> float:
        """Answers a second, the median of the rounds."""
        return statistics.median(load.per_second for load in self.loads)

    def latency_ms(self, percent: int) -> float:
        """Return a percentile of all latencies."""
        latencies = sorted(latency for load in self.loads for latency in load.latencies_s)
        return latencies[min(len(latencies) - 1, len(latencies) * percent // 100)] * 1e3

    def cpu_ms(self) -> float:
        """Return the CPU milliseconds of an answer."""
        return sum(self.cpu_s) / max(1, sum(len(load.latencies_s) for load in self.loads)) * 1e3


def table(title: str, rows: Mapping[str, Mapping[str, Side]], *, tokens: int, offline: float | None = None) -> str:
    """Return a table in Markdown.

    Args:
        title: Its heading.
        rows: By load, the sides.
        tokens: Decoded for each answer.
        offline: Sentences a second of the offline optimum.
    """
    lines = [f"### {title}", ""]
    if offline is not None:
        lines += [f"Offline optimum: {offline:.2f} sentences a second.", ""]
    of_optimum = " of the optimum |" if offline is not None else ""
    lines += [
        f"| | | sentences/s | tokens/s |{of_optimum} p50 | p95 | p99 | CPU each | peak memory |",
        "|---|---|---|---|" + ("---|" if of_optimum else "") + "---|---|---|---|---|",
    ]
    for load, sides in rows.items():
        for name, side in sides.items():
            share = f" {side.per_second / offline:.2f} |" if offline is not None else ""
            percentiles = " | ".join(f"{side.latency_ms(percent):,.0f} ms" for percent in (50, 95, 99))
            lines.append(
                f"| {load} | {name} | {side.per_second:.2f} | {side.per_second * tokens:,.0f} |{share} {percentiles} "
                f"| {side.cpu_ms():,.1f} ms | {side.memory_mib:,.0f} MiB |"
            )
    return "\n".join([*lines, ""])


def picture(title: str, curves: Mapping[str, Sequence[tuple[int, float]]], offline: float) -> str:
    """Return an SVG of sentences a second over clients, by side, below the line of the offline optimum."""
    clients = sorted({count for curve in curves.values() for count, _ in curve})
    top = 1.1 * max(offline, *(value for curve in curves.values() for _, value in curve))
    wide = (_WIDTH - _LEFT - _RIGHT) / max(1, len(clients) - 1)

    def x(count: int) -> float:
        return _LEFT + clients.index(count) * wide

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - value / top * (_HEIGHT - _TOP - _BOTTOM)

    font = 'font-family="sans-serif" font-size="12"'
    right = _WIDTH - _RIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" {font}>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        f'<text x="12" y="22" font-size="14" fill="#222222">{escape(title)}</text>',
    ]
    for step in range(5):
        value = top * step / 4
        parts.append(
            f'<line x1="{_LEFT}" y1="{y(value):.1f}" x2="{right}" y2="{y(value):.1f}" stroke="#dddddd"/>'
            f'<text x="{_LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end" fill="#666666">{value:,.0f}</text>'
        )
    parts += [
        f'<text x="{x(count):.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle" fill="#666666">{count}</text>'
        for count in clients
    ]
    parts.append(f'<text x="{_LEFT}" y="{_HEIGHT - 10}" fill="#444444">clients; sentences a second</text>')
    parts.append(
        f'<line x1="{_LEFT}" y1="{y(offline):.1f}" x2="{right}" y2="{y(offline):.1f}" stroke="#6b9a5b" '
        f'stroke-dasharray="5 4"/><text x="{right + 8}" y="{y(offline) + 4:.1f}" fill="#6b9a5b">offline</text>'
    )
    for name, curve in curves.items():
        colour = _COLOURS[name]
        points = " ".join(f"{x(count):.1f},{y(value):.1f}" for count, value in curve)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x(count):.1f}" cy="{y(value):.1f}" r="3" fill="{colour}"/>' for count, value in curve]
        last = curve[-1][1]
        parts.append(f'<text x="{right + 8}" y="{y(last) + 4:.1f}" fill="{colour}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])
