"""Draws one cold start: what ran when, from exec to the first answer."""

import json
from pathlib import Path
from xml.sax.saxutils import escape

from cold.measure import Opener, start_once
from cold.models import Model
from cold.rows import Row
from cold.runtime_api import RuntimeApi

_WIDTH, _LEFT, _ROW, _TOP = 860, 250, 24, 46
_COLOURS = {"import": "#4878a8", "load": "#c2703d", "init": "#6b9a5b", "invoke": "#8a5a9e", "interpreter": "#8c8c8c"}


def draw(model: Model, open_place: Opener, row: Row, log: Path) -> str:
    """Start ``row`` with ``model`` twice, the second time for the picture; return it as SVG."""
    api = RuntimeApi()
    with open_place() as place:
        start_once(place, row, model, api, warm=0)
        before = log.stat().st_size
        figures = start_once(place, row, model, api, warm=0)
    api.close()
    lines = log.read_bytes()[before:].decode().splitlines()
    spans = [json.loads(line) for line in lines if line.startswith('{"span"')]
    end = max(span["end_ns"] for span in spans if span["span"] == "invoke")
    start = end - int(figures.first_ms * 1e6)
    init = next(span for span in spans if span["span"] == "init")
    bars = [("interpreter, runtime client", 0.0, (init["begin_ns"] - start) / 1e6)]
    bars += [
        (span["span"], (span["begin_ns"] - start) / 1e6, (span["end_ns"] - start) / 1e6)
        for span in sorted(spans, key=lambda span: int(span["begin_ns"]))
        if span["span"] != "init"
    ]
    imported = max(end for name, _, end in bars if name.startswith("import"))
    bars.insert(-1, ("init: app, settings, waiting", imported, (init["end_ns"] - start) / 1e6))
    return _svg(model.title, bars, figures.first_ms)


def _svg(title: str, bars: list[tuple[str, float, float]], total_ms: float) -> str:
    height = _TOP + _ROW * len(bars) + 34
    scale = (_WIDTH - _LEFT - 70) / total_ms
    step = next(step for step in (10, 20, 50, 100, 200, 500, 1000, 2000) if total_ms / step <= 10)
    font = 'font-family="sans-serif" font-size="12"'
    heading = f"One cold start, {title}: first answer after {total_ms:,.0f} ms"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" {font}>',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="22" font-size="14" fill="#222222">{escape(heading)}</text>',
    ]
    for tick in range(0, int(total_ms) + 1, step):
        x = _LEFT + tick * scale
        parts.append(f'<line x1="{x:.1f}" y1="{_TOP - 8}" x2="{x:.1f}" y2="{height - 26}" stroke="#dddddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{height - 10}" text-anchor="middle" fill="#666666">{tick} ms</text>')
    for number, (name, begin, end) in enumerate(bars):
        y = _TOP + number * _ROW
        colour = _COLOURS[name.partition(":")[0].partition(",")[0]]
        parts.append(f'<text x="{_LEFT - 10}" y="{y + 12}" text-anchor="end" fill="#222222">{escape(name)}</text>')
        parts.append(
            f'<rect x="{_LEFT + begin * scale:.1f}" y="{y}" width="{max(1.0, (end - begin) * scale):.1f}" height="16" '
            f'rx="2" fill="{colour}"/>'
        )
        x = _LEFT + end * scale + 5
        parts.append(f'<text x="{x:.1f}" y="{y + 12}" fill="#444444">{end - begin:,.0f}</text>')
    return "\n".join([*parts, "</svg>", ""])
