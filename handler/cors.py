"""Cross-origin requests: what browsers ask before they let a page of another origin call the API.

Imported only where origins are configured.
"""

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from handler.errors import CrossOriginError
from handler.exception_handlers import error_response

_OK = 200
_METHODS = ("GET", "POST")
_EXPOSED = ("x-request-id", "x-correlation-id", "server-timing", "retry-after")
"""Headers that a page may read beside the few that every page may (Fetch standard, "CORS-safelisted response-header
name")."""
_MAX_AGE_S = 7200
"""How long a browser need not ask again: the most that Chromium honours. On Lambda every question is an invocation."""


class CrossOrigin(CORSMiddleware):
    """Answers preflights, which carry no key, and lets the pages of some origins read every other answer."""

    def __init__(self, app: ASGIApp, *, origins: Sequence[str]) -> None:
        """Wrap ``app``; ``*`` among ``origins`` is every origin."""
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=_METHODS,
            # Whatever is asked for: OpenAI's clients send a dozen headers of their own. Nothing here is authorised by
            # what a browser sends by itself, which is why credentials are not allowed.
            allow_headers=("*",),
            expose_headers=_EXPOSED,
            max_age=_MAX_AGE_S,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Return the answer to a preflight; a refusal is an error like every other."""
        response = super().preflight_response(request_headers)
        if response.status_code == _OK:
            return response
        refused = bytes(response.body).decode().removeprefix("Disallowed CORS ")
        refusal = error_response(CrossOriginError(refused), request_id="")
        refusal.headers["vary"] = response.headers["vary"]
        return refusal
