"""The application on AWS Lambda: events in, answers out. Models are loaded at import: in the init phase."""

import logging
import os
import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from mangum import Mangum
from mangum.handlers.api_gateway import HTTPGateway

from handler import ahead
from handler.composition import compose
from handler.errors import ManifestError, ModelLoadError, SettingsError, UnsupportedEventError
from handler.events import is_http, is_warm_up, kind, normalized
from handler.measurements import Measurements
from handler.settings import Settings
from handler.settings_sources import load_settings
from handler.telemetry import logger

if TYPE_CHECKING:
    from mangum.types import Scope

    from handler.emf import EmbeddedMetrics

_ON_DEMAND = "on-demand"
"""``AWS_LAMBDA_INITIALIZATION_TYPE`` of an environment that a request is waiting for; others are made in advance."""


class _HttpApi(HTTPGateway):
    """Mangum's own, which asks for its scope twice and makes it each time."""

    @cached_property
    def scope(self) -> "Scope":
        """The ASGI scope of the request."""
        return super().scope


def _end_init(message: str = "") -> NoReturn:
    """End the process with exit code 1, and do not wait for weights that nobody will use."""
    if message:
        print(message, file=sys.stderr)  # noqa: T201 - one line for the operator
    if ahead.unfinished():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)
    raise SystemExit(1)


def _embedded_metrics(settings: Settings) -> "EmbeddedMetrics | None":
    if not settings.metrics_namespace:
        return None
    from handler.emf import EmbeddedMetrics  # noqa: PLC0415 - for those who ask for it

    return EmbeddedMetrics(settings.metrics_namespace)


try:
    _loaded = load_settings()
    _embedded = _embedded_metrics(_loaded.settings)
    app = compose(
        _loaded,
        wait=True,
        one_at_a_time=True,
        measurements=Measurements(_embedded),
        # Someone waits for the first answer: a word translated before it is time lost. Made in advance, it is time won.
        warm_up=os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE", _ON_DEMAND) != _ON_DEMAND,
    )
except (SettingsError, ManifestError) as error:
    _end_init(f"error: {error}")
except ModelLoadError:
    # The log has the reason, in one line. Lambda tries the init once more and then fails the request: no function that
    # can serve nothing is left running.
    _end_init()
# A guess that proved wrong is not to stay in memory.
ahead.forget()

# Its line per request would double the app's own, without the ids.
logging.getLogger("mangum").setLevel(logging.WARNING)

# Mangum runs lifespan on every invocation, so it is off and the models are loaded above.
_http = Mangum(app, lifespan="off", custom_handlers=[_HttpApi])


def lambda_handler(event: Any, context: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever the runtime delivers
    """Answer an HTTP event of API Gateway, a function URL or an ALB; succeed at once for a warm-up.

    Raises:
        UnsupportedEventError: The event holds no HTTP request. The invocation fails, so that a queue or a bus that was
            connected by mistake keeps its records instead of losing them.
    """
    try:
        if context is None:
            return _handle(event, context)
        return _handle_logged(event, context)
    finally:
        if _embedded is not None:
            _embedded.flush()


def _handle(event: Any, context: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
    if is_http(event):
        response: dict[str, Any] = _http(normalized(event), context)
        return response
    if is_warm_up(event):
        logger.info("warm-up")
        return {"status": "warm"}
    message = f"This function serves HTTP events; it got {kind(event)}."
    raise UnsupportedEventError(message)


_handle_logged = logger.inject_lambda_context(clear_state=True)(_handle)
