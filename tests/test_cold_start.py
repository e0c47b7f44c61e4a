"""A cold start as a whole: what it warms up, and how it ends when it cannot succeed."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import run_python

from handler.settings import DEMO_MODELS

TIMEOUT_S = 60
NLLB = DEMO_MODELS / "nllb-demo"


def start(**variables: str) -> subprocess.CompletedProcess[str]:
    """Import the entry point in a fresh interpreter, as Lambda's runtime does."""
    return run_python("-c", "import handler.aws_lambda", **variables)


def lines(output: str) -> list[dict[str, Any]]:
    """Return the structured lines of a log."""
    return [json.loads(line) for line in output.splitlines()]


@pytest.mark.parametrize(
    ("kind", "warm"),
    [(None, False), ("on-demand", False), ("provisioned-concurrency", True), ("snap-start", True)],
    ids=["not said", "on demand", "provisioned", "snapshot"],
)
def test_a_word_is_translated_where_nobody_waits(kind: str | None, warm: bool) -> None:  # noqa: FBT001 - a case
    """A request that waits is the first translation itself."""
    variables = {"AWS_LAMBDA_INITIALIZATION_TYPE": kind} if kind else {}

    done = start(MODEL_PATH=str(NLLB), **variables)

    assert (done.returncode, done.stderr) == (0, "")
    [line] = lines(done.stdout)
    assert line["message"] == "demo model loaded"
    assert (line["warm_up_ms"] > 0) is warm


@pytest.mark.parametrize("guessed", [True, False], ids=["loaded ahead", "loaded later"])
def test_a_broken_model_ends_init_with_one_line(guessed: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a case
    """Of the right size, and no model."""
    broken = tmp_path / "broken"
    shutil.copytree(NLLB, broken)
    (broken / "model.bin").write_bytes(bytes((NLLB / "model.bin").stat().st_size))
    (tmp_path / "config.toml").write_text(f'model_path = "{broken}"\n', encoding="utf-8")
    variables = {"MODEL_PATH": str(broken)} if guessed else {"CONFIG_FILE": str(tmp_path / "config.toml")}

    done = start(**variables)

    assert (done.returncode, done.stderr) == (1, "")
    [line] = lines(done.stdout)
    assert (line["level"], line["message"], line["model"]) == ("ERROR", "model failed to load", "nllb-demo")
    assert line["reason"]


@pytest.mark.parametrize(
    ("variables", "parts"),
    [
        ({"MODEL_PATH": "/nowhere"}, ["model_path", "/nowhere"]),
        ({"MODEL_PATH": str(NLLB), "BEAM_SIZE": "99"}, ["BEAM_SIZE", "99", "32"]),
        ({"MODEL_PATH": str(NLLB), "INTER_THREADS": "none"}, ["INTER_THREADS", "none"]),
        ({"MODEL_PATH": str(NLLB), "INTRA_THREADS": "100000"}, ["INTRA_THREADS", "100000", "256"]),
    ],
    ids=["no folder", "beam", "threads", "too many threads"],
)
def test_a_wrong_setting_ends_init_with_one_line(variables: dict[str, str], parts: list[str]) -> None:
    """Also when the model it is about has been loaded by then."""
    done = start(**variables)

    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert all(part.lower() in line.lower() for part in parts)


@pytest.mark.parametrize(
    ("name", "loads"), [("COMPUTE_TYPE", 1), ("compute_type", 2)], ids=["right guess", "wrong guess"]
)
def test_a_right_guess_is_the_only_load_and_a_wrong_one_is_not_used(name: str, loads: int) -> None:
    """The settings read names of variables in any case; the guess does not, and takes the model for int8."""
    code = """
import handler.weights
load, loaded = handler.weights.open_translator, []
def open_translator(folder, **options):
    loaded.append(options["compute_type"])
    return load(folder, **options)
handler.weights.open_translator = open_translator
import handler.aws_lambda
print(len(loaded))
"""

    done = run_python("-c", code, MODEL_PATH=str(NLLB), **{name: "float32"})

    assert (done.returncode, done.stderr) == (0, "")
    line, count = map(json.loads, done.stdout.splitlines())
    assert line["compute_type"] == "float32"
    assert count == loads


@pytest.mark.parametrize(
    "variables",
    [
        {"PYDANTIC_DISABLE_PLUGINS": "logfire-plugin"},
        {"AWS_LAMBDA_LOG_LEVEL": "WARN", "AWS_LAMBDA_LOG_FORMAT": "JSON", "LOG_LEVEL": "WARNING"},
    ],
    ids=["pydantic's plugins", "Lambda's log level"],
)
def test_other_peoples_variables_are_no_trouble(variables: dict[str, str]) -> None:
    """Pydantic's search for plugins, and the level of Lambda's own log controls."""
    done = start(MODEL_PATH=str(NLLB), **variables)

    assert (done.returncode, done.stderr) == (0, "")


def test_an_init_that_fails_does_not_wait_for_weights() -> None:
    """They may take longer to load than Lambda lets an init take."""
    code = "from handler import ahead; import time; ahead.begin(time.sleep, 90); import handler.lambda_app"

    done = run_python("-c", code, MODEL_PATH="/nowhere")

    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("error: environment variable MODEL_PATH: ")
