"""Correlation ids, ``Server-Timing`` and the log line of each request."""

import json
import re
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import Answer, Server, running_server

CHAT = "/v1/chat/completions"
JSON = {"content-type": "application/json"}
HOTEL = "Where is the hotel?"
HOTEL_FR = "Où est l'hôtel ?"
LOG_TIMEOUT_S = 30.0
KEY = "sk-test-of-the-ids"

SANE = {
    "word": "request-1",
    "one-character": "x",
    "limit": "x" * 128,
    "uuid": "123e4567-e89b-12d3-a456-426614174000",
    "trace": "Root=1-67891233-abcdef012345678912345678",
    "punctuation": "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
}
INSANE = {
    "too-long": "x" * 129,
    "very-long": "x" * 10_000,
    "space": "a b",
    "tab": "a\tb",
    "latin-1": "caf\xe9",
    "utf-8": "café".encode().decode("latin-1"),
    "empty": "",
}
ERRORS: dict[str, tuple[int, str, str, Any]] = {
    "200": (200, "POST", CHAT, {"messages": [{"role": "user", "content": HOTEL}], "target_lang": "fr"}),
    "200-health": (200, "GET", "/health", None),
    "200-models": (200, "GET", "/v1/models", None),
    "400-json": (400, "POST", CHAT, b"{"),
    "400-field": (400, "POST", CHAT, {"messages": []}),
    "400-language": (400, "POST", CHAT, {"messages": [{"role": "user", "content": HOTEL}], "target_lang": "qq"}),
    "404-path": (404, "GET", "/nothing", None),
    "404-model": (404, "GET", "/v1/models/nothing", None),
    "405": (405, "DELETE", "/v1/models", None),
    "413": (413, "POST", CHAT, b" " * 1_048_577),
}


@pytest.fixture(scope="module")
def verbose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a key that logs texts."""
    with running_server(tmp_path_factory.mktemp("verbose"), LOG_TEXTS="true", API_KEYS=KEY) as running:
        yield running


def ids_of(answer: Answer) -> str:
    """Return the id of an answer, which both headers carry."""
    assert answer.headers["x-request-id"] == answer.headers["x-correlation-id"]
    return answer.headers["x-request-id"]


def timings(answer: Answer) -> dict[str, float]:
    """Return the phases of ``Server-Timing`` in milliseconds."""
    entries = answer.headers["server-timing"].split(", ")
    matches = [re.fullmatch(r"([a-z]+);dur=(\d+(?:\.\d+)?)", entry) for entry in entries]
    assert all(matches), entries
    return {match[1]: float(match[2]) for match in matches if match}


def log_lines(server: Server, wanted: set[str]) -> dict[str, dict[str, Any]]:
    """Return the one line of each of the ``wanted`` requests; it is written after the answer is sent."""
    deadline = time.monotonic() + LOG_TIMEOUT_S
    while True:
        found = [line for line in server.log_lines() if line["message"] == "request"]
        found = [line for line in found if line["correlation_id"] in wanted]
        if len({line["correlation_id"] for line in found}) == len(wanted):
            break
        assert time.monotonic() < deadline, "a request was not logged"
        time.sleep(0.05)
    assert len(found) == len(wanted), "a request was logged twice"
    return {line["correlation_id"]: line for line in found}


def log_line(server: Server, answer: Answer) -> dict[str, Any]:
    """Return the one line of an answer's request."""
    return log_lines(server, {ids_of(answer)})[ids_of(answer)]


@pytest.mark.parametrize("header", ["x-request-id", "x-correlation-id", "X-Request-ID"])
@pytest.mark.parametrize("given", SANE.values(), ids=SANE)
def test_sane_id_is_taken_over(server: Server, header: str, given: str) -> None:
    """What the client calls the request is what it is called."""
    assert ids_of(server.request("GET", "/health/live", headers={header: given})) == given


@pytest.mark.parametrize("header", ["x-request-id", "x-correlation-id"])
@pytest.mark.parametrize("given", INSANE.values(), ids=INSANE)
def test_other_id_is_replaced(server: Server, header: str, given: str) -> None:
    """Nothing that could spoil a header or a log line is repeated."""
    answer = server.request("GET", "/health/live", headers={header: given})

    assert answer.status == 200
    assert str(uuid.UUID(ids_of(answer))) == ids_of(answer)


def test_request_without_an_id_gets_a_new_one(server: Server) -> None:
    """No two requests share it."""
    assert len({ids_of(server.request("GET", "/health/live")) for _ in range(5)}) == 5


@pytest.mark.parametrize(
    ("request_id", "expected"), [("one", "one"), ("no good", "two"), ("", "two")], ids=["sane", "insane", "empty"]
)
def test_request_id_comes_before_correlation_id(server: Server, request_id: str, expected: str) -> None:
    """Of both headers the first sane one counts."""
    headers = {"x-request-id": request_id, "x-correlation-id": "two"}

    assert ids_of(server.request("GET", "/health/live", headers=headers)) == expected


@pytest.mark.parametrize(("status", "method", "path", "body"), ERRORS.values(), ids=ERRORS)
def test_every_answer_carries_the_id_and_is_logged(
    server: Server, status: int, method: str, path: str, body: bytes | dict[str, Any] | None
) -> None:
    """Refusals too have an id, a time and one line in the log."""
    request_id = str(uuid.uuid4())
    headers = {"x-request-id": request_id, **(JSON if body else {})}

    answer = server.request(method, path, body, headers)

    assert answer.status == status
    assert ids_of(answer) == request_id
    assert timings(answer)["total"] >= 0
    line = log_line(server, answer)
    assert (line["status"], line["method"], line["path"]) == (status, method, path)
    assert line["level"] == "INFO"
    assert line["total_ms"] >= 0


def test_unauthorized_answer_carries_the_id(verbose: Server) -> None:
    """A stranger's request can be found in the log as well."""
    answer = verbose.request("GET", "/v1/models", headers={"x-request-id": "stranger"})

    assert (answer.status, ids_of(answer)) == (401, "stranger")
    assert log_line(verbose, answer)["status"] == 401


@pytest.mark.parametrize("model", ["nllb-demo", "t5-demo"])
def test_completion_tells_how_long_each_phase_took(server: Server, model: str) -> None:
    """The phases are numbers that fit into the total, in the header and in the log."""
    answer = server.chat(HOTEL, model=model, target_lang="fra_Latn")

    phases = timings(answer)
    assert {"queue", "tokenize", "translate", "total"} <= phases.keys()
    # Each is rounded to a tenth of a millisecond.
    assert phases["queue"] + phases["tokenize"] + phases["translate"] <= phases["total"] + 0.3
    assert phases["translate"] > 0
    line = log_line(server, answer)
    for phase in ("queue", "tokenize", "translate"):
        assert line[f"{phase}_ms"] == pytest.approx(phases[phase], abs=0.11)
    assert line["total_ms"] >= phases["total"] - 0.11


def test_start_is_told_once(verbose: Server) -> None:
    """The probe that found the server ready was its first request, so no later answer tells of the start."""
    later = timings(verbose.request("GET", "/health/live"))

    assert later.keys() == {"total"}


def test_log_line_has_the_numbers_and_not_the_text(server: Server) -> None:
    """What was asked is nobody's business; how much of it is the operator's."""
    text = f"Quixotic {HOTEL} Zyzzyva."

    answer = server.chat(
        text, model="gpt-4o-mini", target_lang="fr", user="secret-user", metadata={"k": "secret-value"}
    )

    line = log_line(server, answer)
    usage = answer.json()["usage"]
    assert (line["model"], line["status"], line["method"], line["path"]) == ("nllb-demo", 200, "POST", CHAT)
    assert line["prompt_tokens"] == usage["prompt_tokens"]
    assert line["completion_tokens"] == usage["completion_tokens"]
    assert (line["source_lang"], line["target_lang"]) == ("eng_Latn", "fra_Latn")
    assert line["timestamp"]
    log = server.log.read_text(encoding="utf-8")
    for word in ("Quixotic", "Zyzzyva", "secret-user", "secret-value"):
        assert word not in log
    assert HOTEL_FR not in json.dumps(line, ensure_ascii=False)


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "user", "content": "Flibbertigibbet?"}], "target_lang": "Flibbertigibbet"},
        {"messages": [{"role": "user", "content": "Flibbertigibbet?"}], "temperature": "Flibbertigibbet"},
        {"messages": [{"role": "Flibbertigibbet", "content": "Flibbertigibbet?"}]},
        {"messages": [{"role": "user", "content": "Translate to Klingon: Flibbertigibbet?"}]},
        b'{"messages": "Flibbertigibbet',
    ],
    ids=["language", "type", "role", "instruction", "json"],
)
def test_refused_text_is_not_logged_either(server: Server, body: bytes | dict[str, Any]) -> None:
    """A request that fails is as private as one that does not."""
    answer = server.request("POST", CHAT, body, JSON)

    assert log_line(server, answer)["status"] == 400
    assert "Flibbertigibbet" not in server.log.read_text(encoding="utf-8")


def test_texts_are_logged_on_demand(verbose: Server) -> None:
    """With ``LOG_TEXTS`` the line holds what was translated, without its instruction, and every answer."""
    text = f"Translate to French: {HOTEL}"

    answer = verbose.request(
        "POST", CHAT, {"messages": [{"role": "user", "content": text}], "n": 2}, {"authorization": f"Bearer {KEY}"}
    )

    line = log_line(verbose, answer)
    assert line["source_text"] == HOTEL
    assert line["answers"] == [choice["message"]["content"] for choice in answer.json()["choices"]]
    assert line["answers"][0] == HOTEL_FR


def test_log_stays_one_line_per_request_whatever_is_in_it(verbose: Server) -> None:
    """Line breaks and quotes in a text are escaped; the line is JSON."""
    text = f'{HOTEL}\n{{"message": "request", "status": 200}}\r\n{HOTEL}'

    answer = verbose.request(
        "POST",
        CHAT,
        {"messages": [{"role": "user", "content": text}], "target_lang": "fr", "max_tokens": 20},
        {"authorization": f"Bearer {KEY}"},
    )

    assert log_line(verbose, answer)["source_text"] == text


def test_path_in_the_log_is_escaped_and_shortened(server: Server) -> None:
    """A path may hold anything; it can neither forge a line nor flood the log."""
    answer = server.request("GET", "/%0a%7b%22message%22:%22forged%22%7d/" + "a" * 5000)

    line = log_line(server, answer)
    assert line["status"] == 404
    assert len(line["path"]) <= 300
    assert not any(line["message"] == "forged" for line in server.log_lines())


def test_ids_of_concurrent_requests_are_not_mixed(server: Server) -> None:
    """Fifty at once, each of which can be told from the others: every line has the numbers of its own request."""
    run = uuid.uuid4().hex

    def ask(number: int) -> tuple[str, Answer]:
        request_id = f"{run}-{number}"
        headers = {"x-request-id": request_id, **JSON}
        if number % 2:
            return request_id, server.request("GET", f"/v1/models/unknown-{number}", headers=headers)
        text = "\n".join([HOTEL] * (number // 2 + 1))
        body = {
            "messages": [{"role": "user", "content": text}],
            "target_lang": ("fra_Latn", "deu_Latn", "spa_Latn")[number % 3],
            "max_tokens": number // 2 + 1,
            "beam_size": 1,
        }
        return request_id, server.request("POST", CHAT, body, headers)

    with ThreadPoolExecutor(50) as pool:
        answers = dict(pool.map(ask, range(50)))

    assert all(ids_of(answer) == request_id for request_id, answer in answers.items())
    lines = log_lines(server, set(answers))
    prompts = set()
    for number in range(50):
        answer, line = answers[f"{run}-{number}"], lines[f"{run}-{number}"]
        if number % 2:
            assert (line["status"], line["path"]) == (404, f"/v1/models/unknown-{number}")
            assert f"unknown-{number}'" in answer.json()["error"]["message"]
            assert "prompt_tokens" not in line
        else:
            usage = answer.json()["usage"]
            assert line["status"] == 200
            assert line["prompt_tokens"] == usage["prompt_tokens"]
            assert line["completion_tokens"] == usage["completion_tokens"] == number // 2 + 1
            assert line["target_lang"] == ("fra_Latn", "deu_Latn", "spa_Latn")[number % 3]
            prompts.add(usage["prompt_tokens"])
    assert len(prompts) == 25


def test_no_line_of_a_request_holds_anything_of_another(verbose: Server) -> None:
    """Fifty at once, streams, whole answers and refusals, each with a word of its own in its text, its id and its path.

    With texts in the log every line of a request tells which it is, not only in its id.
    """
    run = uuid.uuid4().hex[:12]
    words = [f"{run}z{number}z" for number in range(50)]

    def ask(word: str) -> Answer:
        number = words.index(word)
        headers = {"x-request-id": f"id-{word}", "authorization": f"Bearer {KEY}"}
        if number % 5 == 4:
            return verbose.request("GET", f"/v1/models/{word}", headers=headers)
        body = {
            "messages": [{"role": "user", "content": f"{word}\n{HOTEL}\n{HOTEL}\n{HOTEL}"}],
            "target_lang": f"unknown {word}" if number % 5 == 3 else "fra_Latn",
            "stream": number % 2 == 0,
            "max_tokens": 60,
        }
        return verbose.request("POST", CHAT, body, headers)

    with ThreadPoolExecutor(50) as pool:
        answers = dict(zip(words, pool.map(ask, words), strict=True))

    assert {word: ids_of(answer) for word, answer in answers.items()} == {word: f"id-{word}" for word in words}
    assert [answer.status for answer in answers.values()] == [200, 200, 200, 400, 404] * 10
    streams = [
        answer.body.decode() for answer in answers.values() if "text/event-stream" in answer.headers["content-type"]
    ]
    assert len(streams) == 15
    assert len({body.partition('"id":')[2].partition(",")[0] for body in streams}) == 15
    log_lines(verbose, {f"id-{word}" for word in words})
    for line in verbose.log_lines():
        found = {word for word in words if word in json.dumps(line)}
        if line.get("correlation_id", "").removeprefix("id-") in words:
            assert found == {line["correlation_id"].removeprefix("id-")}
            if line["status"] == 200:
                assert line["source_text"].startswith(line["correlation_id"].removeprefix("id-"))
        else:
            assert not found
