"""The end of a server: what runs is answered, what comes is sent elsewhere, and the process says it went well."""

import http.client
import json
import signal
import socket
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from conftest import REQUEST_TIMEOUT_S, Answer, Server, running_server

HOTEL, HOTEL_FR = "Where is the hotel?", "Où est l'hôtel ?"
FRENCH = {"source_lang": "eng_Latn", "target_lang": "fra_Latn"}
LONG = f"{HOTEL}\n" * 1500
CLIENTS = 32


def _wait_until_draining(server: Server) -> None:
    deadline = time.monotonic() + REQUEST_TIMEOUT_S
    while server.request("GET", "/health/ready").json()["status"] != "draining":
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _running(long: "Future[Answer]") -> None:
    """Return once the long request, which takes seconds, is on its way."""
    time.sleep(0.5)
    assert not long.done()


def test_what_runs_is_finished_and_what_comes_is_refused(tmp_path: Path) -> None:
    """Readiness tells it, liveness stays; the refusal says when to come again, and exit code 0 that it went well."""
    with running_server(tmp_path) as server, ThreadPoolExecutor(1) as pool:
        long = pool.submit(server.chat, LONG, **FRENCH, beam_size=16)
        _running(long)
        server.process.send_signal(signal.SIGTERM)
        _wait_until_draining(server)
        ready, live = (server.request("GET", f"/health/{kind}") for kind in ("ready", "live"))
        refused = server.chat(HOTEL, **FRENCH)
        answer = long.result(REQUEST_TIMEOUT_S)
        exit_code = server.process.wait(REQUEST_TIMEOUT_S)

    assert (ready.status, live.status) == (503, 200)
    assert (refused.status, refused.headers["retry-after"], refused.headers["connection"]) == (503, "1", "close")
    assert refused.json()["error"]["code"] == "draining"
    assert (answer.status, answer.json()["choices"][0]["message"]["content"]) == (200, f"{HOTEL_FR}\n" * 1500)
    assert exit_code == 0


def test_what_takes_too_long_is_told_so(tmp_path: Path) -> None:
    """After the grace time a request is refused like one that came too late."""
    with running_server(tmp_path, DRAIN_S="0.2") as server, ThreadPoolExecutor(1) as pool:
        long = pool.submit(server.chat, LONG, **FRENCH, beam_size=16)
        _running(long)
        start = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        answer = long.result(REQUEST_TIMEOUT_S)
        exit_code = server.process.wait(REQUEST_TIMEOUT_S)
        took_s = time.monotonic() - start

    assert (answer.status, answer.json()["error"]["code"]) == (503, "draining")
    assert exit_code == 0
    assert took_s < 10


def test_who_has_not_sent_all_in_time_is_told_so(tmp_path: Path) -> None:
    """A body that stops half-way does not keep the process, and is no error of its own."""
    with running_server(tmp_path, DRAIN_S="0.2") as server:
        address = urlsplit(server.url)
        with socket.create_connection((address.hostname, address.port), REQUEST_TIMEOUT_S) as connection:
            connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 99\r\n\r\n{")
            time.sleep(0.5)
            server.process.send_signal(signal.SIGTERM)
            with connection.makefile("rb") as answer:
                head, _, body = answer.read().partition(b"\r\n\r\n")
        exit_code = server.process.wait(REQUEST_TIMEOUT_S)
        log = server.log.read_text(encoding="utf-8")

    assert head.startswith(b"HTTP/1.1 503 ")
    assert json.loads(body)["error"]["code"] == "draining"
    assert exit_code == 0
    assert "Traceback" not in log


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    """Whoever asks twice means now."""
    with running_server(tmp_path, DRAIN_S="300") as server, ThreadPoolExecutor(1) as pool:
        long = pool.submit(server.chat, LONG, **FRENCH, beam_size=16)
        _running(long)
        server.process.send_signal(signal.SIGTERM)
        _wait_until_draining(server)
        server.process.send_signal(signal.SIGTERM)
        exit_code = server.process.wait(REQUEST_TIMEOUT_S)
        answer = long.result(REQUEST_TIMEOUT_S)

    assert exit_code == 0
    assert answer.status == 503


def test_no_request_of_many_clients_fails(tmp_path: Path) -> None:
    """Each is answered in full or refused in the envelope, over connections that are kept."""

    def client(server: Server) -> list[tuple[int, Any]]:
        address = urlsplit(server.url)
        answers: list[tuple[int, Any]] = []
        with closing(
            http.client.HTTPConnection(str(address.hostname), address.port, timeout=REQUEST_TIMEOUT_S)
        ) as connection:
            while not answers or answers[-1][0] == 200:
                # The connection is closed with the refusal, and the refusal ends this client.
                body = json.dumps({"messages": [{"role": "user", "content": HOTEL}], **FRENCH})
                connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
                response = connection.getresponse()
                answers.append((response.status, json.loads(response.read())))
                if response.headers["connection"] == "close":
                    break
        return answers

    with running_server(tmp_path) as server, ThreadPoolExecutor(CLIENTS) as pool:
        futures = [pool.submit(client, server) for _ in range(CLIENTS)]
        time.sleep(1)
        server.process.send_signal(signal.SIGTERM)
        answers = [answer for future in futures for answer in future.result(REQUEST_TIMEOUT_S)]
        exit_code = server.process.wait(REQUEST_TIMEOUT_S)

    assert exit_code == 0
    assert {status for status, _ in answers} <= {200, 503}
    assert sum(status == 200 for status, _ in answers) >= CLIENTS
    for status, body in answers:
        if status == 200:
            assert body["choices"][0]["message"]["content"] == HOTEL_FR
        else:
            assert body["error"]["code"] == "draining"


def test_a_stream_that_takes_too_long_is_told_so(tmp_path: Path) -> None:
    """Its status was 200; the error is its last event, and the log has it."""
    with running_server(tmp_path, DRAIN_S="0.2") as server, ThreadPoolExecutor(1) as pool:
        long = pool.submit(server.chat, LONG, **FRENCH, beam_size=16, stream=True)
        _running(long)
        server.process.send_signal(signal.SIGTERM)
        answer = long.result(REQUEST_TIMEOUT_S)
        exit_code = server.process.wait(REQUEST_TIMEOUT_S)
        [line] = [line for line in server.log_lines() if line.get("path") == "/v1/chat/completions"]

    *_, error, done, _ = answer.body.decode().split("\n\n")
    assert (answer.status, done, exit_code) == (200, "data: [DONE]", 0)
    assert json.loads(error.removeprefix("data: "))["error"]["code"] == "draining"
    assert line["error"] == "DrainingError"


def test_after_a_kill_the_next_process_serves(tmp_path: Path) -> None:
    """Nothing that a killed process leaves behind keeps another from its port and its models."""
    killed, restarted = tmp_path / "killed", tmp_path / "restarted"
    killed.mkdir()
    restarted.mkdir()
    with running_server(killed) as server, ThreadPoolExecutor(1) as pool:
        long = pool.submit(server.chat, LONG, **FRENCH, beam_size=16)
        _running(long)
        server.process.kill()
        with pytest.raises(OSError):  # noqa: PT011 - which one is the operating system's choice
            long.result(REQUEST_TIMEOUT_S)
    port = str(urlsplit(server.url).port)
    with running_server(restarted, "--port", port) as server:
        answer = server.chat(HOTEL, **FRENCH)

    assert answer.json()["choices"][0]["message"]["content"] == HOTEL_FR


def test_an_engine_that_fails_some_texts_goes_on(tmp_path: Path) -> None:
    """Three failures in a row make it suspicious; it translates a word, and is ready again."""
    positions = "100000"  # More than the model has: CTranslate2 refuses what the server lets through.
    with running_server(
        tmp_path, MAX_PROMPT_TOKENS=positions, MODELS__NLLB_DEMO__MAX_SOURCE_TOKENS=positions
    ) as server:
        failed = [server.chat("you " * 5000, **FRENCH) for _ in range(6)]
        deadline = time.monotonic() + REQUEST_TIMEOUT_S
        while (ready := server.request("GET", "/health/ready")).status != 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        answer = server.chat(HOTEL, **FRENCH)
        running = server.process.poll() is None
        levels = {line["level"] for line in server.log_lines()}

    assert [answer.status for answer in failed] == [500] * 6
    assert ready.json()["models"]["nllb-demo"] == "loaded"
    assert answer.json()["choices"][0]["message"]["content"] == HOTEL_FR
    assert running
    assert "CRITICAL" not in levels
