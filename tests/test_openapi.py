"""The OpenAPI document says what the server really takes and answers; its examples run."""

import http.client
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest
from conftest import Answer, Server, running_server
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from test_health import damage, folder_of, wait_until

from handler.app import create_app
from handler.catalog import build_catalog
from handler.examples import requests
from handler.models import ModelManager
from handler.schemas import ChatCompletionRequest
from handler.settings import DEMO_MODELS, Settings

CHAT = "/v1/chat/completions"
POST_CHAT = f"post {CHAT}"
JSON, EVENTS = "application/json", "text/event-stream"
KEY = "sk-of-the-document"
HOTEL: dict[str, Any] = {"messages": [{"role": "user", "content": "Where is the hotel?"}], "target_lang": "fra_Latn"}
LONG = {"messages": [{"role": "user", "content": "Where is the hotel? " * 400}], "target_lang": "fra_Latn"}


def document_of(**configured: Any) -> Any:
    """Return the document of an app whose models are not loaded."""
    settings = Settings(**configured)
    return create_app(ModelManager(build_catalog(settings)), settings).openapi()


@pytest.fixture(scope="module")
def document() -> Any:
    """The document of the embedded models."""
    return document_of()


def operations(document: Any) -> dict[str, Any]:
    """Return the operations by method and path."""
    return {
        f"{method} {path}": operation for path, item in document["paths"].items() for method, operation in item.items()
    }


def assert_valid(document: Any, schema: Any, value: Any) -> None:
    """Check a value against a schema of the document."""
    OAS31Validator({**schema, "components": document["components"]}).validate(value)


def test_the_document_is_one_by_the_standard(document: Any) -> None:
    """OpenAPI 3.1's own schema, references, names of operations and parameters."""
    assert document["openapi"].startswith("3.1.")
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_the_validator_sees_what_is_wrong(document: Any) -> None:
    """A check that can never fail would prove nothing."""
    broken = json.loads(json.dumps(document))
    del broken["paths"][CHAT]["post"]["responses"]["200"]["description"]

    assert list(OpenAPIV31SpecValidator(broken).iter_errors())


def test_every_reference_leads_somewhere(document: Any) -> None:
    """A viewer can show each schema."""
    references = set(re.findall(r'"\$ref": "#/components/([^"]+)"', json.dumps(document)))
    components = {f"{kind}/{name}" for kind, named in document["components"].items() for name in named}

    assert references
    assert references <= components
    assert '"$ref": "#/components' in json.dumps(document)
    assert not re.findall(r'"\$ref": "(?!#/components/)', json.dumps(document))


def test_the_request_body_is_documented_field_by_field(document: Any) -> None:
    """The schema is the one that requests are checked against."""
    schema = document["components"]["schemas"]["ChatCompletionRequest"]

    assert schema["properties"].keys() == ChatCompletionRequest.model_fields.keys()
    assert schema["required"] == ["messages"]


def test_no_422_is_promised(document: Any) -> None:
    """Whatever is invalid is a 400 here."""
    statuses = {status for operation in operations(document).values() for status in operation["responses"]}

    assert "422" not in statuses
    assert {"200", "400", "401", "404", "413", "415", "429", "500", "503", "504", "default"} <= statuses


def test_operations_have_openais_names(document: Any) -> None:
    """Clients that are made from the document call them as those of OpenAI do."""
    names = {name: operation["operationId"] for name, operation in operations(document).items()}

    assert names[POST_CHAT] == "createChatCompletion"
    assert names["get /v1/models"] == "listModels"
    assert names["get /v1/models/{model}"] == "retrieveModel"


def test_every_answer_documents_its_ids(document: Any) -> None:
    """Whatever its status; and those that say when to come back."""
    again = set()
    for name, operation in operations(document).items():
        for status, response in operation["responses"].items():
            assert {"X-Request-ID", "X-Correlation-ID", "Server-Timing"} <= response["headers"].keys()
            again |= {(name, status)} if "Retry-After" in response["headers"] else set()
    assert again == {(POST_CHAT, "429"), ("get /health/ready", "503")}


def test_every_example_is_what_its_schema_says(document: Any) -> None:
    """Those of requests and those of answers."""
    checked = 0
    for operation in operations(document).values():
        for holder in (operation.get("requestBody", {}), *operation["responses"].values()):
            for content in holder.get("content", {}).values():
                examples = [example["value"] for example in content.get("examples", {}).values()]
                for example in [*examples, *([content["example"]] if "example" in content else [])]:
                    assert_valid(document, content["schema"], example)
                    checked += 1
    assert checked > 20


@pytest.mark.parametrize(
    ("configured", "names"),
    [
        ({"model_path": DEMO_MODELS / "t5-demo"}, ["task", "system_task", "stream"]),
        ({"model_path": DEMO_MODELS / "nllb-demo"}, ["translation", "instruction", "choices", "stream"]),
        (
            {"default_model": "t5-demo", "aliases": {"a": "t5-demo"}},
            ["translation", "instruction", "choices", "task", "system_task", "stream"],
        ),
    ],
    ids=["t5", "nllb", "both"],
)
def test_examples_are_about_the_models_that_are_served(configured: dict[str, Any], names: list[str]) -> None:
    """Nobody is shown a model that is not there."""
    document = document_of(**configured)
    examples = document["paths"][CHAT]["post"]["requestBody"]["content"][JSON]["examples"]

    assert list(examples) == names
    default = configured.get("default_model") or configured["model_path"].name
    assert examples["stream"]["value"]["model"] == default
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


# --- what is documented can be had ------------------------------------------------------------------------------------

EXAMPLES = requests(ModelManager(build_catalog(Settings())))


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_of_a_request_runs(server: Server, document: Any, name: str) -> None:
    """And its answer is of the documented form."""
    documented = document["paths"][CHAT]["post"]
    request = documented["requestBody"]["content"][JSON]["examples"][name]["value"]

    answer = server.request("POST", CHAT, request)

    assert answer.status == 200, answer.body
    content = documented["responses"]["200"]["content"]
    media_type = answer.headers["content-type"].partition(";")[0]
    if media_type == EVENTS:
        *events, done = answer.body.decode().removesuffix("\n\n").split("\n\n")
        assert done == "data: [DONE]"
        chunk = content[EVENTS]["schema"]["properties"]["data"]["anyOf"][0]["contentSchema"]
        for event in events:
            assert_valid(document, chunk, json.loads(event.removeprefix("data: ")))
    else:
        assert_valid(document, content[JSON]["schema"], answer.json())
        content = answer.json()["choices"][0]["message"]["content"]
        assert content in {"Où est la gare ?", "Wo ist der Bahnhof?"}


def test_the_documented_answer_is_the_real_one(server: Server, document: Any) -> None:
    """But for what is new each time."""
    documented = document["paths"][CHAT]["post"]
    request = documented["requestBody"]["content"][JSON]["examples"]["translation"]["value"]
    example = documented["responses"]["200"]["content"][JSON]["example"]

    answer = server.request("POST", CHAT, request).json()

    changing = {"id", "created", "system_fingerprint"}
    assert {**answer, **{name: example[name] for name in changing}} == example
    assert re.sub("[0-9a-f]", "", answer["id"].partition("-")[2]) == ""


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/{model}", "/health", "/health/live", "/health/ready"])
def test_other_answers_are_of_the_documented_form(server: Server, document: Any, path: str) -> None:
    """The path with its documented example in it."""
    operation = document["paths"][path]["get"]
    for parameter in operation.get("parameters", ()):
        path = path.replace(f"{{{parameter['name']}}}", parameter["example"])

    answer = server.request("GET", path)

    assert answer.status == 200
    content = operation["responses"]["200"]["content"][JSON]
    assert_valid(document, content["schema"], answer.json())
    assert content.get("example", answer.json()) == answer.json()


Failure = tuple[str, str, str]
"""Operation, status and the example's name."""


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    """Servers that fail in ways of their own: one has a key, one no time, one no room, one a damaged model."""
    models = tmp_path_factory.mktemp("damaged") / "models"
    folder = models / "nllb-demo"
    folder.mkdir(parents=True)
    for file in folder_of(DEMO_MODELS, "nllb-demo").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    damage(folder / "model.bin")
    configured = {
        "keys": {"API_KEYS": KEY},
        "hurried": {"MAX_REQUEST_S": "0.05"},
        "full": {"MAX_QUEUED_REQUESTS": "1"},
        "damaged": {"MODEL_PATH": str(models)},
    }
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                running_server(tmp_path_factory.mktemp(name), ready=name != "damaged", **variables)
            )
            for name, variables in configured.items()
        }


def ask(server: Server, body: Any, **headers: str) -> Answer:
    """Ask for a chat completion."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.request("POST", CHAT, body, {"content-type": JSON, **named})


def ask_in_part(server: Server) -> Answer:
    """Send less of a body than its head promises, and return what that is answered."""
    address = urlsplit(server.url)
    with closing(http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)) as connection:
        connection.putrequest("POST", CHAT)
        connection.putheader("content-type", JSON)
        connection.putheader("content-length", "1000")
        connection.endheaders(b'{"messages": ')
        response = connection.getresponse()
        answer = Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, response.read())
    # What might still come is not taken for the next request.
    assert answer.headers["connection"] == "close"
    return answer


def crowd(server: Server) -> Answer:
    """Ask for more at once than there is room for, and return what one is told who finds none."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(server, LONG), range(8)))
    return next(answer for answer in answers if answer.status != 200)


def wait_and_ask(server: Server, path: str) -> Answer:
    """Ask when it is decided that the models cannot be loaded."""
    wait_until(lambda: server.request("GET", "/health").json()["status"] == "failed")
    return server.request("GET", path)


REACHED: dict[Failure, tuple[str, Any]] = {
    (POST_CHAT, "400", "malformed_json"): ("", partial(ask, body=b'{"model": "nllb-demo"')),
    (POST_CHAT, "400", "invalid_value"): ("", partial(ask, body=HOTEL | {"temperature": 3})),
    (POST_CHAT, "400", "unsupported_value"): (
        "",
        partial(ask, body=HOTEL | {"response_format": {"type": "json_object"}}),
    ),
    (POST_CHAT, "400", "missing_target_language"): ("", partial(ask, body=HOTEL | {"target_lang": None})),
    (POST_CHAT, "400", "unsupported_language"): ("", partial(ask, body=HOTEL | {"target_lang": "Klingon"})),
    (POST_CHAT, "400", "context_length_exceeded"): (
        "",
        partial(
            ask, body={"model": "nllb-demo:fra_Latn", "messages": [{"role": "user", "content": "hotel " * 40_000}]}
        ),
    ),
    (POST_CHAT, "401", "invalid_api_key"): ("keys", partial(ask, body=HOTEL)),
    (POST_CHAT, "404", "model_not_found"): ("", partial(ask, body=HOTEL | {"model": "gpt-5"})),
    (POST_CHAT, "408", "request_timeout"): ("hurried", ask_in_part),
    (POST_CHAT, "413", "request_too_large"): ("", partial(ask, body=b" " * 1_048_577)),
    (POST_CHAT, "415", "unsupported_media_type"): ("", partial(ask, body=b"{}", content_type="text/plain")),
    (POST_CHAT, "429", "rate_limit_exceeded"): ("full", crowd),
    (POST_CHAT, "503", "model_load_failed"): ("damaged", partial(ask, body=HOTEL)),
    (POST_CHAT, "504", "time_limit_exceeded"): ("hurried", partial(ask, body=LONG)),
    ("get /v1/models", "401", "invalid_api_key"): ("keys", partial(Server.request, method="GET", path="/v1/models")),
    ("get /v1/models/{model}", "401", "invalid_api_key"): (
        "keys",
        partial(Server.request, method="GET", path="/v1/models/nllb-demo"),
    ),
    ("get /v1/models/{model}", "404", "model_not_found"): (
        "",
        partial(Server.request, method="GET", path="/v1/models/gpt-5"),
    ),
    ("get /health/ready", "503", ""): ("damaged", partial(wait_and_ask, path="/health/ready")),
}
UNREACHED: dict[str, str] = {
    "500": "only a bug leads there; test_app.py makes one, and its answer is the documented one",
    "get /health/live 503": "only a device that has lost its state leads there; test_batching.py has what decides it",
    "default": "the failures of every path, each of which is documented with the operation that it is usual for",
}


def test_every_documented_failure_is_reached_or_has_a_reason(document: Any) -> None:
    """Nothing is promised that never happens, and nothing is left out below."""
    documented = {
        (name, status, example)
        for name, operation in operations(document).items()
        for status, response in operation["responses"].items()
        for example in response["content"][JSON].get("examples", {"": None})
        if status != "200" and not {status, f"{name} {status}"} & UNREACHED.keys()
    }

    assert documented == REACHED.keys()


@pytest.mark.parametrize("failure", REACHED, ids=" ".join)
def test_documented_failures_happen_as_documented(
    server: Server, failing: dict[str, Server], document: Any, failure: Failure
) -> None:
    """With the very words of the example, but for numbers and where a configuration decides."""
    name, status, example = failure
    where, fail = REACHED[failure]

    answer = fail(failing[where] if where else server)

    assert answer.status == int(status), answer.body
    response = operations(document)[name]["responses"][status]
    assert_valid(document, response["content"][JSON]["schema"], answer.json())
    assert {header.lower() for header in response["headers"]} <= answer.headers.keys()
    if example:
        expected, got = response["content"][JSON]["examples"][example]["value"]["error"], answer.json()["error"]
        assert {**got, "message": None} == {**expected, "message": None}
        if example != "malformed_json":
            assert re.sub(r"\d+", "0", got["message"]) == re.sub(r"\d+", "0", expected["message"])


def test_what_the_code_checks_beside_types_is_in_the_schema(document: Any) -> None:
    """Numbers of keys, and members that a type asks for."""
    schemas = document["components"]["schemas"]
    properties = schemas["ChatCompletionRequest"]["properties"]

    assert [properties[name]["anyOf"][0]["maxProperties"] for name in ("metadata", "logit_bias")] == [16, 1024]
    assert [form["required"] for form in schemas["ContentPart"]["anyOf"]] == [["text"], ["refusal"]]
    assert [form["required"] for form in schemas["Tool"]["anyOf"]] == [["function"], ["custom"]]


def test_the_events_of_a_stream_are_documented(document: Any) -> None:
    """Their data is a chunk or an error in JSON, and at the end a word that is none."""
    content = document["paths"]["/v1/chat/completions"]["post"]["responses"]["200"]["content"]
    data, end = content[EVENTS]["schema"]["properties"]["data"]["anyOf"]

    models = [reference["$ref"].rpartition("/")[2] for reference in data["contentSchema"]["anyOf"]]
    assert models == ["ChatCompletionChunk", "ErrorResponse"]
    assert end == {"const": "[DONE]"}
