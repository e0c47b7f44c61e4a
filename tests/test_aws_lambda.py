"""The function as Lambda runs it: AWS's runtime client, driven by AWS's runtime interface emulator."""

import errno
import http.client
import json
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Answer, clean_environment
from test_events import HTTP_WAYS, SENTENCE, TRANSLATION, answer_of, chat_event, http_event, others, warm_ups
from test_streams import parsed

MACHINE = {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")
EMULATOR = Path(sys.prefix) / "emulator" / "samcli" / "local" / "rapid" / f"aws-lambda-rie-{MACHINE}"
INVOCATIONS = "/2015-03-31/functions/function/invocations"
START_TIMEOUT_S = 30.0
INVOKE_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0

EMULATOR_LINE = re.compile(r"\d\d \w{3} \d{4} [\d:,]+ \[\w+\] \(rapid\) |(START|END|REPORT) RequestId: ")
PYTHON_313 = "AWS_Lambda_python3.13"
BOTH_RUNTIMES = ["managed_runtime", "bare_runtime"]

Message = dict[str, Any]


@dataclass(slots=True)
class Runtime:
    """An emulator and the runtime client that it starts with the first event."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def invoke_raw(self, event: object) -> tuple[int, bytes]:
        """Send one event and return the emulator's status and the function's response as it came."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=INVOKE_TIMEOUT_S)
        try:
            connection.request("POST", INVOCATIONS, json.dumps(event).encode())
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def invoke(self, event: object) -> Message:
        """Send one event and return the function's response."""
        _, response = self.invoke_raw(event)
        result: Message = json.loads(response)
        return result

    def ask(self, event: object) -> Answer:
        """Send one HTTP event and return what its client would get."""
        return answer_of(self.invoke(event))

    def lines(self) -> list[str]:
        """Return what the function has printed so far; a carriage return is part of a line."""
        lines = self.log.read_bytes().decode().split("\n")
        return [line for line in lines if line and not EMULATOR_LINE.match(line)]

    def log_lines(self, **fields: object) -> list[Message]:
        """Return the structured lines so far that have ``fields``."""
        lines = [json.loads(line) for line in self.lines() if line.startswith("{")]
        return [line for line in lines if fields.items() <= line.items()]

    def request_line(self, answer: Answer) -> Message:
        """Return the one line about the request that ``answer`` belongs to."""
        wanted = {"message": "request", "correlation_id": answer.headers["x-request-id"]}
        _wait_until(lambda: bool(self.log_lines(**wanted)), self)
        [line] = self.log_lines(**wanted)
        return line


def _wait_until(condition: Callable[[], bool], runtime: Runtime) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, f"nothing happened:\n{runtime.log.read_text(encoding='utf-8')}"
        time.sleep(0.02)


def _free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


def _is_listening(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _kill_all(process: subprocess.Popen[bytes]) -> None:
    """Kill an emulator that did not end, and the runtime that it leaves behind then: that has a group of its own."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
    process.kill()
    process.wait(timeout=STOP_TIMEOUT_S)
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(int(child), signal.SIGKILL)


@contextmanager
def running_runtime(folder: Path, **variables: str) -> Iterator[Runtime]:
    """Run the emulator on free ports until the block ends; the function itself starts with the first event."""
    assert EMULATOR.exists(), f"{EMULATOR} is missing: make .venv/.emulator"
    # AWS's own variables belong to whoever runs the tests.
    environment = {name: value for name, value in clean_environment().items() if not name.startswith("AWS_")}
    port, api_port = _free_ports()
    log = folder / "runtime.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                str(EMULATOR),
                *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
                *("--runtime-api-address", f"127.0.0.1:{api_port}"),
                *(sys.executable, "-m", "awslambdaric", "handler.aws_lambda.lambda_handler"),
            ],
            cwd=ROOT,
            env=environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    runtime = Runtime(port, process, log)
    try:
        _wait_until(lambda: _is_listening(port), runtime)
        yield runtime
    finally:
        process.terminate()
        try:
            process.wait(timeout=STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            _kill_all(process)


@pytest.fixture(scope="module")
def cold_answers() -> dict[str, Answer]:
    """The first two answers of the managed runtime, by name; ``managed_runtime`` fills them in."""
    return {}


@pytest.fixture(scope="module")
def managed_runtime(tmp_path_factory: pytest.TempPathFactory, cold_answers: dict[str, Answer]) -> Iterator[Runtime]:
    """The function with the environment of AWS's Python base images, and an alias with a slash."""
    folder = tmp_path_factory.mktemp("managed")
    with running_runtime(folder, AWS_EXECUTION_ENV=PYTHON_313, ALIASES='{"org/translate": "nllb-demo"}') as runtime:
        for name in ("first", "second"):
            cold_answers[name] = runtime.ask(chat_event("http_api_v2"))
        yield runtime


@pytest.fixture(scope="module")
def bare_runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """The function as an image of another base runs it, with Lambda's JSON log format; its first event is junk."""
    folder = tmp_path_factory.mktemp("bare")
    with running_runtime(folder, AWS_LAMBDA_LOG_FORMAT="JSON", AWS_LAMBDA_LOG_LEVEL="INFO") as runtime:
        assert runtime.invoke(None)["errorType"] == "UnsupportedEventError"
        yield runtime


@pytest.fixture(params=BOTH_RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    """Each of the two."""
    chosen: Runtime = request.getfixturevalue(request.param)
    return chosen


def content(answer: Answer) -> str:
    """Return the translation in an answer."""
    assert answer.status == 200, answer.body
    text: str = answer.json()["choices"][0]["message"]["content"]
    return text


def envelope(answer: Answer) -> Message:
    """Return the error in an answer, whose form is OpenAI's."""
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    error: Message = body["error"]
    return error


def timings(answer: Answer) -> dict[str, float]:
    """Return the phases in ``Server-Timing`` and their milliseconds."""
    phases = (phase.split(";dur=") for phase in answer.headers["server-timing"].split(", "))
    return {name: float(ms) for name, ms in phases}


# --- every way in -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("binary", [False, True], ids=["text", "base64"])
@pytest.mark.parametrize("way", HTTP_WAYS)
def test_every_way_in_translates(managed_runtime: Runtime, way: str, *, binary: bool) -> None:
    """With a body of text or base64, and an answer that is text."""
    response = managed_runtime.invoke(chat_event(way, binary=binary))

    assert response["isBase64Encoded"] is False
    assert content(answer_of(response)) == TRANSLATION


@pytest.mark.parametrize("way", HTTP_WAYS)
def test_a_stream_comes_in_one_piece(managed_runtime: Runtime, way: str) -> None:
    """The same events, where the way in cannot stream; what is refused is no stream."""
    response = managed_runtime.invoke(chat_event(way, stream=True, stream_options={"include_usage": True}))
    refused = managed_runtime.ask(chat_event(way, stream=True, model="gpt-5"))

    answer = answer_of(response)
    stream = parsed(answer.headers, answer.body)
    assert response["isBase64Encoded"] is False
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert (stream.texts(), stream.finish_reasons(), stream.last) == ({0: TRANSLATION}, {0: "stop"}, "[DONE]")
    assert stream.usage is not None
    assert (refused.status, envelope(refused)["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("way", HTTP_WAYS)
def test_every_way_in_lists_the_models_and_tells_its_health(managed_runtime: Runtime, way: str) -> None:
    """Requests without a body."""
    models = managed_runtime.ask(http_event(way, path="/v1/models"))
    health = managed_runtime.ask(http_event(way, path="/health"))

    assert [model["id"] for model in models.json()["data"]] == ["nllb-demo", "t5-demo"]
    assert health.status == 200


@pytest.mark.parametrize("path", ["/v1/models/org/translate", "/v1/models/org%2Ftranslate"], ids=["slash", "%2F"])
@pytest.mark.parametrize("way", HTTP_WAYS)
def test_a_model_id_may_hold_a_slash(managed_runtime: Runtime, way: str, path: str) -> None:
    """Raw or encoded, since some gateways decode paths and some do not."""
    answer = managed_runtime.ask(http_event(way, path=path))

    assert answer.status == 200
    assert answer.json()["id"] == "org/translate"


@pytest.mark.parametrize("way", HTTP_WAYS)
def test_headers_come_back_in_the_form_that_the_way_in_reads(managed_runtime: Runtime, way: str) -> None:
    """An ALB with multi-value headers reads ``multiValueHeaders`` alone, without them ``headers`` alone."""
    response = managed_runtime.invoke(http_event(way))

    form = "multiValueHeaders" if way == "alb_multi_value" else "headers"
    assert "x-request-id" in response[form]
    assert "content-type" in response[form]
    if way.startswith("alb"):
        assert len({"headers", "multiValueHeaders"} & set(response)) == 1


@pytest.mark.parametrize("way", HTTP_WAYS)
def test_errors_are_openais_envelope(managed_runtime: Runtime, way: str) -> None:
    """With the status of the error and the ids of every answer."""
    bad = managed_runtime.ask(chat_event(way, temperature=3))
    unknown_model = managed_runtime.ask(chat_event(way, model="gpt-5"))
    unknown_path = managed_runtime.ask(http_event(way, path="/v2/nothing"))
    wrong_method = managed_runtime.ask(http_event(way, path="/v1/chat/completions"))

    assert (bad.status, envelope(bad)["param"]) == (400, "temperature")
    assert (unknown_model.status, envelope(unknown_model)["code"]) == (404, "model_not_found")
    assert (unknown_path.status, envelope(unknown_path)["type"]) == (404, "invalid_request_error")
    assert (wrong_method.status, wrong_method.headers["allow"]) == (405, "POST")
    envelope(wrong_method)
    for answer in (bad, unknown_model, unknown_path, wrong_method):
        assert answer.headers["x-request-id"] == answer.headers["x-correlation-id"]


# --- what consoles, tests and other services send ---------------------------------------------------------------------


@pytest.mark.parametrize("way", HTTP_WAYS)
def test_null_headers_get_an_answer(managed_runtime: Runtime, way: str) -> None:
    """Null ``headers``, null ``multiValueHeaders``, and neither of them."""
    event = http_event(way)
    without = {key: value for key, value in event.items() if key not in {"headers", "multiValueHeaders"}}

    for broken in (event | {"headers": None}, event | {"multiValueHeaders": None}, without):
        assert managed_runtime.ask(broken).status == 200


@pytest.mark.parametrize("way", HTTP_WAYS)
def test_optional_keys_may_be_missing(managed_runtime: Runtime, way: str) -> None:
    """What is left is the method, the path and what tells the kinds of events apart."""
    needed = {"version", "resource", "path", "httpMethod", "requestContext"}
    event = {key: value for key, value in http_event(way).items() if key in needed}
    context = event["requestContext"]
    event["requestContext"] = {key: context[key] for key in ("http", "elb", "stage") if key in context}
    if "http" in context:
        event["requestContext"]["http"] = {key: context["http"][key] for key in ("method", "path")}

    assert managed_runtime.ask(event).status == 200


@pytest.mark.parametrize("body", ["%%%", "abc", "é", ""], ids=["signs", "cut", "no ASCII", "empty"])
@pytest.mark.parametrize("way", HTTP_WAYS)
def test_bad_base64_is_a_bad_request(managed_runtime: Runtime, way: str, body: str) -> None:
    """Not a failed invocation."""
    answer = managed_runtime.ask(chat_event(way) | {"body": body, "isBase64Encoded": True})

    assert answer.status == 400
    assert envelope(answer)["type"] == "invalid_request_error"


@pytest.mark.parametrize("body", [None, "", "{", b"\xff\xfe", '{"messages": "\ud800"}'], ids=repr)
def test_a_body_that_is_no_json_is_a_bad_request(managed_runtime: Runtime, body: str | bytes | None) -> None:
    """Nor is one that is not there, and one that no UTF-8 can hold."""
    event = http_event("function_url", "POST", "/v1/chat/completions", body, {"content-type": "application/json"})

    answer = managed_runtime.ask(event)

    assert answer.status == 400
    envelope(answer)


# --- text survives ----------------------------------------------------------------------------------------------------


def test_text_that_is_no_ascii_survives_both_encodings_of_the_runtime(runtime: Runtime) -> None:
    """The runtime client writes ASCII with escapes, or UTF-8 when it knows a newer Python; clients see the same."""
    model = "modèle-你好-🌍"

    translated = runtime.ask(chat_event("http_api_v2"))
    refused = runtime.ask(chat_event("http_api_v2", model=model))

    assert content(translated) == TRANSLATION
    assert model in envelope(refused)["message"]


def test_the_runtime_escapes_without_aws_execution_env_alone(managed_runtime: Runtime, bare_runtime: Runtime) -> None:
    """Six bytes a character against a limit of 6 MB is why an image of another base should set the variable."""
    _, utf8 = managed_runtime.invoke_raw(chat_event("function_url"))
    _, escaped = bare_runtime.invoke_raw(chat_event("function_url"))

    assert "hôtel".encode() in utf8
    assert escaped.isascii()
    assert content(answer_of(json.loads(escaped))) == TRANSLATION


# --- events without an HTTP request -----------------------------------------------------------------------------------


@warm_ups
def test_warm_ups_succeed_without_translating(managed_runtime: Runtime, event: Message) -> None:
    """And leave one line in the log."""
    before = len(managed_runtime.log_lines(message="warm-up"))
    requests = len(managed_runtime.log_lines(message="request"))

    assert managed_runtime.invoke(event) == {"status": "warm"}

    _wait_until(lambda: len(managed_runtime.log_lines(message="warm-up")) == before + 1, managed_runtime)
    assert len(managed_runtime.log_lines(message="request")) == requests
    # The id of an earlier request would be a lie.
    assert "correlation_id" not in managed_runtime.log_lines(message="warm-up")[-1]


@others
def test_other_events_fail_by_name_and_the_runtime_serves_the_next(runtime: Runtime, event: object) -> None:
    """Lambda then retries or reports them; nothing is dropped in silence."""
    failed = runtime.invoke(event)

    assert failed["errorType"] == "UnsupportedEventError"
    assert failed["errorMessage"].startswith("This function serves HTTP events; it got ")
    assert content(runtime.ask(chat_event("http_api_v2"))) == TRANSLATION


# --- ids, timings, logs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [way for way in HTTP_WAYS if not way.startswith("alb")])
def test_api_gateways_id_is_the_correlation_id(managed_runtime: Runtime, way: str) -> None:
    """In both headers and in the log line, whose other id is Lambda's own."""
    event = http_event(way)
    event["requestContext"]["requestId"] = request_id = f"gateway-{uuid.uuid4()}"

    answer = managed_runtime.ask(event)

    assert answer.headers["x-request-id"] == answer.headers["x-correlation-id"] == request_id
    line = managed_runtime.request_line(answer)
    assert line["function_request_id"] != request_id


@pytest.mark.parametrize("name", ["x-request-id", "X-Request-ID", "x-correlation-id"])
@pytest.mark.parametrize("way", HTTP_WAYS)
def test_a_sane_id_of_the_client_goes_before_api_gateways(managed_runtime: Runtime, way: str, name: str) -> None:
    """Whatever the case of the header's name."""
    request_id = f"client-{uuid.uuid4()}"

    answer = managed_runtime.ask(http_event(way, headers={name: request_id}))

    assert answer.headers["x-request-id"] == request_id
    managed_runtime.request_line(answer)


@pytest.mark.parametrize("given", ["", "a" * 129, "naïve", "a\nb", "a\x00b"], ids=["empty", "long", "é", "LF", "NUL"])
def test_an_id_that_is_not_sane_is_not_repeated(managed_runtime: Runtime, given: str) -> None:
    """API Gateway's stands in."""
    event = http_event("rest_v1", headers={"x-request-id": given})

    assert managed_runtime.ask(event).headers["x-request-id"] == event["requestContext"]["requestId"]


def test_a_request_without_any_id_gets_a_new_one(managed_runtime: Runtime) -> None:
    """An ALB gives none."""
    ids = [managed_runtime.ask(http_event("alb")).headers["x-request-id"] for _ in range(2)]

    assert len({uuid.UUID(each) for each in ids}) == 2


def test_the_first_answer_alone_tells_what_the_cold_start_took(
    managed_runtime: Runtime, cold_answers: dict[str, Answer]
) -> None:
    """In ``Server-Timing`` and in the log line."""
    first, second = (timings(cold_answers[name]) for name in ("first", "second"))

    every = {"queue", "tokenize", "translate", "total"}
    assert set(first) == every | {"init", "load"}
    assert set(second) == every
    assert first["init"] >= first["load"] > 0
    cold_lines = [line for line in managed_runtime.log_lines(message="request") if "init_ms" in line]
    assert len(cold_lines) == 1
    assert cold_lines[0]["cold_start"] is True


def test_thirty_invocations_in_a_row_answer_the_same(managed_runtime: Runtime) -> None:
    """The frozen and thawed process neither leaks nor slows down."""
    answers = [managed_runtime.ask(chat_event("http_api_v2")) for _ in range(30)]

    assert {content(answer) for answer in answers} == {TRANSLATION}
    assert len({answer.json()["id"] for answer in answers}) == 30


def test_every_line_of_the_function_is_json_in_lambdas_json_format(bare_runtime: Runtime) -> None:
    """The runtime client's lines, too; and no line comes twice, once from it and once from the app."""
    bare_runtime.invoke({})
    answer = bare_runtime.ask(http_event("http_api_v2", headers={"x-request-id": f"client-{uuid.uuid4()}"}))

    bare_runtime.request_line(answer)
    lines = [json.loads(line) for line in bare_runtime.lines()]
    assert [line for line in lines if line.get("errorType") == "UnsupportedEventError"]
    assert all(isinstance(line, dict) and "timestamp" in line for line in lines)


def test_every_line_of_the_app_is_json_and_holds_no_text_of_a_client(managed_runtime: Runtime) -> None:
    """What the runtime client itself writes about failed invocations is text in Lambda's default format."""
    event = chat_event("http_api_v2") | {"rawQueryString": "api_key=secret"}
    event["headers"] |= {"x-request-id": f"client-{uuid.uuid4()}", "authorization": "Bearer secret"}

    answer = managed_runtime.ask(event)

    line = managed_runtime.request_line(answer)
    assert line["service"] == "ctranslate2-server"
    assert (line["method"], line["path"], line["status"]) == ("POST", "/v1/chat/completions", 200)
    lines = [line for line in managed_runtime.lines() if not line.startswith("[ERROR] ")]
    assert all(isinstance(json.loads(line), dict) for line in lines)
    everything = "\n".join(managed_runtime.lines())
    assert SENTENCE not in everything
    assert "secret" not in everything


# --- a start that cannot succeed --------------------------------------------------------------------------------------


def test_a_start_that_cannot_succeed_ends_with_one_clear_line(tmp_path: Path) -> None:
    """No traceback, and the setting to mend by its name."""
    with running_runtime(tmp_path, MODEL_PATH="/nonexistent") as runtime:
        status, response = runtime.invoke_raw(chat_event("http_api_v2"))
        ended = "Process runtime-1 exited: exit status 1"
        _wait_until(lambda: ended in runtime.log.read_text(encoding="utf-8"), runtime)

        # Lambda starts a failed function again for the event that waits; the emulator may, too.
        reason = f"'/nonexistent' is not a folder that can be read: {os.strerror(errno.ENOENT)}"
        assert set(runtime.lines()) == {f"error: environment variable MODEL_PATH: {reason}"}
        assert status >= 500 or b"errorType" in response
