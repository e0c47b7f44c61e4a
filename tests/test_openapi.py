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
