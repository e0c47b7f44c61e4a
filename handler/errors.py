"""Every error the service raises on purpose.

.. code-block:: text

    HandlerError                         500 server_error
    ├── SettingsError                    stops the start
    ├── ManifestError                    stops the start
    ├── DownloadError                    stops the start, or fails the load
    ├── UnsupportedEventError            fails the Lambda invocation
    ├── EngineError                      500
    ├── AbandonedError                   499, seen by the log alone
    ├── UnavailableError                 503
    │   ├── ModelLoadError               503 model_load_failed
    │   └── DrainingError                503 draining
    ├── TimeLimitError                   504 time_limit_exceeded
    ├── OverloadedError                  429 rate_limit_exceeded
    └── InvalidRequestError              400 invalid_request_error
        ├── ContextLengthExceededError   400 context_length_exceeded
        ├── MissingTargetLanguageError   400 missing_target_language
        ├── UnsupportedLanguageError     400 unsupported_language
        ├── UnsupportedValueError        400 unsupported_value
        ├── CrossOriginError             400 cross_origin_refused
        ├── AuthenticationError          401 invalid_api_key
        ├── ModelNotFoundError           404 model_not_found
        ├── RouteNotFoundError           404 unknown_url
        ├── MethodNotAllowedError        405 method_not_allowed
        ├── RequestTooLargeError         413 request_too_large
        └── UnsupportedMediaTypeError    415 unsupported_media_type

Messages live here, so that one failure reads the same on every way in. Each is one line that names the thing, the
value and what is allowed; values that came from a client are shortened with :func:`shorten`.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar

_SHOWN_CHARS = 80
"""How much of a client's value a message repeats: enough to recognise it, too little to bloat an answer."""


def shorten(value: str) -> str:
    """Quote ``value`` on one line, cut to a length that fits an error message."""
    shown = value if len(value) <= _SHOWN_CHARS else value[: _SHOWN_CHARS - 1] + "…"
    return repr(shown)


class HandlerError(Exception):
    """Base of every error the service answers with a status of its own."""

    status_code: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str | None] = None

    def __init__(self, message: str, *, param: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.headers = dict(headers or {})


class SettingsError(HandlerError):
    """A setting is unknown, malformed or points at something that is not there."""

    def __init__(self, reason: str, *, key: tuple[str, ...] = ()) -> None:
        """Blame the setting at ``key``, where the values alone do not tell who set it."""
        super().__init__(f"{'.'.join(key)}: {reason}" if key else reason)
        self.key = key
        self.reason = reason


class ManifestError(HandlerError):
    """A model folder is incomplete or does not match its manifest."""


class DownloadError(HandlerError):
    """A file in object storage cannot be had, is not what was published, or cannot be kept on this machine."""


class UnsupportedEventError(HandlerError):
    """The Lambda event is of a kind that holds no HTTP request."""


class EngineError(HandlerError):
    """CTranslate2 failed while decoding."""

    def __init__(self) -> None:
        super().__init__("The translation failed.")


class AbandonedError(HandlerError):
    """The client went away; nobody reads the answer."""

    status_code = 499  # nginx's; the log alone sees it

    def __init__(self) -> None:
        super().__init__("The client closed the connection.")


class TimeLimitError(HandlerError):
    """The request takes longer than the service lets one take."""

    status_code = 504
    code = "time_limit_exceeded"

    def __init__(self) -> None:
        super().__init__(
            "The request took longer than it may and was stopped.",
            # OpenAI's clients would send it twice more.
            headers={"x-should-retry": "false"},
        )


class UnavailableError(HandlerError):
    """The service cannot answer now and may be able to later."""

    status_code = 503


class ModelLoadError(UnavailableError):
    """A configured model could not be loaded."""

    code = "model_load_failed"

    def __init__(self, model: str) -> None:
        super().__init__(f"The model {shorten(model)} could not be loaded; try again later.", param="model")


class DrainingError(UnavailableError):
    """The process is about to end."""

    code = "draining"

    def __init__(self) -> None:
        super().__init__("The server is shutting down; try again.", headers={"Retry-After": "1"})


class OverloadedError(HandlerError):
    """More requests wait than the service lets queue."""

    status_code = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"

    def __init__(self, *, limit: int, retry_after_s: int = 1) -> None:
        super().__init__(
            f"{limit} requests are waiting already; try again later.", headers={"Retry-After": str(retry_after_s)}
        )


class InvalidRequestError(HandlerError):
    """The client sent something the service cannot serve."""

    status_code = 400
    type = "invalid_request_error"


class ContextLengthExceededError(InvalidRequestError):
    """The source text has more tokens than may be translated at once."""

    code = "context_length_exceeded"

    def __init__(self, tokens: int, *, limit: int) -> None:
        super().__init__(f"The prompt has at least {tokens} tokens; the limit is {limit}.", param="messages")


class MissingTargetLanguageError(InvalidRequestError):
    """Neither the request nor the configuration names a target language."""

    code = "missing_target_language"

    def __init__(self) -> None:
        super().__init__(
            "No target language: set 'target_lang' (for example 'fra_Latn'), add ':fra_Latn' to the model's name, or "
            "start the message with 'Translate to French:'.",
            param="target_lang",
        )


class UnsupportedLanguageError(InvalidRequestError):
    """A language is unknown, or known and not served by the model."""

    code = "unsupported_language"

    def __init__(self, language: str, *, nearest: Iterable[str], param: str | None = None) -> None:
        """Name ``language`` as the client wrote it and the ``nearest`` codes that would have worked, best first."""
        self.language = language
        self.nearest = tuple(nearest)
        super().__init__(
            f"The language {shorten(language)} is not supported; the nearest are {', '.join(self.nearest)}.",
            param=param,
        )


class UnsupportedValueError(InvalidRequestError):
    """A parameter is well formed and asks for something the service does not do."""

    code = "unsupported_value"


class CrossOriginError(InvalidRequestError):
    """A browser asks on behalf of a page that may not call this server, or not so."""

    code = "cross_origin_refused"

    def __init__(self, what: str) -> None:
        super().__init__(f"The {what} of this cross-origin request is not allowed; see the setting 'cors_origins'.")


class AuthenticationError(InvalidRequestError):
    """The API key is missing or wrong."""

    status_code = 401
    code = "invalid_api_key"

    def __init__(self) -> None:
        super().__init__(
            "Missing or incorrect API key: send 'Authorization: Bearer <key>' with a key of this server.",
            headers={"WWW-Authenticate": "Bearer"},
        )


class ModelNotFoundError(InvalidRequestError):
    """No configured model or alias has this name."""

    status_code = 404
    code = "model_not_found"

    def __init__(self, model: str) -> None:
        super().__init__(f"The model {shorten(model)} does not exist; GET /v1/models lists them.", param="model")


class RouteNotFoundError(InvalidRequestError):
    """No route has this path."""

    status_code = 404
    code = "unknown_url"

    def __init__(self, method: str, path: str) -> None:
        super().__init__(f"Unknown request URL: {shorten(f'{method} {path}')}.")


class MethodNotAllowedError(InvalidRequestError):
    """The path exists, the method is not one of its own."""

    status_code = 405
    code = "method_not_allowed"

    def __init__(self, method: str, *, allow: str) -> None:
        super().__init__(
            f"The method {shorten(method)} is not allowed here; use {allow}.",
            headers={"Allow": allow} if allow else None,
        )


class RequestTimeoutError(InvalidRequestError):
    """The body has not come in the time that a request may take."""

    status_code = 408
    code = "request_timeout"

    def __init__(self) -> None:
        super().__init__("The body of the request did not come in the time that a request may take.")


class RequestTooLargeError(InvalidRequestError):
    """The body is longer than the service reads."""

    status_code = 413
    code = "request_too_large"

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"The body is larger than {limit} bytes.")


class UnsupportedMediaTypeError(InvalidRequestError):
    """The body is not JSON by its content type."""

    status_code = 415
    code = "unsupported_media_type"

    def __init__(self, given: str, *, what: str = "content type", use: str = "'application/json'") -> None:
        super().__init__(f"The {what} {shorten(given)} is not supported; use {use}.")
