"""The OpenAPI document says what the server really takes and answers."""

import json
import re
from typing import Any

import pytest

from handler.app import create_app
from handler.catalog import build_catalog
from handler.models import ModelManager
from handler.schemas import ChatCompletionRequest
from handler.settings import Settings


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document of an app whose models are not loaded."""
    settings = Settings()
    return create_app(ModelManager(build_catalog(settings)), settings).openapi()


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    """A viewer can show each schema."""
    references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)))

    assert references
    assert {reference.rpartition("/")[2] for reference in references} <= document["components"]["schemas"].keys()
    assert all(reference.startswith("#/components/schemas/") for reference in references)


def test_the_request_body_is_documented_field_by_field(document: dict[str, Any]) -> None:
    """The schema is the one that requests are checked against."""
    schema = document["components"]["schemas"]["ChatCompletionRequest"]

    assert schema["properties"].keys() == ChatCompletionRequest.model_fields.keys()
    assert schema["required"] == ["messages"]


def test_no_422_is_promised(document: dict[str, Any]) -> None:
    """Whatever is invalid is a 400 here."""
    statuses = {
        status
        for path in document["paths"].values()
        for operation in path.values()
        for status in operation["responses"]
    }

    assert "422" not in statuses
    assert {"200", "400", "401", "404", "413", "415", "429", "500", "503"} <= statuses


def test_what_the_code_checks_beside_types_is_in_the_schema(document: dict[str, Any]) -> None:
    """Numbers of keys, and members that a type asks for."""
    schemas = document["components"]["schemas"]
    properties = schemas["ChatCompletionRequest"]["properties"]

    assert [properties[name]["anyOf"][0]["maxProperties"] for name in ("metadata", "logit_bias")] == [16, 1024]
    assert [form["required"] for form in schemas["ContentPart"]["anyOf"]] == [["text"], ["refusal"]]
    assert [form["required"] for form in schemas["Tool"]["anyOf"]] == [["function"], ["custom"]]


def test_the_events_of_a_stream_are_documented(document: dict[str, Any]) -> None:
    """Their data is a chunk or an error in JSON, and at the end a word that is none."""
    content = document["paths"]["/v1/chat/completions"]["post"]["responses"]["200"]["content"]
    data, end = content["text/event-stream"]["itemSchema"]["properties"]["data"]["anyOf"]

    models = [reference["$ref"].rpartition("/")[2] for reference in data["contentSchema"]["anyOf"]]
    assert models == ["ChatCompletionChunk", "ErrorResponse"]
    assert end == {"const": "[DONE]"}
