"""A span for each request, sent by OpenTelemetry's exporter. Imported where the setting ``tracing`` asks for spans.

FastAPI makes them itself: the server's span, a child of what ``traceparent`` names. This is where they go.
"""

import logging
import os

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import format_trace_id, get_current_span
from starlette.datastructures import Headers

from handler import __version__
from handler.telemetry import SERVICE, logger

_TIMEOUTS = {"OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"}
_TIMEOUT_S = 3.0
"""For one batch, further attempts included, unless a variable says otherwise: the end of the process waits for the last
ones, and with OpenTelemetry's 10 s a collector that is away would use up the time that an orchestrator gives."""


def tracer_provider() -> TracerProvider:
    """Return what collects spans and sends them in batches, at the end of the process the last.

    Endpoint, headers, sampler, limits and attributes are those of OpenTelemetry's variables.
    """
    # Attributes that are given here would win over OTEL_SERVICE_NAME: the detector reads it again.
    resource = Resource.create({SERVICE_NAME: SERVICE, SERVICE_VERSION: __version__})
    provider = TracerProvider(resource=resource.merge(OTELResourceDetector().detect()))
    # What goes wrong with sending comes in the structure of all other lines.
    sdk_logger = logging.getLogger("opentelemetry")
    sdk_logger.handlers, sdk_logger.propagate = [logger.registered_handler], False
    timeout = None if _TIMEOUTS & os.environ.keys() else _TIMEOUT_S
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=timeout)))
    return provider


def current_trace_id(_: Headers) -> str | None:
    """Return the trace of the span that this request has: the client's, or a new one."""
    context = get_current_span().get_span_context()
    return format_trace_id(context.trace_id) if context.is_valid else None
