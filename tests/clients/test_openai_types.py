"""Every answer is of OpenAI's own types, strictly, with nothing beyond them."""

from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Server
from openai.types import Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.shared import ErrorObject
from phrases import FRENCH, HOTEL, UMBRELLA
from pydantic import BaseModel

TEXT = f"{HOTEL}\n{UMBRELLA}"
FORMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "choices": {"n": 2},
    "sampled": {"n": 2, "temperature": 0.5, "seed": 1},
    "length": {"max_tokens": 3},
    "stop": {"stop": ["hôtel"]},
    "beam": {"beam_size": 4},
    "t5": {"model": "t5-demo"},
    "empty": {"messages": [{"role": "user", "content": ""}]},
}


def _unknown(value: object, path: str = "") -> Iterator[str]:
    """Yield the fields that OpenAI's types do not have; they would take any."""
    if isinstance(value, BaseModel):
        yield from (f"{path}.{name}" for name in value.model_extra or ())
        for name in type(value).model_fields:
            yield from _unknown(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, list):
        for item in value:
            yield from _unknown(item, f"{path}[]")


@pytest.mark.parametrize(
    "fields",
    [*FORMS.values(), {"logprobs": True}, {"logprobs": True, "n": 2}, {"logprobs": True, "top_logprobs": 0}],
    ids=[*FORMS, "logprobs", "logprobs-choices", "top-logprobs"],
)
def test_an_answer_is_openais(server: Server, fields: dict[str, Any]) -> None:
    """Of the right types and no others; log probabilities where they were asked for alone."""
    answer = server.chat(TEXT, **{**FRENCH, **fields})

    assert answer.status == 200, answer.body
    completion = ChatCompletion.model_validate_json(answer.body, strict=True)
    assert list(_unknown(completion)) == []
    assert [choice.index for choice in completion.choices] == list(range(fields.get("n", 1)))
    assert all(bool(choice.logprobs) == bool(fields.get("logprobs")) for choice in completion.choices)


@pytest.mark.parametrize(
    "options",
    [{}, {"include_usage": True}, {"include_obfuscation": True}],
    ids=["bare", "usage", "obfuscation"],
)
@pytest.mark.parametrize("fields", FORMS.values(), ids=FORMS)
def test_a_chunk_is_openais(server: Server, fields: dict[str, Any], options: dict[str, bool]) -> None:
    """All of them, the one of the usage too."""
    answer = server.chat(TEXT, **{**FRENCH, **fields, "stream": True, "stream_options": options})

    assert answer.status == 200, answer.body
    *events, done = answer.body.decode().removesuffix("\n\n").split("\n\n")
    assert done == "data: [DONE]"
    chunks = [ChatCompletionChunk.model_validate_json(data.removeprefix("data: "), strict=True) for data in events]
    assert [name for chunk in chunks for name in _unknown(chunk)] == []
    assert {choice.index for chunk in chunks for choice in chunk.choices} == set(range(fields.get("n", 1)))
    assert sum(chunk.usage is not None for chunk in chunks) == bool(options.get("include_usage"))


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/chat/completions", {}),
        ("POST", "/v1/chat/completions", {"model": "gpt-5", "messages": [{"role": "user", "content": TEXT}]}),
        ("POST", "/v1/chat/completions", b"{"),
        ("POST", "/v1/chat/completions", b"x" * (2 << 20)),
        ("GET", "/v1/models/gpt-5", None),
        ("DELETE", "/v1/models", None),
        ("GET", "/v1/nothing", None),
    ],
    ids="no-messages model json large no-model method path".split(),
)
def test_an_error_is_openais(server: Server, method: str, path: str, body: bytes | dict[str, Any] | None) -> None:
    """What the client's exceptions are made of."""
    answer = server.request(method, path, body, {"content-type": "application/json"})

    assert answer.status >= 400
    [(name, told)] = answer.json().items()
    assert name == "error"
    error = ErrorObject.model_validate(told, strict=True)
    assert list(_unknown(error)) == []
    assert error.message


def test_the_models_are_openais(server: Server) -> None:
    """With fields of our own besides."""
    listed = server.request("GET", "/v1/models").json()

    models = [Model.model_validate(told, strict=True) for told in listed["data"]]
    assert [model.id for model in models] == ["nllb-demo", "t5-demo"]
