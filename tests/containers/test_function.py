"""The function in its container, through the emulator of Lambda: what it answers, confined, slowed down and broken."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Answer
from engine import Docker
from image import HARDENED, Container, running_container
from test_events import SENTENCE, TRANSLATION, answer_of, chat_event, http_event

pytestmark = pytest.mark.containers
pytest_plugins = ["container_fixtures"]

T5_PROMPT = f"translate English to German: {SENTENCE}"
T5_ANSWER = "Wo ist das Hotel?"
FAILING_INIT_LIMIT_S = 10.0
"""The time that Lambda gives an init."""


@pytest.fixture(scope="module")
def function(docker: Docker, image: str) -> Iterator[Container]:
    """The function as a user without rights on a file system that nobody can write to."""
    with running_container(docker, image, *HARDENED) as container:
        yield container


def ask(container: Container, event: dict[str, Any]) -> Answer:
    """Send an HTTP event and return what its client would get."""
    return answer_of(container.invoke(event))


def content(answer: Answer) -> str:
    """Return the translation in an answer."""
    assert answer.status == 200, answer.body
    text: str = answer.json()["choices"][0]["message"]["content"]
    return text


def test_it_translates(function: Container) -> None:
    """With both models, one of which needs the language of the text detected."""
    assert content(ask(function, chat_event("http_api_v2"))) == TRANSLATION
    assert content(ask(function, chat_event("http_api_v2", T5_PROMPT, model="t5-demo"))) == T5_ANSWER


def test_it_is_ready_and_lists_its_models(function: Container) -> None:
    """The paths without a body."""
    models = ask(function, http_event("http_api_v2", path="/v1/models"))

    assert ask(function, http_event("http_api_v2", path="/health/ready")).status == 200
    assert [model["id"] for model in models.json()["data"]] == ["nllb-demo", "t5-demo"]


def test_errors_have_a_type_and_ids_come_back(function: Container) -> None:
    """As everywhere else."""
    event = chat_event("http_api_v2", model="modèle-你好-🌍")
    event["headers"]["x-correlation-id"] = "of-the-client"

    answer = ask(function, event)

    assert answer.status == 404
    assert answer.json()["error"]["code"] == "model_not_found"
    assert "modèle-你好-🌍" in answer.json()["error"]["message"]
    assert answer.headers["x-correlation-id"] == "of-the-client"


def test_answers_leave_the_container_as_utf8(function: Container) -> None:
    """Escaped they would have up to six bytes a letter, against a limit of 6 MB."""
    _, raw = function.invoke_raw(chat_event("http_api_v2"))

    assert "hôtel".encode() in raw


def test_a_line_of_the_log_is_json(function: Container) -> None:
    """With the id that the client got."""
    answer = ask(function, http_event("http_api_v2"))

    line = function.line(correlation_id=answer.headers["x-request-id"])
    assert (line["message"], line["status"]) == ("request", 200)


def test_half_a_cpu_is_enough_to_answer(docker: Docker, image: str) -> None:
    """The quota and the memory limit are real; a small Lambda has no more."""
    with running_container(docker, image, *HARDENED, "--cpus", "0.5", "--memory", "2g") as container:
        started = time.monotonic()
        answer = ask(container, chat_event("http_api_v2"))
        took_s = time.monotonic() - started

        assert content(answer) == TRANSLATION
        assert took_s < FAILING_INIT_LIMIT_S
        assert container.line(message="demo model loaded")["intra_threads"] == 1
        print(f"\nhalf a CPU: {took_s:.2f} s from the container's first event to its answer")


# --- a model that cannot be served ------------------------------------------------------------------------------------


@pytest.fixture(params=["empty", "elsewhere", "damaged"])
def broken(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[tuple[str, ...], dict[str, str], str]:
    """Options of ``docker run``, variables, and the line that says what is wrong."""
    if request.param == "elsewhere":
        return (
            (),
            {"MODEL_PATH": "/nowhere"},
            "error: environment variable MODEL_PATH: '/nowhere' is not a folder that can be read",
        )
    folder = tmp_path / "models"
    folder.mkdir(mode=0o755)
    mounted = ("--volume", f"{folder}:/opt/models:ro")
    if request.param == "empty":
        return (
            mounted,
            {},
            "error: environment variable MODEL_PATH: /opt/models holds no model.bin, and neither do its folders",
        )
    (folder / "model.bin").write_bytes(b"")
    (folder / "manifest.json").write_text("{", encoding="utf-8")
    return mounted, {}, "error: /opt/models/manifest.json"


def test_a_broken_model_fails_the_init_with_one_line(
    docker: Docker, image: str, broken: tuple[tuple[str, ...], dict[str, str], str]
) -> None:
    """At once, and without a traceback; the log of a function that does not start is read by somebody in a hurry."""
    options, variables, expected = broken
    with running_container(docker, image, *HARDENED, *options, variables=variables) as container:
        started = time.monotonic()
        status, _ = container.invoke_raw(chat_event("http_api_v2"))
        took_s = time.monotonic() - started
        log = container.log()

    assert took_s < FAILING_INIT_LIMIT_S
    assert status == 502
    assert log.count(expected) == 1, log
    assert "Traceback" not in log
