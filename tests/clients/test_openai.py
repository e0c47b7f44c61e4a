"""The official clients of OpenAI, for Python and for Node, against a server with an API key."""

import asyncio
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from conftest import Server, running_server
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletion

KEY = "sk-test-of-the-clients"
CLIENT_TIMEOUT_S = 60.0
HOTEL = "Where is the hotel?"
UMBRELLA = "I have lost my umbrella in Venice."
TRANSLATIONS = {
    "fra_Latn": {HOTEL: "Où est l'hôtel ?", UMBRELLA: "J'ai perdu mon parapluie à Venise."},
    "deu_Latn": {HOTEL: "Wo ist das Hotel?", UMBRELLA: "Ich habe meinen Regenschirm in Venedig verloren."},
    "spa_Latn": {HOTEL: "¿Dónde está el hotel?", UMBRELLA: "He perdido mi paraguas en Venecia."},
}
MESSAGES: Any = [{"role": "user", "content": HOTEL}]
FRENCH = {"target_lang": "fra_Latn"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that wants a key."""
    with running_server(tmp_path_factory.mktemp("clients"), API_KEYS=KEY) as running:
        yield running


@pytest.fixture
def client(guarded: Server) -> Iterator[OpenAI]:
    """A client that has the key and tries once."""
    url = f"{guarded.url}/v1"
    with OpenAI(base_url=url, api_key=KEY, max_retries=0, timeout=CLIENT_TIMEOUT_S) as connected:
        yield connected


def test_python_client_gets_a_completion(client: OpenAI) -> None:
    """The plainest call works, with the language as an extra field."""
    completion = client.chat.completions.create(model="nllb-demo", messages=MESSAGES, extra_body=FRENCH)

    [choice] = completion.choices
    assert (choice.message.content, choice.message.role) == (TRANSLATIONS["fra_Latn"][HOTEL], "assistant")
    assert choice.finish_reason == "stop"
    assert completion.model == "nllb-demo"
    assert completion.usage is not None
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens


def test_python_client_needs_no_extra_field_with_a_suffix(client: OpenAI) -> None:
    """A client that cannot send fields of its own names the language behind the model."""
    completion = client.chat.completions.create(
        model="nllb-demo:deu_Latn", messages=MESSAGES, temperature=1, top_p=1, n=2, user="someone", stop=["!"]
    )

    assert completion.choices[0].message.content == TRANSLATIONS["deu_Latn"][HOTEL]
    assert len(completion.choices) == 2


def test_python_client_reads_ids_and_timings(client: OpenAI) -> None:
    """The raw answer carries the request's id where the client looks for it."""
    raw = client.chat.completions.with_raw_response.create(
        model="nllb-demo", messages=MESSAGES, extra_body=FRENCH, extra_headers={"x-request-id": "from-the-client"}
    )

    assert raw.request_id == "from-the-client"
    assert "total;dur=" in raw.headers["server-timing"]
    assert raw.parse().choices


def test_python_client_lists_and_retrieves_models(client: OpenAI) -> None:
    """Every listed model can be retrieved and has the fields of OpenAI's type."""
    listed = list(client.models.list())

    assert [model.id for model in listed] == ["nllb-demo", "t5-demo"]
    for model in listed:
        retrieved = client.models.retrieve(model.id)
        assert (retrieved.id, retrieved.object, retrieved.created) == (model.id, "model", model.created)
        assert retrieved.created > 0
        assert retrieved.owned_by


def test_python_client_raises_not_found(client: OpenAI) -> None:
    """An unknown model is the client's own error, in a completion and by itself."""
    with pytest.raises(openai.NotFoundError) as in_completion:
        client.chat.completions.create(model="gpt-5", messages=MESSAGES)
    with pytest.raises(openai.NotFoundError) as by_itself:
        client.models.retrieve("gpt-5")

    for caught in (in_completion, by_itself):
        assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
        assert caught.value.type == "invalid_request_error"
        assert caught.value.request_id


@pytest.mark.parametrize(
    ("arguments", "code", "param"),
    [
        ({"temperature": 3}, None, "temperature"),
        ({"extra_body": {"target_lang": "klingon"}}, "unsupported_language", "target_lang"),
        ({}, "missing_target_language", "target_lang"),
        ({"tool_choice": "required"}, "unsupported_value", "tool_choice"),
    ],
    ids=["range", "language", "no-language", "tools"],
)
def test_python_client_raises_bad_request(
    client: OpenAI, arguments: dict[str, Any], code: str | None, param: str
) -> None:
    """A 400 is the client's own error, with code and parameter."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="nllb-demo", messages=MESSAGES, **arguments)

    assert (caught.value.code, caught.value.param) == (code, param)


def test_python_client_raises_authentication_error(guarded: Server) -> None:
    """A wrong key is the client's own error and is not in it."""
    url = f"{guarded.url}/v1"
    with (
        OpenAI(base_url=url, api_key="sk-wrong", max_retries=0, timeout=CLIENT_TIMEOUT_S) as stranger,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        stranger.chat.completions.create(model="nllb-demo", messages=MESSAGES)

    assert (caught.value.code, caught.value.param) == ("invalid_api_key", None)
    assert "sk-wrong" not in str(caught.value)


def test_python_client_reads_a_413(client: OpenAI) -> None:
    """A body over the limit is an error with a status, not a broken connection."""
    messages: Any = [{"role": "user", "content": "x" * (3 << 20)}]

    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="nllb-demo", messages=messages, extra_body=FRENCH)

    assert (caught.value.status_code, caught.value.code) == (413, "request_too_large")


async def test_parallel_calls_each_get_their_own_answer(guarded: Server) -> None:
    """Twenty calls at once with twenty texts: every answer is right, and belongs to its question."""
    lines = [texts for length in (1, 2, 3) for texts in itertools.product((HOTEL, UMBRELLA), repeat=length)]
    asked = list(itertools.product(lines, TRANSLATIONS))[:20]

    async with AsyncOpenAI(
        base_url=f"{guarded.url}/v1", api_key=KEY, max_retries=0, timeout=CLIENT_TIMEOUT_S
    ) as connected:

        async def ask(texts: tuple[str, ...], target: str) -> ChatCompletion:
            messages: Any = [{"role": "user", "content": "\n".join(texts)}]
            return await connected.chat.completions.create(
                model="nllb-demo", messages=messages, extra_body={"target_lang": target}
            )

        completions = await asyncio.gather(*(ask(texts, target) for texts, target in asked))

    assert [completion.choices[0].message.content for completion in completions] == [
        "\n".join(TRANSLATIONS[target][text] for text in texts) for texts, target in asked
    ]
    assert len({completion.id for completion in completions}) == 20


@pytest.fixture(scope="module")
def node(guarded: Server) -> dict[str, Any]:
    """What the Node client printed."""
    folder = Path(__file__).parent / "node"
    done = subprocess.run(
        [str(Path(sys.executable).parent / "node"), "client.mjs", f"{guarded.url}/v1", KEY],
        cwd=folder,
        env={},
        capture_output=True,
        text=True,
        timeout=CLIENT_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def test_node_client_gets_completions(node: dict[str, Any]) -> None:
    """Both model families answer."""
    [choice] = node["completion"]["choices"]
    assert choice["message"]["content"] == TRANSLATIONS["fra_Latn"][HOTEL]
    assert choice["finish_reason"] == "stop"
    assert node["t5"] == TRANSLATIONS["deu_Latn"][UMBRELLA]


def test_node_client_reads_the_request_id(node: dict[str, Any]) -> None:
    """The client finds ``x-request-id``."""
    assert node["requestID"]


def test_node_client_lists_and_retrieves_models(node: dict[str, Any]) -> None:
    """The list can be iterated, and a model fetched by its id."""
    assert node["models"] == ["nllb-demo", "t5-demo"]
    assert (node["model"]["id"], node["model"]["object"]) == ("t5-demo", "model")


@pytest.mark.parametrize(
    ("call", "expected", "code", "param"),
    [
        ("notFound", ("NotFoundError", 404), "model_not_found", "model"),
        ("badRequest", ("BadRequestError", 400), None, "temperature"),
        ("missingTarget", ("BadRequestError", 400), "missing_target_language", "target_lang"),
        ("unauthorized", ("AuthenticationError", 401), "invalid_api_key", None),
    ],
    ids=["not-found", "bad-request", "no-language", "unauthorized"],
)
def test_node_client_throws_typed_errors(
    node: dict[str, Any], call: str, expected: tuple[str, int], code: str | None, param: str | None
) -> None:
    """Each refusal is the client's own error, with code and parameter."""
    error = node[call]

    assert (error["name"], error["status"], error["code"], error["param"]) == (*expected, code, param)
    assert error["type"] == "invalid_request_error"
    assert error["requestID"]


def test_node_client_reaches_the_server_alone(node: dict[str, Any], guarded: Server) -> None:
    """No telemetry, no other host."""
    assert node["origins"] == [guarded.url]
