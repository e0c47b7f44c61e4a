"""CloudWatch's embedded metric format: one object for each invocation of a function that is told to write them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import run_python
from test_aws_lambda import PYTHON_313, Runtime, running_runtime
from test_events import WARM_UPS, chat_event, http_event
from test_health import wait_until

from handler.measurements import FIGURES

NAMESPACE = "Translate/Test"


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """A function that writes its figures."""
    folder = tmp_path_factory.mktemp("counting")
    with running_runtime(folder, AWS_EXECUTION_ENV=PYTHON_313, METRICS_NAMESPACE=NAMESPACE) as runtime:
        yield runtime


def blobs(runtime: Runtime) -> list[dict[str, Any]]:
    """Return all objects so far."""
    lines = [json.loads(line) for line in runtime.lines() if line.startswith("{")]
    return [line for line in lines if "_aws" in line]


def blob_of(runtime: Runtime, event: object) -> dict[str, Any]:
    """Invoke the function and return the one object it has written."""
    before = len(blobs(runtime))
    runtime.invoke(event)
    wait_until(lambda: len(blobs(runtime)) > before)
    [blob] = blobs(runtime)[before:]
    return blob


def test_an_invocation_writes_one_object(counting: Runtime) -> None:
    """Every figure of the request, in CloudWatch's units; the first invocation also tells of the models' loading."""
    first, second = (blob_of(counting, chat_event("http_api_v2")) for _ in range(2))

    assert len(first["model_load_seconds"]) == 2
    assert "model_load_seconds" not in second
    [directive] = second["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == NAMESPACE
    assert directive["Dimensions"] == [["service"]]
    assert second["service"] == "ctranslate2-server"
    units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    assert units == {
        "requests": "Count",
        "completions": "Count",
        "prompt_tokens": "Count",
        "completion_tokens": "Count",
        "completion_seconds": "Seconds",
        "queue_wait_seconds": "Seconds",
        "decode_seconds": "Seconds",
    }
    assert (second["requests"], second["completions"]) == ([1], [1])
    assert 0 < second["decode_seconds"][0] < second["completion_seconds"][0] < 60
    assert second["prompt_tokens"][0] > 3


def test_the_names_are_those_of_the_page_without_their_prefix(counting: Runtime) -> None:
    """One list of figures for both."""
    blob = blob_of(counting, chat_event("http_api_v2", stream=True))

    known = {figure.name.removeprefix("ct2_").removesuffix("_total") for figure in FIGURES}
    written = {metric["Name"] for metric in blob["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert "time_to_first_token_seconds" in written <= known


def test_a_refusal_is_a_request_and_no_completion(counting: Runtime) -> None:
    """Whoever asks for nothing that exists is counted, and nothing of it is written."""
    blob = blob_of(counting, http_event("http_api_v2", "GET", "/quixotic"))

    assert blob["requests"] == [1]
    assert "completions" not in blob
    assert "quixotic" not in json.dumps(blob)


def test_a_warm_up_writes_none(counting: Runtime) -> None:
    """There is nothing to tell of it."""
    counting.ask(chat_event("http_api_v2"))
    before = len(blobs(counting))

    counting.invoke(WARM_UPS["rule"])
    blob_of(counting, chat_event("http_api_v2"))

    assert len(blobs(counting)) == before + 1


def test_none_are_written_unless_they_are_asked_for() -> None:
    """Figures cost money, and their code time at the start."""
    code = """
import json, sys
from handler.aws_lambda import lambda_handler
lambda_handler(json.loads(sys.argv[1]), None)
print("aws_lambda_powertools.metrics" in sys.modules, "handler.emf" in sys.modules)
"""
    event = json.dumps(chat_event("http_api_v2"))

    off = run_python("-c", code, event)
    on = run_python("-c", code, event, METRICS_NAMESPACE=NAMESPACE)

    assert (off.returncode, off.stderr, off.stdout.splitlines()[-1]) == (0, "", "False False")
    assert "_aws" not in off.stdout
    assert (on.returncode, on.stderr, on.stdout.splitlines()[-1]) == (0, "", "True True")
    assert on.stdout.count('"_aws"') == 1


def test_a_namespace_that_cloudwatch_would_refuse_ends_init() -> None:
    """With the line that any wrong setting gives."""
    done = run_python("-c", "import handler.aws_lambda", METRICS_NAMESPACE="AWS/Lambda")

    assert done.returncode == 1
    assert done.stderr.startswith("error: environment variable METRICS_NAMESPACE: 'AWS/Lambda': at most 255 of")
    assert done.stderr.count("\n") == 1
