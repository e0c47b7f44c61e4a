"""The service's figures in Prometheus' text formats, with those of the process; written by Prometheus' own client.

A registry is made for each scrape and belongs to one app: all state is in the totals, and nothing global is counted.
"""

from collections.abc import Collection, Iterator
from typing import get_args

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from handler.drain import Drain
from handler.measurements import FIGURES, Figure, Measurements, Totals
from handler.models import ModelManager
from handler.schemas import ModelState
from handler.workers import Workers


def page(
    measurements: Measurements, models: ModelManager, workers: Collection[Workers], drain: Drain, *, accept: str
) -> tuple[bytes, str]:
    """Return the text and its content type.

    Args:
        measurements: Those of the app, added up.
        models: Are asked how far they are.
        workers: Are asked who waits.
        drain: Tells whether the process is about to end.
        accept: The header of the request: OpenMetrics for who asks for it, else the older format.
    """
    registry = CollectorRegistry()
    registry.register(_App(measurements, models, workers, drain))
    ProcessCollector(registry=registry)
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _App(Collector):
    def __init__(
        self, measurements: Measurements, models: ModelManager, workers: Collection[Workers], drain: Drain
    ) -> None:
        self._measurements = measurements
        self._models = models
        self._workers = workers
        self._drain = drain

    def collect(self) -> Iterator[Metric]:
        totals = self._measurements.sink
        assert isinstance(totals, Totals)  # noqa: S101 - there is no page without
        for figure in FIGURES:
            yield _family(figure, totals)
        yield GaugeMetricFamily(
            "ct2_requests_in_flight",
            "Requests that are being answered, the one for this page included.",
            value=self._measurements.in_flight,
        )
        yield GaugeMetricFamily(
            "ct2_queue_requests",
            "Requests of which something waits for a thread, the engine or their model.",
            value=sum(workers.waiting for workers in self._workers),
        )
        states = {spec.id: self._models.state(spec) for spec in self._models}
        by_state = GaugeMetricFamily("ct2_models", "Configured models by how far they are.", labels=["state"])
        for state in get_args(ModelState):
            by_state.add_metric([state], list(states.values()).count(state))
        yield by_state
        loaded = all(states[spec.id] == "loaded" for spec in self._models if spec.load == "startup")
        ready = loaded and not self._drain.begun
        yield GaugeMetricFamily(
            "ct2_ready", "Whether every startup model is loaded and the process goes on.", value=ready
        )


def _family(figure: Figure, totals: Totals) -> Metric:
    if figure.bounds:
        cumulative, total = totals.histogram(figure)
        bounds = [*map(floatToGoString, figure.bounds), "+Inf"]
        buckets = list(zip(bounds, map(float, cumulative), strict=True))
        return HistogramMetricFamily(figure.name, figure.help, buckets=buckets, sum_value=total)
    if not figure.by_status:
        return CounterMetricFamily(figure.name, figure.help, value=totals.count(figure))
    family = CounterMetricFamily(figure.name, figure.help, labels=["status"])
    for status, count in sorted(totals.by_status(figure).items()):
        family.add_metric([str(status)], count)
    return family
