"""A span for each request, sent by OpenTelemetry's exporter. Imported where the setting ``tracing`` asks for spans.

FastAPI makes them itself: the server's span, a child of what ``traceparent`` names. This is where they go.
"""

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import format_trace_id, get_current_span
from starlette.datastructures import Headers

from handler import __version__
from handler.telemetry import SERVICE


def tracer_provider() -> TracerProvider:
    """Return what collects spans and sends them in batches, at the end of the process the last.

    Endpoint, headers, sampler, limits and attributes are those of OpenTelemetry's variables.
    """
    # Attributes that are given here would win over OTEL_SERVICE_NAME: the detector reads it again.
    resource = Resource.create({SERVICE_NAME: SERVICE, SERVICE_VERSION: __version__})
    provider = TracerProvider(resource=resource.merge(OTELResourceDetector().detect()))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def current_trace_id(_: Headers) -> str | None:
    """Return the trace of the span that this request has: the client's, or a new one."""
    context = get_current_span().get_span_context()
    return format_trace_id(context.trace_id) if context.is_valid else None
