"""One cold start, and many of them in turns."""

import statistics
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, fields

from cold.cells import Cell, Place, neighbours
from cold.models import Model, answer_text
from cold.rows import Row
from cold.runtime_api import RuntimeApi

TIMEOUT_S = 300.0
Opener = Callable[[], AbstractContextManager[Place]]


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one start, or medians of several."""

    first_ms: float
    """From exec to the first answer."""
    init_ms: float
    """From exec until the first event is asked for."""
    invoke_ms: float
    """From then to the first answer."""
    warm_ms: float
    """Median of the further answers."""
    cpu_s: float
    """Up to the last answer."""
    peak_mib: float


def start_once(place: Place, row: Row, model: Model, api: RuntimeApi, *, warm: int) -> Figures:
    """Start ``row`` with ``model``, ask once and ``warm`` times more, and kill it.

    Raises:
        RuntimeError: Init or an invocation failed.
        ValueError: An answer is an error, or not what the other answers are.
        TimeoutError: Nothing came.
    """
    variables = {
        "AWS_LAMBDA_RUNTIME_API": api.address,
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "LOG_LEVEL": "ERROR",
        **model.variables(place.model),
        **row.variables,
    }
    api.expect([model.event()] * (1 + warm))
    started = place.start(row.handler, variables)
    try:
        exchange = api.wait(TIMEOUT_S)
    finally:
        counted = place.stop()
    if len({answer_text(answer) for answer in exchange.answers}) != 1:
        message = f"{row.name}: the same question was answered in different ways"
        raise ValueError(message)
    took = [(answered - asked) / 1e6 for asked, answered in zip(exchange.asked_ns, exchange.answered_ns, strict=False)]
    return Figures(
        first_ms=(exchange.answered_ns[0] - started) / 1e6,
        init_ms=(exchange.asked_ns[0] - started) / 1e6,
        invoke_ms=took[0],
        warm_ms=statistics.median(took[1:]) if warm else took[0],
        cpu_s=counted["cpu_s"],
        peak_mib=counted["peak_mib"],
    )


def take_turns(
    cell: Cell, rows: Sequence[Row], model: Model, open_place: Opener, *, n: int, warm: int
) -> dict[str, list[Figures]]:
    """Start each of ``rows`` once for the caches, then ``n`` times in turns."""
    api = RuntimeApi()
    figures: dict[str, list[Figures]] = {row.name: [] for row in rows}
    with ExitStack() as stack:
        stack.callback(api.close)
        stack.enter_context(neighbours(cell.neighbours))
        # A start that is to find nothing in memory needs a place of its own.
        kept = stack.enter_context(open_place()) if cell.delay_ms is None else None
        for turn in range(n + 1):
            for row in rows:
                if kept is not None:
                    measured = start_once(kept, row, model, api, warm=warm)
                else:
                    with open_place() as fresh:
                        measured = start_once(fresh, row, model, api, warm=warm)
                if turn:
                    figures[row.name].append(measured)
    return figures


def medians(figures: Sequence[Figures]) -> Figures:
    """Return the median of each figure."""
    values = [asdict(one) for one in figures]
    return Figures(
        **{field.name: statistics.median(value[field.name] for value in values) for field in fields(Figures)}
    )
