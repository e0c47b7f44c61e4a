"""What is compared: entry points of a Lambda function, and their variables."""

from collections.abc import Mapping
from dataclasses import dataclass, field

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
                "collector",
                "extensions",
                "tls",
                "pydantic",
                "settings",
                "openapi",
                "powertools",
                "preload",
                "read-ahead",
            ),
        ),
        _with("with threads that sleep at once", OMP_WAIT_POLICY="PASSIVE"),
        _with("with threads that spin 100 times as long", OMP_WAIT_POLICY="PASSIVE", GOMP_SPINCOUNT="100000"),
        _with("with a warm-up word", AWS_LAMBDA_INITIALIZATION_TYPE="provisioned-concurrency"),
        _with("with weights that are not packed", CT2_PACKED_GEMM="0"),
        _with("with one thread", INTRA_THREADS="1"),
        _with("with memory kept by malloc", MALLOC_TRIM_THRESHOLD_="4294967296", MALLOC_MMAP_THRESHOLD_="4294967296"),
        _with("with huge pages", GLIBC_TUNABLES="glibc.malloc.hugetlb=1"),
    )
}
"""The function, and it with one thing changed at a time; ``changed`` does the first kind."""


READ_AHEAD = "without read-ahead"


def levers(*, lazy: bool) -> list[Row]:
    """Return the levers that can show in a cell: the read-ahead where files come lazily, the others where not."""
    return (
        [LEVERS[OURS.name], LEVERS[READ_AHEAD]] if lazy else [row for row in LEVERS.values() if row.name != READ_AHEAD]
    )
