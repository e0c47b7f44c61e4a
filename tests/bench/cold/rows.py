"""What is compared: entry points of a Lambda function, and their variables."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cold.cells import Cell
from handler.openmp import SPINS


@dataclass(frozen=True, slots=True)
class Row:
    """One of those that take turns."""

    name: str
    handler: str
    variables: Mapping[str, str] = field(default_factory=dict)


FLOOR = Row("floor", "floor.handler")
NAIVE = Row("naive", "naive.handler")
OURS = Row("ours", "handler.aws_lambda.lambda_handler")
TRACED = Row("traced", "traced.lambda_handler")
TUNED = Row(
    "floor, our threads", FLOOR.handler, {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": SPINS, "LOAD_IN_THREAD": "1"}
)
ROWS = {row.name: row for row in (FLOOR, NAIVE, OURS, TUNED)}


def _without(lever: str) -> Row:
    return Row(f"without {lever}", "changed.lambda_handler", {"WITHOUT": lever})


def _with(name: str, **variables: str) -> Row:
    return Row(name, OURS.handler, variables)


LEVERS = {
    row.name: row
    for row in (
        OURS,
        *map(
            _without,
            (
                "pack",
                "pack and byte code",
                "collector",
                "extensions",
                "tls",
                "pydantic",
                "settings",
                "openapi",
                "powertools",
                "preload",
                "schemas built later",
                "read-ahead",
            ),
        ),
        _with("with threads that sleep at once", OMP_WAIT_POLICY="PASSIVE"),
        _with("with threads that spin 100 times as long", OMP_WAIT_POLICY="PASSIVE", GOMP_SPINCOUNT="100000"),
        _with("with a warm-up word", AWS_LAMBDA_INITIALIZATION_TYPE="provisioned-concurrency"),
        _with("with weights that are not packed", CT2_PACKED_GEMM="0"),
        _with("with one thread", INTRA_THREADS="1"),
        _with("with two threads", INTRA_THREADS="2"),
        _with("with memory kept by malloc", MALLOC_TRIM_THRESHOLD_="4294967296", MALLOC_MMAP_THRESHOLD_="4294967296"),
        _with("with huge pages", GLIBC_TUNABLES="glibc.malloc.hugetlb=1"),
    )
}
"""The function, and it with one thing changed at a time; ``changed`` does the first kind."""


_READ_AHEAD, _TWO_THREADS = "without read-ahead", "with two threads"


def levers(cell: Cell) -> list[Row]:
    """Return ours and the levers that can show in a cell: one of its own where it has lazy files or a quota."""
    if cell.delay_ms is not None:
        names = [_READ_AHEAD]
    elif cell.options:
        names = [_TWO_THREADS]
    else:
        names = [name for name in LEVERS if name not in {OURS.name, _READ_AHEAD, _TWO_THREADS}]
    return [LEVERS[name] for name in (OURS.name, *names)]
