"""The FastAPI application, put together from parts that are given to it; no side effects."""

from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.datastructures import Headers

from handler import __version__
from handler.catalog import ModelSpec
from handler.drain import Drain
from handler.exception_handlers import add_exception_handlers
from handler.guard import RequestGuard
from handler.measurements import Measurements, Totals
from handler.middleware import RequestMiddleware, sent_trace_id
from handler.models import ModelManager
from handler.openapi import openapi_document
from handler.routes import chat, docs, health
from handler.routes import models as models_routes
from handler.schemas import ChatCompletionRequest
from handler.settings import Settings
from handler.telemetry import ColdStart
from handler.workers import Workers

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

_TOGETHER = 64
"""Requests that may be in the engine together, for each batch it decodes at once."""


def create_app(
    models: ModelManager,
    settings: Settings,
    *,
    cold_start: ColdStart | None = None,
    measurements: Measurements | None = None,
    tracer_provider: "TracerProvider | None" = None,
) -> FastAPI:
    """Return the application.

    Args:
        models: The models to serve.
        settings: Limits, keys and what may be asked from where.
        cold_start: For the ``Server-Timing`` header of the first answer.
        measurements: Gets the figures of each request; ``/metrics`` shows those that are added up.
        tracer_provider: Gets a span for each request.
    """
    measurements = measurements or Measurements()
    app = FastAPI(
        title="ctranslate2-server",
        description="OpenAI's chat completions for NLLB and T5 translation models.",
        version=__version__,
        # FastAPI's own pages load their scripts from elsewhere, and its document is made on the event loop.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_telemetry(tracer_provider),
    )
    # Its parts wait for it to be built; the first request should not.
    ChatCompletionRequest.model_rebuild()
    app.state.models = models
    app.state.settings = settings
    app.state.drain = drain = Drain(limit_s=settings.drain_s, running=lambda: measurements.in_flight)
    app.state.workers = {spec.id: _workers(spec, settings) for spec in models}
    routers = [chat.router, models_routes.router, health.router]
    guarded = ["/v1"]
    if settings.docs != "off":
        routers.append(docs.router)
        guarded += docs.PATHS if settings.docs == "guarded" else ()
    if isinstance(measurements.sink, Totals):
        from handler.routes import metrics  # noqa: PLC0415 - for hosts

        app.state.measurements = measurements
        routers.append(metrics.router)
        guarded += [metrics.PATH] if settings.metrics == "guarded" else ()
    for router in routers:
        # Not included, which would wrap each route once more: there is nothing to add to what it says itself.
        app.router.routes.extend(router.routes)
    add_exception_handlers(app)
    app.openapi = cache(partial(openapi_document, app))  # type: ignore[method-assign] # FastAPI's documented way
    # The last one added is outermost: every answer has its ids, and a browser may read every refusal.
    app.add_middleware(
        RequestGuard,
        api_keys=settings.api_keys,
        guarded=guarded,
        max_body_bytes=settings.max_body_bytes,
        drain=drain,
    )
    if settings.cors_origins:
        from handler.cors import CrossOrigin  # noqa: PLC0415 - for those who have browsers for clients

        app.add_middleware(CrossOrigin, origins=settings.cors_origins)
    app.add_middleware(
        RequestMiddleware,
        cold_start=cold_start or ColdStart(),
        measurements=measurements,
        drain=drain,
        find_trace_id=_find_trace_id(tracer_provider),
    )
    return app


def _telemetry(tracer_provider: "TracerProvider | None") -> TelemetryConfig:
    """Return what FastAPI itself tells OpenTelemetry: nothing, or a span a request, and neither by its variables."""
    return {
        "tracing": tracer_provider is not None,
        "tracer_provider": tracer_provider,
        "operation_spans": False,
        "metrics": False,
        "logs": False,
        "auto_configure": False,
    }


def _find_trace_id(tracer_provider: "TracerProvider | None") -> Callable[[Headers], str | None]:
    if tracer_provider is None:
        return sent_trace_id
    from handler.tracing import current_trace_id  # noqa: PLC0415 - for those who send spans

    return current_trace_id


def _workers(spec: ModelSpec, settings: Settings) -> Workers:
    """Return as many threads as batches can be decoded at once, and one that tokenizes meanwhile.

    Where requests are decoded together there are threads for as many as a batch may hold: each waits for its own.
    """
    replicas = spec.inter_threads * len(spec.device_indices)
    together = _TOGETHER * replicas if settings.batching else 0
    return Workers(1 + replicas, max_queued=settings.max_queued_requests, threads=together)
