"""Puts the running service together; the entry points differ only in where their settings come from."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from fastapi import FastAPI

from handler.app import create_app
from handler.catalog import build_catalog
from handler.device_check import check_devices, warn_of_absent_gpu
from handler.errors import ModelLoadError, SettingsError
from handler.loader import load_engine
from handler.measurements import Measurements, Totals
from handler.models import ModelManager
from handler.settings import Settings
from handler.settings_sources import LoadedSettings
from handler.tasks import Sentence
from handler.telemetry import ColdStart, process_age_ms, set_log_level

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider


def compose(
    loaded: LoadedSettings,
    *,
    wait: bool = False,
    warm_up: bool = True,
    one_at_a_time: bool = False,
    measurements: Measurements | None = None,
) -> FastAPI:
    """Begin to load the startup models and return the application that serves them.

    Args:
        loaded: The merged settings and where they come from.
        wait: Return only when the models are loaded, as a Lambda function's init must.
        warm_up: Let each model translate a word once it is loaded.
        one_at_a_time: There is never more than one request, so none is ever decoded with another.
        measurements: Gets all figures; default: a host's, which ``/metrics`` shows.

    Raises:
        SettingsError: The settings name something that is not there, a folder or a GPU, or need a package that is not.
        ManifestError: A model folder is not what its manifest says.
        ModelLoadError: With ``wait``: a startup model failed to load.
    """
    settings = loaded.settings
    set_log_level(settings.log_level)
    with loaded.blaming_origins():
        _check_guards(settings)
        catalog = build_catalog(settings)
    if measurements is None:
        measurements = _host_measurements(settings)
    tracer_provider = None if settings.tracing == "off" else _tracer_provider()
    load = partial(
        load_engine,
        warm_up=warm_up,
        batching=settings.batching and not one_at_a_time,
        on_batch=partial(_measure_batch, measurements),
    )
    models = ModelManager(catalog, loader=load, measurements=measurements)
    with loaded.blaming_origins():
        check_devices(models)
    if not wait:
        warn_of_absent_gpu(models)
    models.start()
    cold_start = ColdStart()
    app = create_app(
        models, settings, cold_start=cold_start, measurements=measurements, tracer_provider=tracer_provider
    )
    if wait:
        models.wait()
        for spec in models:
            if models.state(spec) == "failed":
                raise ModelLoadError(spec.id)
    cold_start.init_ms = process_age_ms()
    return app


def _check_guards(settings: Settings) -> None:
    """Refuse what would seem to be guarded and is open."""
    for name in ("docs", "metrics"):
        if getattr(settings, name) == "guarded" and not settings.api_keys:
            message = "'guarded', and there are no api_keys"
            raise SettingsError(message, key=(name,))


def _measure_batch(measurements: Measurements, batch: Sequence[Sentence]) -> None:
    measurements.batch(sentences=len(batch), source_tokens=sum(len(sentence.tokens) for sentence in batch))


def _host_measurements(settings: Settings) -> Measurements:
    if settings.metrics == "off":
        return Measurements()
    from importlib.util import find_spec  # noqa: PLC0415 - Lambda does without

    # Imported with the first scrape; but who has no such package should hear of it now.
    if find_spec("prometheus_client") is None:
        message = (
            f"metrics = {settings.metrics!r} needs prometheus-client, which is not installed: "
            "pip install 'ctranslate2-server[host]', or metrics = 'off'"
        )
        raise SettingsError(message)
    return Measurements(Totals())


def _tracer_provider() -> "TracerProvider":
    try:
        from handler.tracing import tracer_provider  # noqa: PLC0415 - for those who send spans
    except ImportError:
        message = (
            "tracing = 'otlp' needs OpenTelemetry's SDK, which is not installed: pip install 'ctranslate2-server[otel]'"
        )
        raise SettingsError(message) from None
    return tracer_provider()
