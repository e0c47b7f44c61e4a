"""Puts the running service together; the entry points differ only in where their settings come from."""

from fastapi import FastAPI

from handler.app import create_app
from handler.catalog import build_catalog
from handler.models import ModelManager
from handler.settings import Settings
from handler.telemetry import ColdStart, process_age_ms, set_log_level


def compose(settings: Settings, *, wait: bool = False) -> FastAPI:
    """Begin to load the startup models and return the application that serves them.

    Args:
        settings: The merged settings.
        wait: Return only when the models are loaded, as a Lambda function's init must.

    Raises:
        SettingsError: The settings name something that is not there.
        ManifestError: A model folder is not what its manifest says.
    """
    set_log_level(settings.log_level)
    models = ModelManager(build_catalog(settings))
    models.start()
    cold_start = ColdStart()
    app = create_app(models, settings, cold_start=cold_start)
    if wait:
        models.wait()
    cold_start.init_ms = process_age_ms()
    return app
