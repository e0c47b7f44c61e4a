"""Health checks, and a server some of whose models cannot be loaded, yet or at all."""

import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import Answer, Server, running_server

from handler.settings import DEMO_MODELS

PATIENCE_S = 60.0
HOTEL = "Where is the hotel?"
HOTEL_FR = "Où est l'hôtel ?"
UMBRELLA_FOR_T5 = "translate English to German: I have lost my umbrella in Venice."
UMBRELLA_DE = "Ich habe meinen Regenschirm in Venedig verloren."


def wait_until(condition: Callable[[], bool]) -> None:
    """Return once ``condition`` holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A copy of the embedded models, to be damaged."""
    return Path(shutil.copytree(DEMO_MODELS, tmp_path / "models"))


def folder_of(models: Path, name: str) -> Path:
    """Return where one model is."""
    [folder] = [path.parent for path in models.glob("*/model.bin") if path.parent.name == name]
    return folder


def damage(file: Path) -> bytes:
    """Overwrite the head of a file, whose size stays, and return what was in it."""
    whole = file.read_bytes()
    file.write_bytes(b"\xff" * 64 + whole[64:])
    return whole


def text_of(answer: Answer) -> str:
    """Return the text of a right answer."""
    assert answer.status == 200, answer.body
    return str(answer.json()["choices"][0]["message"]["content"])


def assert_load_failed(answer: Answer) -> None:
    """Check for the 503 that a model gives which cannot be loaded; it says nothing about files."""
    assert answer.status == 503, answer.body
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["param"], error["code"]) == ("server_error", "model", "model_load_failed")
    assert "t5-demo" in error["message"]
    assert not any(word in error["message"] for word in ("/", "model.bin", "version"))


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
def test_health_of_a_loaded_server_is_ok(server: Server, path: str) -> None:
    """All three answer 200 with JSON."""
    answer = server.request("GET", path)

    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["status"] == "ok"


def test_health_tells_the_state_of_each_model(server: Server) -> None:
    """An operator sees which model is loaded."""
    assert server.request("GET", "/health").json()["models"] == {"nllb-demo": "loaded", "t5-demo": "loaded"}


def test_server_that_is_loading_is_alive_and_not_ready(models: Path, tmp_path: Path) -> None:
    """It becomes ready by itself; requests for the model that is missing wait for it, others do not.

    The model's vocabulary is a pipe nobody has written to, so the load lasts as long as the test wants.
    """
    pipe = folder_of(models, "nllb-demo") / "shared_vocabulary.json"
    vocabulary = pipe.read_bytes()
    manifest = pipe.with_name("manifest.json")
    manifest.write_text(manifest.read_text(encoding="utf-8").replace(f'"size": {len(vocabulary)}', '"size": 0'))
    pipe.unlink()
    os.mkfifo(pipe)

    with running_server(tmp_path, ready=False, MODEL_PATH=str(models)) as server, ThreadPoolExecutor(1) as pool:
        assert server.request("GET", "/health/live").status == 200
        not_ready = server.request("GET", "/health/ready")
        assert (not_ready.status, not_ready.json()["status"]) == (503, "loading")
        assert not_ready.headers["retry-after"]
        assert server.request("GET", "/health").status == 200
        assert server.request("GET", "/health").json()["models"]["nllb-demo"] == "loading"
        early = pool.submit(server.chat, HOTEL, target_lang="fra_Latn")
        assert text_of(server.chat(UMBRELLA_FOR_T5, model="t5-demo")) == UMBRELLA_DE
        assert server.request("GET", "/health/ready").status == 503
        assert not early.done()

        # Opening fails for as long as the loader has not opened its end, and would wait if it never did.
        wait_until(lambda: _write_nonblocking(pipe, vocabulary))

        assert text_of(early.result(PATIENCE_S)) == HOTEL_FR
        wait_until(lambda: server.request("GET", "/health/ready").status == 200)
        assert server.request("GET", "/health").json() == {
            "status": "ok",
            "models": {"nllb-demo": "loaded", "t5-demo": "loaded"},
        }


def _write_nonblocking(pipe: Path, content: bytes) -> bool:
    try:
        descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return False
    os.set_blocking(descriptor, True)
    with os.fdopen(descriptor, "wb") as writer:
        writer.write(content)
    return True


def test_broken_lazy_model_costs_the_others_nothing(models: Path, tmp_path: Path) -> None:
    """Every caller hears that it cannot be loaded, the other model serves, and a mended file is tried again."""
    file = folder_of(models, "t5-demo") / "model.bin"
    whole = damage(file)

    with running_server(tmp_path, MODEL_PATH=str(models), LOAD="lazy") as server:
        assert server.request("GET", "/health").json()["models"] == {"nllb-demo": "unloaded", "t5-demo": "unloaded"}
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(server.chat, UMBRELLA_FOR_T5, model="t5-demo") for _ in range(6)]
            other = pool.submit(server.chat, HOTEL, model="nllb-demo", target_lang="fra_Latn")
            for answer in asked:
                assert_load_failed(answer.result(PATIENCE_S))
            assert text_of(other.result(PATIENCE_S)) == HOTEL_FR
        assert server.request("GET", "/health").json()["models"] == {"nllb-demo": "loaded", "t5-demo": "failed"}
        assert server.request("GET", "/health/ready").status == 200
        assert server.request("GET", "/v1/models/t5-demo").json()["state"] == "failed"

        file.write_bytes(whole)

        assert text_of(server.chat(UMBRELLA_FOR_T5, model="t5-demo")) == UMBRELLA_DE
        assert server.request("GET", "/health").json()["models"] == {"nllb-demo": "loaded", "t5-demo": "loaded"}


def test_broken_startup_model_keeps_the_server_from_being_ready(models: Path, tmp_path: Path) -> None:
    """The process stays alive and serves what it has, so that the file can be mended under it."""
    file = folder_of(models, "t5-demo") / "model.bin"
    whole = damage(file)

    with running_server(tmp_path, ready=False, MODEL_PATH=str(models)) as server:
        wait_until(lambda: server.request("GET", "/health").json()["models"]["t5-demo"] == "failed")
        assert server.request("GET", "/health/live").status == 200
        assert server.request("GET", "/health/ready").status == 503
        assert text_of(server.chat(HOTEL, target_lang="fra_Latn")) == HOTEL_FR
        assert_load_failed(server.chat(UMBRELLA_FOR_T5, model="t5-demo"))

        file.write_bytes(whole)

        assert text_of(server.chat(UMBRELLA_FOR_T5, model="t5-demo")) == UMBRELLA_DE
        assert server.request("GET", "/health/ready").status == 200
