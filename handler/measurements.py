"""What is counted and timed, and the one place that everything reports to; where figures go is up to a sink.

Hosts add them up for ``/metrics``, a Lambda function writes those of each invocation into its log, and with no sink
nothing is kept. No figure has a label that is taken from what a client sends: only the status tells answers apart.

Plain classes, because every cold start imports them: a dataclass is compiled when it is made.
"""

from bisect import bisect_left
from collections.abc import Mapping
from itertools import accumulate
from threading import Lock
from typing import Protocol

from handler.errors import AbandonedError, OverloadedError
from handler.telemetry import RequestRecord

_OK, _FIRST_SERVER_ERROR = 200, 500

_REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""From a phrase with a demo model to the time limit of a long document."""
_LOAD_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_SENTENCES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
_TOKENS = (16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0)


class Figure:
    """One thing that is counted, or, where it has bounds, whose distribution is kept."""

    __slots__ = ("bounds", "by_status", "help", "name")

    def __init__(self, name: str, text: str, *, bounds: tuple[float, ...] = (), by_status: bool = False) -> None:
        """Describe it.

        Args:
            name: As Prometheus has it: base units, counters end in ``_total``.
            text: What it is, for people.
            bounds: Upper bounds of a histogram's buckets, each part of its bucket.
            by_status: Whether it is counted for each status of an answer.
        """
        self.name = name
        self.help = text
        self.bounds = bounds
        self.by_status = by_status


REQUESTS = Figure("ct2_requests_total", "Requests by the status of the answer; 499: the client left.", by_status=True)
COMPLETIONS = Figure(
    "ct2_completions_total", "Requests for a chat completion that got past the API key, by status.", by_status=True
)
FAILED = Figure(
    "ct2_failed_completions_total",
    "Chat completions that failed through the server: a status of 500 or above, or a stream that ended in an error.",
)
REFUSED = Figure("ct2_refused_completions_total", "Chat completions refused because too many were waiting.")
PROMPT_TOKENS = Figure("ct2_prompt_tokens_total", "Tokens of the texts that were translated.")
COMPLETION_TOKENS = Figure("ct2_completion_tokens_total", "Tokens of the answers.")
COMPLETION = Figure(
    "ct2_completion_seconds",
    "Time from a request to the end of its answer, streams included, of status 200.",
    bounds=_REQUEST_S,
)
QUEUE_WAIT = Figure(
    "ct2_queue_wait_seconds", "Time that a request waited for a thread or the engine.", bounds=_REQUEST_S
)
DECODE = Figure("ct2_decode_seconds", "Time to translate the text of a request.", bounds=_REQUEST_S)
FIRST_TOKEN = Figure(
    "ct2_time_to_first_token_seconds", "Time from a request for a stream to its first text.", bounds=_REQUEST_S
)
BATCH_SENTENCES = Figure(
    "ct2_batch_sentences", "Sentences that were decoded together, of one request or many.", bounds=_SENTENCES
)
BATCH_SOURCE_TOKENS = Figure("ct2_batch_source_tokens", "Source tokens of the sentences of a batch.", bounds=_TOKENS)
MODEL_LOAD = Figure("ct2_model_load_seconds", "Time to load a model, its warm-up included.", bounds=_LOAD_S)
MODEL_LOAD_FAILURES = Figure("ct2_model_load_failures_total", "Attempts to load a model that failed.")

FIGURES = (
    REQUESTS,
    COMPLETIONS,
    FAILED,
    REFUSED,
    PROMPT_TOKENS,
    COMPLETION_TOKENS,
    COMPLETION,
    QUEUE_WAIT,
    DECODE,
    FIRST_TOKEN,
    BATCH_SENTENCES,
    BATCH_SOURCE_TOKENS,
    MODEL_LOAD,
    MODEL_LOAD_FAILURES,
)
"""All of them, in the order they are shown in."""

_STATUSES = (_OK, 400, 401, 404, OverloadedError.status_code, AbandonedError.status_code, _FIRST_SERVER_ERROR, 503, 504)
"""Shown from the start; others as they come."""


class Sink(Protocol):
    """Where figures go. Called in any thread; must neither fail nor wait."""

    def add(self, figure: Figure, value: float, status: int | None = None) -> None:
        """Take one value: of a counter what it grows by, else what was observed."""


class Totals:
    """Adds up since the start of the process, for whoever comes to read. Thread-safe."""

    def __init__(self) -> None:
        """Begin at zero: a counter that appears with its first error would show no increase."""
        self._lock = Lock()
        self._sums = {figure: 0.0 for figure in FIGURES if not figure.by_status}
        self._by_status = {figure: dict.fromkeys(_STATUSES, 0) for figure in FIGURES if figure.by_status}
        self._buckets = {figure: [0] * (len(figure.bounds) + 1) for figure in FIGURES if figure.bounds}

    def add(self, figure: Figure, value: float, status: int | None = None) -> None:
        """Add one value."""
        with self._lock:
            if status is not None:
                statuses = self._by_status[figure]
                statuses[status] = statuses.get(status, 0) + 1
                return
            self._sums[figure] += value
            if figure.bounds:
                self._buckets[figure][bisect_left(figure.bounds, value)] += 1

    def count(self, figure: Figure) -> float:
        """Return how far a counter has got."""
        return self._sums[figure]

    def by_status(self, figure: Figure) -> Mapping[int, int]:
        """Return how far a counter has got for each status."""
        with self._lock:
            return dict(self._by_status[figure])

    def histogram(self, figure: Figure) -> tuple[tuple[int, ...], float]:
        """Return how many values there are up to each bound of a figure, and last all of them; and their sum."""
        with self._lock:
            return tuple(accumulate(self._buckets[figure])), self._sums[figure]


class Measurements:
    """What the parts of the service report to."""

    def __init__(self, sink: Sink | None = None) -> None:
        """Pass figures on to ``sink``, if there is one."""
        self.sink = sink
        self.in_flight = 0
        """Requests that are being answered; counted on the event loop."""

    def began(self) -> None:
        """Count a request that has come in."""
        self.in_flight += 1

    def ended(self, record: RequestRecord, *, status: int, seconds: float) -> None:
        """Report a request that began, whatever became of it.

        Args:
            record: What was noted on its way; what its log line says is what is counted.
            status: Of the answer.
            seconds: How long it took, to the end of the answer.
        """
        self.in_flight -= 1
        if self.sink is None:
            return
        self.sink.add(REQUESTS, 1, status)
        if record.completion:
            self.sink.add(COMPLETIONS, 1, status)
            _add_outcome(self.sink, record, status, seconds)
            _add_amounts(self.sink, record)

    def batch(self, *, sentences: int, source_tokens: int) -> None:
        """Report sentences that were decoded together."""
        if self.sink is not None:
            self.sink.add(BATCH_SENTENCES, sentences)
            self.sink.add(BATCH_SOURCE_TOKENS, source_tokens)

    def model_loaded(self, seconds: float) -> None:
        """Report a model that is ready after ``seconds``."""
        if self.sink is not None:
            self.sink.add(MODEL_LOAD, seconds)

    def model_failed(self) -> None:
        """Report a model that could not be loaded."""
        if self.sink is not None:
            self.sink.add(MODEL_LOAD_FAILURES, 1)


def _add_outcome(sink: Sink, record: RequestRecord, status: int, seconds: float) -> None:
    broke_off = "error" in record.fields
    if status >= _FIRST_SERVER_ERROR or broke_off:
        sink.add(FAILED, 1)
    elif status == OverloadedError.status_code:
        sink.add(REFUSED, 1)
    elif status == _OK:
        sink.add(COMPLETION, seconds)


def _add_amounts(sink: Sink, record: RequestRecord) -> None:
    if record.streamed and "total" in record.timings_ms:
        # A stream's head is sent once there is text, see handler.routes.chat.
        sink.add(FIRST_TOKEN, record.timings_ms["total"] / 1e3)
    for figure, phase in ((QUEUE_WAIT, "queue"), (DECODE, "translate")):
        if phase in record.timings_ms:
            sink.add(figure, record.timings_ms[phase] / 1e3)
    for figure, name in ((PROMPT_TOKENS, "prompt_tokens"), (COMPLETION_TOKENS, "completion_tokens")):
        if name in record.fields:
            sink.add(figure, record.fields[name])
