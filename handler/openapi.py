"""The OpenAPI document: FastAPI's, with what it cannot know. Made when it is first asked for."""

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


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """Return the document of ``app``, with the body that ``handler.request_parsing`` reads and the API keys."""
    complete_openapi()
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for model in (*_REQUESTS, *_ANSWERS):
        schema = model.model_json_schema(
            ref_template=SCHEMA, mode="serialization" if model in _ANSWERS else "validation"
        )
        schemas |= schema.pop("$defs", {}) | {model.__name__: schema}
    components["securitySchemes"] = {_SCHEME: {"type": "http", "scheme": "bearer"}}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            # No request is ever answered 422 here, whatever FastAPI expects of its own validation.
            operation["responses"].pop("422", None)
            if path.startswith("/v1/"):
                # Either a key or none: which one it is depends on the configuration.
                operation["security"] = [{_SCHEME: []}, {}]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return document
