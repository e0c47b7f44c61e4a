"""Figures in CloudWatch's embedded metric format, by Powertools. Imported where ``metrics_namespace`` asks for them."""

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from handler.measurements import Figure
from handler.telemetry import SERVICE


class EmbeddedMetrics:
    """A sink that writes one object into the log for each invocation.

    The dimension is the service alone: CloudWatch bills each combination of dimensions as a metric of its own.
    """

    def __init__(self, namespace: str) -> None:
        """Write figures for ``namespace``."""
        # Not the class that shares its figures with every other user of Powertools in the process.
        self._metrics = EphemeralMetrics(namespace=namespace, service=SERVICE)
        self._figures: list[tuple[Figure, float]] = []

    def add(self, figure: Figure, value: float, status: int | None = None) -> None:
        """Keep one value for the end of the invocation; the log line has the status."""
        del status
        self._figures.append((figure, value))

    def flush(self) -> None:
        """Write what has come since the last time, if anything has."""
        figures, self._figures = self._figures, []
        sums: dict[Figure, float] = {}
        for figure, value in figures:
            if figure.bounds:
                self._metrics.add_metric(_name(figure), _unit(figure), value)
            else:
                sums[figure] = sums.get(figure, 0.0) + value
        for figure, total in sums.items():
            self._metrics.add_metric(_name(figure), _unit(figure), total)
        if figures:
            self._metrics.flush_metrics()


def _name(figure: Figure) -> str:
    """Return the name without what the namespace and the statistic say."""
    return figure.name.removeprefix("ct2_").removesuffix("_total")


def _unit(figure: Figure) -> MetricUnit:
    return MetricUnit.Seconds if figure.name.endswith("_seconds") else MetricUnit.Count
