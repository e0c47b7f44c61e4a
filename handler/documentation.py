"""What routes tell the OpenAPI document about themselves: references, whose schemas are made when it is asked for.

FastAPI would build a serializer for each model a route names, at every start, for a document that is seldom read.
"""

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

from handler.schemas import ErrorResponse

SCHEMA = "#/components/schemas/{model}"


def operation(
    answer: type[BaseModel],
    *errors: int,
    body: type[BaseModel] | None = None,
    other: type[BaseModel] | None = None,
    events: type[BaseModel] | None = None,
) -> dict[str, Any]:
    """Return the ``openapi_extra`` of a route.

    Args:
        answer: Body of a 200.
        errors: Statuses of the other answers.
        body: Of the request.
        other: Body of the other answers, unless that is the error object.
        events: Data of the events of a streamed 200, all but the last.
    """
    statuses = {200: answer} | dict.fromkeys(errors, other or ErrorResponse)
    extra: dict[str, Any] = {
        "responses": {
            str(status): {"description": HTTPStatus(status).phrase, **_content(model)}
            for status, model in statuses.items()
        }
    }
    if events is not None:
        extra["responses"]["200"]["content"]["text/event-stream"] = {"schema": _event(events, ErrorResponse)}
    if body is not None:
        extra["requestBody"] = {"required": True, **_content(body)}
    return extra


def _content(model: type[BaseModel]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": _reference(model)}}}


def _event(*models: type[BaseModel]) -> dict[str, Any]:
    """Describe one event; OpenAPI 3.2 calls that ``itemSchema``, and 3.1 has no other word than ``schema``."""
    data = {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": {"anyOf": [_reference(model) for model in models]},
    }
    return {"type": "object", "properties": {"data": {"anyOf": [data, {"const": "[DONE]"}]}}, "required": ["data"]}


def _reference(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": SCHEMA.format(model=model.__name__)}
