"""Puts the running service together; the entry points differ only in where their settings come from."""

from functools import partial

from fastapi import FastAPI

from handler.app import create_app
from handler.catalog import build_catalog
from handler.device_check import check_devices, warn_of_absent_gpu
from handler.errors import ModelLoadError
from handler.loader import load_engine
from handler.models import ModelManager
from handler.settings import Settings
from handler.telemetry import ColdStart, process_age_ms, set_log_level


def compose(settings: Settings, *, wait: bool = False, warm_up: bool = True) -> FastAPI:
    """Begin to load the startup models and return the application that serves them.

    Args:
        settings: The merged settings.
        wait: Return only when the models are loaded, as a Lambda function's init must.
        warm_up: Let each model translate a word once it is loaded.

    Raises:
        SettingsError: The settings name something that is not there: a folder, a GPU.
        ManifestError: A model folder is not what its manifest says.
        ModelLoadError: With ``wait``: a startup model failed to load.
    """
    set_log_level(settings.log_level)
    models = ModelManager(build_catalog(settings), loader=partial(load_engine, warm_up=warm_up))
    check_devices(models)
    if not wait:
        warn_of_absent_gpu(models)
    models.start()
    cold_start = ColdStart()
    app = create_app(models, settings, cold_start=cold_start)
    if wait:
        models.wait()
        for spec in models:
            if models.state(spec) == "failed":
                raise ModelLoadError(spec.id)
    cold_start.init_ms = process_age_ms()
    return app
