"""What a server shows on ``/metrics``, read by the client library's own parsers."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from conftest import Server
from prometheus_client.parser import text_string_to_metric_families

TEXT = "text/plain; version=0.0.4; charset=utf-8"
PATIENCE_S = 60.0

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Page:
    """One scrape."""

    text: str
    samples: dict[tuple[str, frozenset[tuple[str, str]]], float]

    def value(self, name: str, **labels: str) -> float:
        """Return one sample; a label that has not been seen is at 0."""
        return self.samples.get((name, frozenset(labels.items())), 0.0)

    def by_status(self, name: str) -> dict[str, float]:
        """Return a counter for each status that was answered."""
        found = {dict(labels)["status"]: value for (sample, labels), value in self.samples.items() if sample == name}
        return {status: value for status, value in found.items() if value}

    @property
    def names(self) -> set[str]:
        """Names of the samples."""
        return {name for name, _ in self.samples}


def scrape(server: Server, **headers: str) -> Page:
    """Return what a server shows now."""
    answer = server.request("GET", "/metrics", headers=headers)
    assert answer.status == 200, answer.body
    text = answer.body.decode()
    families = text_string_to_metric_families(text)
    samples = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }
    return Page(text, samples)


def scrape_until(server: Server, condition: Callable[[Page], bool], **headers: str) -> Page:
    """Return the first page that fulfils ``condition``: a request is counted after its answer has been sent."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition(page := scrape(server, **headers)):
        assert time.monotonic() < deadline, page.text
        time.sleep(0.02)
    return page
