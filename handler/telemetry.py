"""Structured logs with a correlation id in every line, and the timings of one request.

Powertools' Logger writes the JSON. The correlation id goes into its context-local keys: ``set_correlation_id`` is
global to the process and would leak from one concurrent request into another's lines.
"""

import os
import re
import time
import uuid
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aws_lambda_powertools.logging import Logger

SERVICE = "ctranslate2-server"

# A level of its own: left out, the logger would read LOG_LEVEL itself, before the settings could refuse a bad one.
# Where Lambda has a level it wins over any that is said here, and Powertools warns of one below it.
_FIRST_LEVEL = "CRITICAL" if "AWS_LAMBDA_LOG_LEVEL" in os.environ else "INFO"
logger = Logger(
    service=SERVICE,
    level=_FIRST_LEVEL,
    use_rfc3339=True,
    # Messages are words: Powertools would try to read each as JSON.
    json_deserializer=str,
)

_SANE_ID = re.compile(r"[\x21-\x7e]{1,128}")
_TRACEPARENT = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?P<more>-.*)?"
)


def set_log_level(level: str) -> None:
    """Let lines of ``level`` and above through."""
    logger.setLevel(level)


def correlation_id(headers: Mapping[str, str], *, gateway_request_id: object = None) -> str:
    """Return the id the client sent, else API Gateway's, else a new one.

    An id is taken over when it is 1 to 128 visible ASCII characters: it goes into headers and logs as it is.
    """
    for candidate in (headers.get("x-request-id"), headers.get("x-correlation-id"), gateway_request_id):
        if isinstance(candidate, str) and _SANE_ID.fullmatch(candidate):
            return candidate
    return str(uuid.uuid4())


def trace_id(traceparents: Sequence[str]) -> str | None:
    """Return the trace that a request says it is part of (W3C Trace Context, section 3.2).

    Args:
        traceparents: Values of the header; several are as good as none.
    """
    match = _TRACEPARENT.fullmatch(traceparents[0]) if len(traceparents) == 1 else None
    # Later versions may add something; this one ends here.
    return None if match is None or (match["version"] == "00" and match["more"]) else match["trace"]


def process_age_ms() -> float:
    """Return the milliseconds since this process was started, or 0 where /proc does not tell.

    Field 22 of /proc/self/stat is the start in clock ticks since boot (proc_pid_stat(5)); a tick is 10 ms.
    """
    with suppress(OSError, ValueError, IndexError, AttributeError):
        fields = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return time.clock_gettime(time.CLOCK_BOOTTIME) * 1e3 - int(fields[19]) / os.sysconf("SC_CLK_TCK") * 1e3
    return 0.0


@dataclass(slots=True)
class RequestRecord:
    """What the log line and the ``Server-Timing`` header of one request say; filled in on its way."""

    request_id: str
    """The correlation id."""
    fields: dict[str, Any] = field(default_factory=dict)
    """Further fields of the log line."""
    timings_ms: dict[str, float] = field(default_factory=dict)
    """Phase to milliseconds, in the order they happened."""

    started_s: float = field(default_factory=time.monotonic)
    """When the request came, by the clock of ``time.monotonic``."""
    abandoned: bool = False
    """Whether the client went away while it was answered."""
    completion: bool = False
    """Whether a chat completion is asked for; the log line's path says the same to people."""
    streamed: bool = False
    """Whether the answer is sent while it is made."""

    def server_timing(self) -> str:
        """Return the value of the header (W3C Server Timing: durations in milliseconds)."""
        return ", ".join(f"{phase};dur={ms:.1f}" for phase, ms in self.timings_ms.items())


_RECORD = "record"


def begin_record(scope: MutableMapping[str, Any], request_id: str, *, trace_id: str | None = None) -> RequestRecord:
    """Return a new record, kept in an ASGI scope, and bind the ids to the log lines of this context."""
    logger.thread_safe_clear_keys()
    logger.thread_safe_append_keys(correlation_id=request_id)
    if trace_id is not None:
        logger.thread_safe_append_keys(trace_id=trace_id)
    record = scope.setdefault("state", {})[_RECORD] = RequestRecord(request_id)
    return record


def request_record(scope: MutableMapping[str, Any]) -> RequestRecord:
    """Return the record of the request that an ASGI ``scope`` belongs to."""
    record: RequestRecord = scope["state"][_RECORD]
    return record


@dataclass(slots=True)
class ColdStart:
    """How long the process took from its start until it could serve; told once."""

    init_ms: float | None = None

    def take(self) -> dict[str, float]:
        """Return the timings for the first answer, and nothing from then on."""
        init_ms, self.init_ms = self.init_ms, None
        return {} if init_ms is None else {"init": init_ms}
