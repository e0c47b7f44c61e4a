"""The OpenAPI document: FastAPI's, with what it cannot know. Made when it is first asked for."""

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from handler.documentation import SCHEMA
from handler.lean_imports import complete_openapi
from handler.schemas import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionRequest,
    ErrorResponse,
    Health,
    Model,
    ModelList,
)

_SCHEME = "bearer"
_REQUESTS, _ANSWERS = (
    (ChatCompletionRequest,),
    (ChatCompletion, ChatCompletionChunk, ErrorResponse, Health, Model, ModelList),
)
_ERROR = {"$ref": SCHEMA.format(model=ErrorResponse.__name__)}
_JSON, _EVENTS = "application/json", "text/event-stream"

_EVERY_ANSWER = ("X-Request-ID", "X-Correlation-ID", "Server-Timing")
_HEADERS_OF = {"401": "WWW-Authenticate", "429": "Retry-After"}
_HEADERS = {
    "X-Request-ID": "The id of this request in the server's log: the client's own, from `x-request-id` or "
    "`x-correlation-id`, if it is 1 to 128 visible ASCII characters; else API Gateway's; else a new one.",
    "X-Correlation-ID": "The same id.",
    "Server-Timing": "Milliseconds of each phase: `queue`, `tokenize`, `translate`, `total`; on a cold start `init` "
    "and `load`, too.",
    "WWW-Authenticate": "`Bearer`.",
    "Retry-After": "Seconds to wait before the next attempt.",
}
_OTHER_FAILURES = (
    "Every other failure, in the same shape: 405 for a method that the path does not have, 413 for a body over the "
    "limit, 500 for a mistake of the server."
)


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """Return the document of ``app``, with the body that ``handler.request_parsing`` reads and the API keys."""
    complete_openapi()
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        # Relative to where the document is: behind the stage of an API, or whatever else stands before this server.
        servers=[{"url": "./"}],
        license_info={"name": "Apache License 2.0", "identifier": "Apache-2.0"},
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for model in (*_REQUESTS, *_ANSWERS):
        schema = model.model_json_schema(
            ref_template=SCHEMA, mode="serialization" if model in _ANSWERS else "validation"
        )
        schemas |= schema.pop("$defs", {}) | {model.__name__: schema}
    components["securitySchemes"] = {_SCHEME: {"type": "http", "scheme": "bearer"}}
    components["headers"] = {
        name: {"description": text, "schema": {"type": "string"}} for name, text in _HEADERS.items()
    }
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _complete(operation, guarded=path.startswith("/v1/"))
    _add_examples(document["paths"], app)
    return document


def _complete(operation: dict[str, Any], *, guarded: bool) -> None:
    """Add what holds of every operation."""
    if guarded:
        # Either a key or none: which one it is depends on the configuration.
        operation["security"] = [{_SCHEME: []}, {}]
    responses = operation["responses"]
    # No request is ever answered 422 here, whatever FastAPI expects of its own validation.
    responses.pop("422", None)
    responses["default"] = {"description": _OTHER_FAILURES, "content": {_JSON: {"schema": _ERROR}}}
    for status, response in responses.items():
        names = (*_EVERY_ANSWER, *filter(None, [_HEADERS_OF.get(status)]))
        response["headers"] = {name: _header(name) for name in names}


def _header(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/headers/{name}"}


def _add_examples(paths: dict[str, Any], app: FastAPI) -> None:
    """Put examples of this configuration's own models and limits into the document, and what one route adds alone."""
    from handler import examples  # noqa: PLC0415 - for the document alone

    models, settings = app.state.models, app.state.settings
    errors = examples.errors(models, settings)
    for operations in paths.values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                content = response["content"][_JSON]
                if content["schema"] == _ERROR and status.isdecimal():
                    content["examples"] = errors[int(status)]
    chat = paths["/v1/chat/completions"]["post"]
    chat["requestBody"]["content"][_JSON]["examples"] = examples.requests(models)
    answers = chat["responses"]["200"]["content"]
    answers[_JSON]["example"] = examples.completion(models.default)
    answers[_EVENTS]["example"] = {"data": json.dumps(examples.chunk(models.default), ensure_ascii=False)}
    [model] = paths["/v1/models/{model}"]["get"]["parameters"]
    model["description"] = "Id or alias; it may hold slashes."
    model["example"] = models.default.id
    paths["/health/ready"]["get"]["responses"]["503"]["headers"]["Retry-After"] = _header("Retry-After")
    for path in ("/health", "/health/ready"):
        for status, response in paths[path]["get"]["responses"].items():
            if status.isdecimal():
                response["content"][_JSON]["example"] = examples.health(models, ready=status == "200")
