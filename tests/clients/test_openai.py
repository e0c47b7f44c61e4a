"""OpenAI's client for Python in detail: what it reads besides the text, and its streams."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from conftest import Server, running_server
from openai import AsyncOpenAI, AsyncStream, OpenAI
from phrases import CLIENT_TIMEOUT_S, FRENCH, HOTEL, KEY, LONG, LONG_TOKENS, TRANSLATIONS, UMBRELLA, translation

MESSAGES: Any = [{"role": "user", "content": HOTEL}]
LONG_MESSAGES: Any = [{"role": "user", "content": LONG}]
PATIENCE_S = 10.0


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that wants a key and has two places, one to work and one to wait."""
    with running_server(
        tmp_path_factory.mktemp("clients"), API_KEYS=KEY, MAX_QUEUED_REQUESTS="1", MAX_PROMPT_TOKENS=LONG_TOKENS
    ) as running:
        yield running


@pytest.fixture
def client(guarded: Server) -> Iterator[OpenAI]:
    """A client that has the key and tries once."""
    url = f"{guarded.url}/v1"
    with OpenAI(base_url=url, api_key=KEY, max_retries=0, timeout=CLIENT_TIMEOUT_S) as connected:
        yield connected


def test_a_suffix_needs_no_extra_field(client: OpenAI) -> None:
    """A client that cannot send fields of its own names the language behind the model."""
    completion = client.chat.completions.create(
        model="nllb-demo:deu_Latn", messages=MESSAGES, temperature=1, top_p=1, n=2, user="someone", stop=["!"]
    )

    assert completion.choices[0].message.content == TRANSLATIONS["deu_Latn"][HOTEL]
    assert completion.model == "nllb-demo:deu_Latn"
    assert len(completion.choices) == 2


def test_a_t5_model_answers(client: OpenAI) -> None:
    """The task is the system message."""
    messages: Any = [
        {"role": "system", "content": "translate English to German:"},
        {"role": "user", "content": UMBRELLA},
    ]

    completion = client.chat.completions.create(model="t5-demo", messages=messages)

    assert completion.choices[0].message.content == TRANSLATIONS["deu_Latn"][UMBRELLA]


def test_ids_and_timings_are_read(client: OpenAI) -> None:
    """The raw answer carries the request's id where the client looks for it."""
    raw = client.chat.completions.with_raw_response.create(
        model="nllb-demo", messages=MESSAGES, extra_body=FRENCH, extra_headers={"x-request-id": "from-the-client"}
    )

    assert raw.request_id == "from-the-client"
    assert "total;dur=" in raw.headers["server-timing"]
    assert raw.parse().choices


def test_models_are_listed_and_retrieved(client: OpenAI) -> None:
    """Every listed model can be retrieved and has the fields of OpenAI's type."""
    listed = list(client.models.list())

    assert [model.id for model in listed] == ["nllb-demo", "t5-demo"]
    for model in listed:
        retrieved = client.models.retrieve(model.id)
        assert (retrieved.id, retrieved.object, retrieved.created) == (model.id, "model", model.created)
        assert retrieved.created > 0
        assert retrieved.owned_by


def test_an_unknown_model_is_not_found_by_itself(client: OpenAI) -> None:
    """The same error as in a completion, with an id to ask the operator about."""
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gpt-5")

    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert caught.value.type == "invalid_request_error"
    assert caught.value.request_id


@pytest.mark.parametrize(
    ("arguments", "code", "param"),
    [
        ({"temperature": 3}, None, "temperature"),
        ({}, "missing_target_language", "target_lang"),
        ({"tool_choice": "required"}, "unsupported_value", "tool_choice"),
    ],
    ids=["range", "no-language", "tools"],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_bad_request_is_raised(
    client: OpenAI, arguments: dict[str, Any], code: str | None, param: str, *, stream: bool
) -> None:
    """A 400 is the client's own error, with code and parameter, before there is a stream to read."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="nllb-demo", messages=MESSAGES, stream=stream, **arguments)

    assert (caught.value.code, caught.value.param) == (code, param)


def test_a_large_body_is_a_413(client: OpenAI) -> None:
    """A body over the limit is an error with a status, not a broken connection."""
    messages: Any = [{"role": "user", "content": "x" * (3 << 20)}]

    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="nllb-demo", messages=messages, extra_body=FRENCH)

    assert (caught.value.status_code, caught.value.code) == (413, "request_too_large")


def test_the_streaming_helper_puts_an_answer_together(client: OpenAI) -> None:
    """What adds up the chunks in OpenAI's own code gets two choices, how they ended, and the usage."""
    text = f"{HOTEL}\n{UMBRELLA}"

    with client.chat.completions.stream(
        model="nllb-demo",
        messages=[{"role": "user", "content": text}],
        n=2,
        extra_body=FRENCH,
        stream_options={"include_usage": True},
    ) as stream:
        kinds = {event.type for event in stream}
        completion = stream.get_final_completion()

    assert kinds == {"chunk", "content.delta", "content.done"}
    assert [choice.message.content for choice in completion.choices] == [translation(text, "fra_Latn")] * 2
    assert [choice.finish_reason for choice in completion.choices] == ["stop", "stop"]
    assert completion.usage
    assert completion.usage.completion_tokens > 20


def test_a_closed_stream_frees_the_server(guarded: Server, client: OpenAI) -> None:
    """Six are closed one after the other; places that stayed taken would make a 429 of the next call."""
    for number in range(6):
        stream = client.chat.completions.create(
            model="nllb-demo",
            messages=LONG_MESSAGES,
            stream=True,
            extra_body=FRENCH,
            extra_headers={"x-request-id": f"closed-{number}"},
        )
        next(stream)
        stream.close()

    completion = client.chat.completions.create(model="nllb-demo", messages=MESSAGES, extra_body=FRENCH)

    assert completion.choices[0].message.content == TRANSLATIONS["fra_Latn"][HOTEL]
    expected = {f"closed-{number}": 499 for number in range(6)}
    assert _statuses(guarded, "closed-", len(expected)) == expected


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_cancelled_task_frees_the_server(guarded: Server, *, stream: bool) -> None:
    """As in an application whose own visitor has gone: the task ends wherever it waits, and the connection with it."""
    request_id = f"cancelled-{stream}"

    async def ask(connected: AsyncOpenAI) -> None:
        answer = await connected.chat.completions.create(
            model="nllb-demo",
            messages=LONG_MESSAGES,
            stream=stream,
            extra_body=FRENCH,
            extra_headers={"x-request-id": request_id},
        )
        if isinstance(answer, AsyncStream):
            async for _ in answer:
                pass

    async with AsyncOpenAI(base_url=f"{guarded.url}/v1", api_key=KEY, max_retries=0) as connected:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(connected), timeout=0.5)
        completion = await connected.chat.completions.create(model="nllb-demo", messages=MESSAGES, extra_body=FRENCH)

    assert completion.choices[0].message.content == TRANSLATIONS["fra_Latn"][HOTEL]
    assert _statuses(guarded, request_id, 1) == {request_id: 499}


def _statuses(server: Server, prefix: str, count: int) -> dict[str, int]:
    """Return the statuses in the log by request id, once there are ``count`` of them or time is up."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        lines = [line for line in server.log_lines() if str(line.get("correlation_id")).startswith(prefix)]
        if len(lines) >= count or time.monotonic() > deadline:
            return {line["correlation_id"]: line["status"] for line in lines}
        time.sleep(0.02)
