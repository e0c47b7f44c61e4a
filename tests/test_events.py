"""Lambda events, from any JSON value to an answer or one named error; the builders are test_aws_lambda.py's, too."""

import asyncio
import base64
import importlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from conftest import Answer, clean_environment
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from handler.errors import UnsupportedEventError
from handler.events import Event, is_http, is_warm_up, kind, normalized

EVENTS_DIR = Path(__file__).parent / "events"
STAGE = "staging"
HTTP_WAYS = (
    "http_api_v2",
    "http_api_v2_stage",
    "function_url",
    "http_api_v1",
    "http_api_v1_stage",
    "rest_v1",
    "alb",
    "alb_multi_value",
)
"""Every way in that carries HTTP: an event in ``events/``, or that one behind a stage with a name."""

SENTENCE = "Where is the hotel?"
TRANSLATION = "Où est l'hôtel ?"

CONTEXT = SimpleNamespace(
    function_name="translate",
    memory_limit_in_mb=1769,
    invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:translate",
    aws_request_id="0b7d6b1e-6a8f-4f0e-9a64-3d3c5a1f6f6e",
)
"""What Powertools reads of a Lambda context."""


def load_event(name: str) -> Event:
    """Return an event as AWS documents it."""
    event: Event = json.loads((EVENTS_DIR / f"{name}.json").read_text(encoding="utf-8"))
    return event


def http_event(
    way: str,
    method: str = "GET",
    path: str = "/v1/models",
    body: str | bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Event:
    """Return the event that ``way`` sends for a request; a body of bytes comes as base64."""
    event = load_event(way.removesuffix("_stage"))
    context = event["requestContext"]
    if way.endswith("_stage"):
        context["stage"] = STAGE
        path = f"/{STAGE}{path}"
    if event.get("version") == "2.0":
        event["rawPath"] = path
        context["http"] |= {"method": method, "path": path}
    else:
        event |= {"httpMethod": method, "path": path}
    if isinstance(body, bytes):
        event |= {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
    elif body is not None:
        event["body"] = body
    for name, value in (headers or {}).items():
        if "headers" in event:
            event["headers"][name] = value
        if "multiValueHeaders" in event:
            event["multiValueHeaders"][name] = [value]
    return event


def chat_event(way: str, text: str = SENTENCE, *, binary: bool = False, **fields: Any) -> Event:
    """Return the event that ``way`` sends for a chat completion into French."""
    request = {"target_lang": "fra_Latn", "messages": [{"role": "user", "content": text}], **fields}
    body = json.dumps(request, ensure_ascii=False)
    return http_event(
        way,
        "POST",
        "/v1/chat/completions",
        body.encode() if binary else body,
        {"content-type": "application/json"},
    )


def answer_of(response: dict[str, Any]) -> Answer:
    """Return the HTTP answer that API Gateway or an ALB makes of a function's response."""
    single = {name.lower(): value for name, value in (response.get("headers") or {}).items()}
    several = {name.lower(): ", ".join(values) for name, values in (response.get("multiValueHeaders") or {}).items()}
    body = response["body"]
    return Answer(
        response["statusCode"],
        single | several,
        base64.b64decode(body) if response["isBase64Encoded"] else body.encode(),
    )


# --- which events are what --------------------------------------------------------------------------------------------

WARM_UPS = {
    "rule": load_event("scheduled"),
    "scheduler": load_event("scheduled") | {"source": "aws.scheduler"},
    "warmup": {"warmup": True},
    "warmer": {"warmer": True, "concurrency": 3},
    "plugin": {"source": "serverless-plugin-warmup"},
}
OTHERS: dict[str, Any] = {
    "SQS": load_event("sqs"),
    "S3": load_event("s3"),
    "SNS": load_event("sns"),
    "EventBridge": load_event("eventbridge"),
    "WebSocket API": {"requestContext": {"eventType": "CONNECT", "connectionId": "a"}, "headers": {}},
    "Lambda@Edge": {"Records": [{"cf": {"request": {"method": "GET", "uri": "/"}}}]},
    "null": None,
    "true": True,
    "number": 1.5,
    "string": "text",
    "empty list": [],
    "list": [{"Records": []}],
    "empty": {},
    "null context": {"requestContext": None, "httpMethod": "GET"},
    "no context": {"httpMethod": "GET", "path": "/"},
    "warm-up that is none": {"warmup": False},
}
warm_ups = pytest.mark.parametrize("event", WARM_UPS.values(), ids=WARM_UPS)
others = pytest.mark.parametrize("event", OTHERS.values(), ids=OTHERS)


@pytest.mark.parametrize("way", HTTP_WAYS)
def test_every_documented_http_event_is_known_as_http(way: str) -> None:
    """And as nothing else."""
    event = http_event(way)

    assert is_http(event)
    assert not is_warm_up(event)


@warm_ups
def test_schedules_and_warm_up_plugins_are_warm_ups(event: Event) -> None:
    """The spellings that EventBridge and the common plugins use."""
    assert is_warm_up(event)
    assert not is_http(event)


@others
def test_what_holds_no_request_and_no_warm_up_is_neither(event: object) -> None:
    """So that it ends in the named error."""
    assert not is_http(event)
    assert not is_warm_up(event)


def test_a_request_with_warm_up_in_it_is_still_a_request() -> None:
    """A client writes the body, API Gateway the keys that decide."""
    event = chat_event("http_api_v2", warmup=True, source="aws.events")

    assert is_http(event)
    assert not is_warm_up(event)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (None, "NoneType"),
        (3, "int"),
        ([], "list"),
        ("text", "str"),
        ({}, "keys"),
        (load_event("sqs"), "aws:sqs"),
        (load_event("sns"), "aws:sns"),
        (load_event("s3"), "aws:s3"),
        (load_event("eventbridge"), "aws.ec2"),
        ({"Records": [{}]}, "unknown"),
        ({"Records": [None], "a": 1}, "Records, a"),
        ({"detail-type": "order placed"}, "an event of"),
    ],
    ids=["null", "number", "list", "string", "empty", "SQS", "SNS", "S3", "EC2", "record", "null record", "no source"],
)
def test_the_kind_of_an_event_is_named(event: object, words: str) -> None:
    """The message tells an operator what was connected by mistake."""
    assert words in kind(event)


def test_the_name_of_a_kind_is_short_whatever_the_event_holds() -> None:
    """It goes into a log line and an error."""
    assert len(kind({"k" * 10_000: 1})) < 200
    assert len(kind({"Records": [{"eventSource": "s" * 10_000}]})) < 200
    assert len(kind({"source": ["s" * 10_000]})) < 200


# --- into a form that Mangum reads ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "path", "expected"),
    [
        ("$default", "/v1/models", "/v1/models"),
        ("prod", "/prod/v1/models", "/v1/models"),
        ("prod", "/prod/prod/v1", "/prod/v1"),
        ("prod", "/production/v1/models", "/production/v1/models"),
        ("prod", "/v1/models", "/v1/models"),
        ("prod", "/prod/", "/"),
        ("v1", "/v1/v1/models", "/v1/models"),
        (None, "/v1/models", "/v1/models"),
    ],
    ids=["default", "named", "once", "same start", "custom domain", "root", "stage v1", "null"],
)
def test_a_stage_name_is_taken_off_the_path_once(stage: str | None, path: str, expected: str) -> None:
    """HTTP APIs repeat the name of a stage in the path, other than ``$default``."""
    event = http_event("http_api_v2", path=path)
    event["requestContext"]["stage"] = stage

    assert normalized(event)["requestContext"]["http"]["path"] == expected


def test_normalizing_leaves_the_event_itself_alone() -> None:
    """Powertools and the runtime may read it again."""
    for way in HTTP_WAYS:
        event = chat_event(way, binary=True)
        before = json.dumps(event)
        normalized(event)
        assert json.dumps(event) == before


def test_what_is_no_base64_reaches_the_app_as_it_came() -> None:
    """The app then refuses it as the malformed JSON it is."""
    event = chat_event("rest_v1") | {"body": "%%%", "isBase64Encoded": True}

    result = normalized(event)

    assert result["body"] == b"%%%"
    assert result["isBase64Encoded"] is False


@pytest.mark.parametrize(
    "event",
    [
        {"version": "2.0", "requestContext": {"http": None}},
        {"version": "2.0", "requestContext": {"http": {"method": None}}},
        {"requestContext": {"elb": {}}},
        {"requestContext": {}, "httpMethod": 7},
    ],
    ids=["v2 null", "v2 null method", "ALB without", "REST number"],
)
def test_a_request_without_a_method_is_the_named_error(event: Event) -> None:
    """There is no request to answer."""
    assert is_http(event)
    with pytest.raises(UnsupportedEventError):
        normalized(event)


# --- through the entry point, in this process -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def aws_lambda() -> Iterator[ModuleType]:
    """The entry point, imported with no setting from outside, and the event loop that Mangum finds in a runtime."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    with pytest.MonkeyPatch.context() as patch:
        for name in set(os.environ) - set(clean_environment()):
            patch.delenv(name)
        yield importlib.import_module("handler.lambda_app")
    asyncio.set_event_loop(None)
    loop.close()


@pytest.mark.parametrize("binary", [False, True], ids=["text", "base64"])
@pytest.mark.parametrize("way", HTTP_WAYS)
def test_every_way_in_translates(aws_lambda: ModuleType, way: str, *, binary: bool) -> None:
    """Plain bodies and base64 alike."""
    answer = answer_of(aws_lambda.lambda_handler(chat_event(way, binary=binary), CONTEXT))

    assert answer.status == 200
    assert answer.json()["choices"][0]["message"]["content"] == TRANSLATION


def test_a_request_ends_before_the_invocation(aws_lambda: ModuleType) -> None:
    """Lambda would end the environment without an answer."""
    context = SimpleNamespace(**vars(CONTEXT), get_remaining_time_in_millis=lambda: 1_000)
    text = "Where is the hotel?\n" * 1500

    answer = answer_of(aws_lambda.lambda_handler(chat_event("http_api_v2", text, beam_size=16), context))

    assert (answer.status, answer.json()["error"]["code"]) == (504, "time_limit_exceeded")


def test_a_stream_in_one_piece_has_few_chunks(aws_lambda: ModuleType) -> None:
    """An ALB takes 1 MB; a chunk for each token would be more than the text of a document allows."""
    text = "Where is the hotel?\n" * 300

    answer = answer_of(aws_lambda.lambda_handler(chat_event("alb", text, stream=True), CONTEXT))

    assert answer.body.count(b"data: ") == len(["role", "text", "finish", "done"])
    assert answer.body.decode().count(TRANSLATION) == 300


def test_a_missing_context_is_no_obstacle(aws_lambda: ModuleType) -> None:
    """Test events of other tools come without one."""
    assert aws_lambda.lambda_handler(http_event("alb", path="/health"), None)["statusCode"] == 200


def test_a_body_over_the_limit_is_413_whatever_its_content_length_says(aws_lambda: ModuleType) -> None:
    """Lambda takes 6 MB, the server one."""
    event = chat_event("function_url", "a" * (1 << 20), binary=True)

    answer = answer_of(aws_lambda.lambda_handler(event, CONTEXT))

    assert answer.status == 413
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@warm_ups
def test_a_warm_up_translates_nothing(aws_lambda: ModuleType, event: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the HTTP side is even called."""
    monkeypatch.setattr(aws_lambda, "_http", None)

    assert aws_lambda.lambda_handler(event, CONTEXT) == {"status": "warm"}


@others
def test_other_events_fail_with_the_named_error(aws_lambda: ModuleType, event: object) -> None:
    """So that a queue keeps its records and the caller learns why."""
    with pytest.raises(UnsupportedEventError, match="This function serves HTTP events; it got "):
        aws_lambda.lambda_handler(event, CONTEXT)


TEXT = st.one_of(
    st.text(max_size=8),
    st.text(st.characters(categories=["Cs", "Cc"]), max_size=3),
    st.sampled_from(
        ["/v1/models", "/v1/chat/completions", "%", "%2F", "host", "content-length", "x-request-id", "a:b:c"]
    ),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
KEYS = (
    "version", "resource", "path", "rawPath", "rawQueryString", "cookies", "httpMethod", "headers", "multiValueHeaders",
    "queryStringParameters", "multiValueQueryStringParameters", "body", "isBase64Encoded", "source", "warmup",
)  # fmt: skip


@st.composite
def broken_http_events(draw: st.DrawFn) -> Event:
    """Take a documented event and replace or remove keys of it, on each level."""
    event = http_event(draw(st.sampled_from(HTTP_WAYS)))
    context = event["requestContext"]
    inner_keys = st.sampled_from(["stage", "requestId", "identity", "http", "elb"])
    http_keys = st.sampled_from(["method", "path", "sourceIp"])
    for part, keys in ((event, st.sampled_from(KEYS)), (context, inner_keys), (context.get("http"), http_keys)):
        if not isinstance(part, dict):
            continue
        part.update(draw(st.dictionaries(keys, JSON, max_size=3)))
        for key in draw(st.lists(keys, max_size=2)):
            part.pop(key, None)
    for key in ("headers", "multiValueHeaders"):
        if isinstance(event.get(key), dict):
            event[key] |= draw(st.dictionaries(TEXT, JSON, max_size=2))
    return event


def _check_outcome(aws_lambda: ModuleType, event: object) -> None:
    try:
        response = aws_lambda.lambda_handler(event, CONTEXT)
    except UnsupportedEventError as error:
        assert len(str(error)) < 300  # noqa: PT017 - either outcome is right, and this is what must hold of the one
        return
    json.dumps(response).encode()
    if "status" not in response:
        assert 200 <= answer_of(response).status < 500


@given(event=JSON)
@settings(max_examples=100, deadline=None)
def test_any_json_value_is_served_or_the_named_error(aws_lambda: ModuleType, event: object) -> None:
    """Junk never raises anything that Lambda would report as a crash of the function."""
    _check_outcome(aws_lambda, event)


@given(event=broken_http_events())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(event=http_event("http_api_v2") | {"headers": None})
@example(event=http_event("rest_v1") | {"headers": None, "multiValueHeaders": None})
@example(event=http_event("alb_multi_value") | {"multiValueHeaders": None})
@example(event=http_event("alb") | {"queryStringParameters": {"a": "\ud800%zz"}})
@example(event=http_event("alb", headers={"content-length": "9" * 5000}))
@example(event=http_event("rest_v1") | {"httpMethod": "\ud800"})
@example(event=http_event("rest_v1", headers={"x-request-id": "é\r\nx: y", "x-forwarded-proto": ""}))
def test_a_broken_http_event_is_answered_or_the_named_error(aws_lambda: ModuleType, event: Event) -> None:
    """No null, missing key, wrong type, lone surrogate or control character becomes a 500 or a crash."""
    _check_outcome(aws_lambda, event)
