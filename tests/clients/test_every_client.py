"""Every client that people use, over real sockets: a call, a stream, errors, twenty calls at once."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import pytest
from conftest import Answer, Server, running_server
from phrases import FRENCH, HOTEL, KEY, LONG, LONG_TOKENS, QUESTIONS, UMBRELLA, translation
from programs import PROGRAMS

TEXT = "\n".join([HOTEL, UMBRELLA] * 3)
HURRY_S = "1"
"""A third of what ``LONG`` takes, and ten times what its first word does."""
PATIENCE_S = 10.0
REFUSALS: dict[str, tuple[int, str, str | None, str]] = {
    "model": (404, "model_not_found", "model", "The model 'gpt-5' does not exist"),
    "language": (400, "unsupported_language", "target_lang", "The language 'klingon' is not supported"),
    "key": (401, "invalid_api_key", None, "Missing or incorrect API key"),
    "stream": (400, "unsupported_language", "target_lang", "The language 'klingon' is not supported"),
}
"""Status, code, parameter, and what the message begins with."""


@dataclass(frozen=True, slots=True)
class Servers:
    """Two that want a key."""

    patient: Server
    hurried: Server

    def usage(self, text: str) -> list[int]:
        """Return the tokens of ``text`` and of its answer, as they are counted for who asks without any client."""
        usage = _ask(self.patient, text).json()["usage"]
        return [usage["prompt_tokens"], usage["completion_tokens"]]

    def left(self) -> int:
        """Return how many requests were given up because nobody waited any more."""
        return sum(line.get("status") == 499 for line in self.patient.log_lines())


def _ask(server: Server, text: str) -> Answer:
    body = {"messages": [{"role": "user", "content": text}], "beam_size": 1, **FRENCH}
    return server.request("POST", "/v1/chat/completions", body, {"authorization": f"Bearer {KEY}"})


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """One that has time and one that has not."""
    start = partial(running_server, API_KEYS=KEY, MAX_PROMPT_TOKENS=LONG_TOKENS)
    with (
        start(tmp_path_factory.mktemp("patient")) as patient,
        start(tmp_path_factory.mktemp("hurried"), MAX_REQUEST_S=HURRY_S) as hurried,
    ):
        # The first request takes longer than those that follow.
        _ask(hurried, HOTEL)
        yield Servers(patient, hurried)


Report = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module")
def report(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Give what a client reports; each is run once."""
    job = {
        "url": f"{servers.patient.url}/v1",
        "hurried_url": f"{servers.hurried.url}/v1",
        "key": KEY,
        "model": "nllb-demo",
        "questions": QUESTIONS,
        "text": TEXT,
        "long": LONG,
    }

    @cache
    def run(name: str) -> dict[str, Any]:
        left = servers.left()
        printed = PROGRAMS[name].report(job, tmp_path_factory.mktemp(name))
        deadline = time.monotonic() + PATIENCE_S
        while servers.left() == left and time.monotonic() < deadline:
            time.sleep(0.02)
        return printed | {"given_up": servers.left() - left}

    return run


every_client = pytest.mark.parametrize("name", PROGRAMS)


@every_client
def test_a_call(report: Report, servers: Servers, name: str) -> None:
    """The text, how it ended and what it cost."""
    assert report(name)["plain"] == {
        "text": translation(HOTEL, "fra_Latn"),
        "finish_reason": "stop",
        "usage": servers.usage(HOTEL),
    }


@every_client
def test_a_stream(report: Report, servers: Servers, name: str) -> None:
    """Many parts that add up, one end, and the usage of the same text in one piece."""
    parts = report(name)["streamed"]

    assert report(name)["streamed_error"] is None
    assert "".join(part["text"] for part in parts) == translation(TEXT, "fra_Latn")
    assert sum(bool(part["text"]) for part in parts) > 2  # a client that is late gets several in one
    assert [part["finish_reason"] for part in parts if part["finish_reason"]] == ["stop"]
    assert [part["usage"] for part in parts if part["usage"]] == [servers.usage(TEXT)]


@every_client
@pytest.mark.parametrize("refused", REFUSALS)
def test_a_refusal_is_an_error_of_the_clients_own(report: Report, name: str, refused: str) -> None:
    """With its status and the server's words, and with code and parameter unless the client drops them."""
    error = report(name)["errors"][refused]
    status, code, param, message = REFUSALS[refused]
    program = PROGRAMS[name]

    assert (error["name"], error["status"]) == (program.errors[status], status)
    assert message in error["message"]
    assert "sk-wrong" not in error["message"]
    assert (error["code"], error["param"]) == ((None, None) if status in program.silent else (code, param))


@every_client
def test_an_error_in_a_stream_is_raised_while_reading(report: Report, name: str) -> None:
    """After the text that came before it; a stream that just ended would pass for a whole answer."""
    parts, error = report(name)["cut"], report(name)["cut_error"]
    program = PROGRAMS[name]

    text = "".join(part["text"] for part in parts)
    assert text
    assert translation(LONG, "fra_Latn").startswith(text)
    assert not any(part["finish_reason"] for part in parts)
    assert error["name"] == program.errors[None]
    assert "The request took longer than it may" in error["message"]
    assert error["code"] == (None if None in program.silent else "time_limit_exceeded")


@every_client
def test_a_stream_can_be_left(report: Report, name: str) -> None:
    """The server notices, and works on for nobody."""
    assert translation(LONG, "fra_Latn").startswith(report(name)["left"])
    assert report(name)["left"]
    assert report(name)["given_up"] == 1


@every_client
def test_parallel_calls_each_get_their_own_answer(report: Report, name: str) -> None:
    """Twenty at once with twenty questions."""
    assert report(name)["parallel"] == [translation(text, target) for text, target in QUESTIONS]


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name != "curl"])
def test_a_client_reaches_the_server_alone(report: Report, servers: Servers, name: str) -> None:
    """No telemetry, no list of prices, no name to resolve; curl, which has no guard, goes where it is told."""
    urls = {f"http://{address}" for address in report(name)["reached"]}

    assert urls == {servers.patient.url, servers.hurried.url}
    assert report(name)["refused"] == []


def test_node_client_lists_and_retrieves_models(report: Report) -> None:
    """The list can be iterated, and a model fetched by its id."""
    told = report("openai-node")

    assert told["models"] == ["nllb-demo", "t5-demo"]
    assert (told["model"]["id"], told["model"]["object"]) == ("t5-demo", "model")


def test_node_client_reads_the_request_id(report: Report) -> None:
    """The client finds ``x-request-id``, which is not the id of the completion."""
    told = report("openai-node")

    assert told["requestID"]
    assert told["completionID"].startswith("chatcmpl-")
