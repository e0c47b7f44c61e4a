"""``/metrics``: what is counted, by the requests of a real server, and who may see it."""

import http.client
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from conftest import Server, run_python, running_server
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from scraping import TEXT, Page, scrape, scrape_until
from test_health import damage, folder_of, wait_until
from test_streams import LONG

from handler.measurements import (
    BATCH_SENTENCES,
    BATCH_SOURCE_TOKENS,
    COMPLETION,
    FIGURES,
    PROMPT_TOKENS,
    REQUESTS,
    Measurements,
    Totals,
)
from handler.settings import DEMO_MODELS

CHAT = "/v1/chat/completions"
HOTEL = "Where is the hotel?"
KEY = "sk-of-the-metrics"
CANARY = "quixotic"


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that nobody but this module asks."""
    with running_server(tmp_path_factory.mktemp("counted")) as running:
        yield running


def settled(server: Server) -> Page:
    """Return a page on which no request is missing: this one is alone."""
    return scrape_until(server, lambda page: page.value("ct2_requests_in_flight") == 1)


def grown(before: Page, after: Page, name: str, **labels: str) -> float:
    """Return by how much a counter has grown."""
    return after.value(name, **labels) - before.value(name, **labels)


def send(server: Server, method: str, path: str) -> int:
    """Send a method that urllib would not, and return the status."""
    address = urlsplit(server.url)
    with closing(http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)) as connection:
        connection.request(method, path)
        return connection.getresponse().status


def test_requests_are_counted_by_status_alone(counted: Server) -> None:
    """Whatever clients make up, no label has it: figures stay few, and nobody's words get into them."""
    before = settled(counted)

    statuses = [
        counted.chat(f"{CANARY} {HOTEL}", target_lang="fra_Latn", user=CANARY).status,
        counted.chat(HOTEL, target_lang=CANARY).status,
        counted.chat(HOTEL, model=CANARY).status,
        counted.request("GET", f"/{CANARY}?{CANARY}", headers={"x-request-id": CANARY}).status,
        counted.request("GET", f"/v1/models/{CANARY}").status,
        counted.request("DELETE", "/v1/models").status,
        send(counted, "PROPFIND", "/v1/models"),
        counted.request("POST", CHAT, b" " * 1_048_577, {"content-type": "application/json"}).status,
    ]

    after = settled(counted)
    assert statuses == [200, 400, 404, 404, 404, 405, 405, 413]
    # The first of the two pages was itself a request when it had been sent, and any between them.
    for status, count in {"400": 1, "404": 3, "405": 2, "413": 1}.items():
        assert grown(before, after, "ct2_requests_total", status=status) == count
    assert grown(before, after, "ct2_requests_total", status="200") >= 2
    for status, count in {"200": 1, "400": 1, "404": 1, "405": 0, "413": 0}.items():
        assert grown(before, after, "ct2_completions_total", status=status) == count
    assert grown(before, after, "ct2_failed_completions_total") == 0
    assert not any(word in after.text for word in (CANARY, "PROPFIND", "GET", "/v1", "demo"))
    named = {label for name, labels in after.samples if name.startswith("ct2_") for label in labels}
    assert {label for label, _ in named} == {"status", "le", "state"}
    assert all(value.isdecimal() and len(value) == 3 for label, value in named if label == "status")


def test_tokens_and_times_are_those_of_the_answers(counted: Server) -> None:
    """They add up to the usage that clients are told; every phase is part of the whole."""
    before = settled(counted)

    answers = [counted.chat("\n".join([HOTEL] * count), target_lang="fra_Latn") for count in (1, 3)]
    counted.chat(HOTEL, target_lang="fra_Latn", stream=True)
    whole = counted.chat(HOTEL, target_lang="fra_Latn")

    after = settled(counted)
    usages = [answer.json()["usage"] for answer in (*answers, whole, whole)]
    assert grown(before, after, "ct2_prompt_tokens_total") == sum(usage["prompt_tokens"] for usage in usages)
    assert grown(before, after, "ct2_completion_tokens_total") == sum(usage["completion_tokens"] for usage in usages)
    names = ("ct2_queue_wait_seconds", "ct2_decode_seconds", "ct2_completion_seconds")
    assert {grown(before, after, f"{name}_count") for name in names} == {4}
    waited, decoded, all_s = (grown(before, after, f"{name}_sum") for name in names)
    assert 0 < waited + decoded < all_s < 60
    assert grown(before, after, "ct2_time_to_first_token_seconds_count") == 1
    assert 0 < grown(before, after, "ct2_time_to_first_token_seconds_sum") < all_s


def test_models_and_process_are_shown(counted: Server) -> None:
    """Two models have been loaded; the process is this server's."""
    page = scrape(counted)

    assert page.value("ct2_model_load_seconds_count") == 2
    assert page.value("ct2_model_load_seconds_sum") > 0
    states = {state: page.value("ct2_models", state=state) for state in ("unloaded", "loading", "loaded", "failed")}
    assert states == {"unloaded": 0, "loading": 0, "loaded": 2, "failed": 0}
    assert page.value("ct2_ready") == 1
    assert page.value("ct2_queue_requests") == 0
    assert page.value("process_resident_memory_bytes") > 10_000_000
    assert page.value("process_cpu_seconds_total") > 0
    open_files = len(list(Path(f"/proc/{counted.process.pid}/fd").iterdir()))
    assert abs(page.value("process_open_fds") - open_files) < 10


def test_what_waits_is_shown_and_what_is_refused_is_counted(tmp_path: Path) -> None:
    """Two threads work, one request may wait, and five find no room; a document waits as long as a part of it does."""
    with running_server(tmp_path, MAX_QUEUED_REQUESTS="1", BATCHING="false") as server, ThreadPoolExecutor(8) as pool:
        asked = [
            pool.submit(server.chat, LONG, source_lang="eng_Latn", target_lang="fra_Latn", beam_size=1)
            for _ in range(8)
        ]
        crowded = scrape_until(server, lambda page: page.value("ct2_queue_requests") == 3)
        statuses = sorted(request.result().status for request in asked)
        after = settled(server)

    assert statuses == [200, 200, 200, 429, 429, 429, 429, 429]
    assert crowded.value("ct2_requests_in_flight") >= 4
    assert after.value("ct2_queue_requests") == 0
    assert after.value("ct2_refused_completions_total") == 5
    assert after.by_status("ct2_completions_total") == {"200": 3, "429": 5}
    assert after.value("ct2_queue_wait_seconds_count") == 3


def test_failures_of_the_server_are_counted(tmp_path: Path) -> None:
    """Past its time: a stream that breaks off, whose status was 200, and a whole answer, which is a 504."""
    with running_server(tmp_path, MAX_REQUEST_S="1") as server:
        stream = server.chat(LONG, source_lang="eng_Latn", target_lang="fra_Latn", stream=True, beam_size=16)
        whole = server.chat(LONG, source_lang="eng_Latn", target_lang="fra_Latn", beam_size=16)
        page = settled(server)

    assert (stream.status, whole.status) == (200, 504)
    assert page.by_status("ct2_completions_total") == {"200": 1, "504": 1}
    assert page.value("ct2_failed_completions_total") == 2
    # It had a first token, and no end that would say how long an answer takes.
    assert page.value("ct2_time_to_first_token_seconds_count") == 1
    assert page.value("ct2_completion_seconds_count") == 0


def test_a_model_that_does_not_load_is_shown(tmp_path: Path) -> None:
    """The server is up, not ready, and says how often it has tried."""
    models = Path(shutil.copytree(DEMO_MODELS, tmp_path / "models"))
    damage(folder_of(models, "t5-demo") / "model.bin")
    with running_server(tmp_path, ready=False, MODEL_PATH=str(models)) as server:
        wait_until(lambda: server.request("GET", "/health").json()["status"] == "failed")
        refused = server.chat(HOTEL, model="t5-demo")
        page = scrape_until(server, lambda page: page.value("ct2_models", state="loaded") == 1)

    assert refused.status == 503
    assert page.value("ct2_ready") == 0
    assert page.value("ct2_models", state="failed") == 1
    assert page.value("ct2_model_load_failures_total") >= 2
    assert page.value("ct2_model_load_seconds_count") == 1


# --- the page itself --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "accept", ["application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "text/plain", "*/*", ""]
)
def test_both_text_formats_can_be_read(counted: Server, accept: str) -> None:
    """OpenMetrics for who asks for it, as Prometheus does."""
    answer = counted.request("GET", "/metrics", headers={"accept": accept} if accept else {})

    text = answer.body.decode()
    assert answer.status == 200
    if "openmetrics" in accept:
        assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
        assert len(list(openmetrics_families(text))) > len(FIGURES)  # type: ignore[no-untyped-call] # as the library has it
    else:
        assert answer.headers["content-type"] == TEXT
        assert "# TYPE ct2_completion_seconds histogram" in text
    assert answer.headers["x-request-id"]


def test_the_head_alone_may_be_asked_for(counted: Server) -> None:
    """And nothing else."""
    head = counted.request("HEAD", "/metrics")

    assert (head.status, head.body, head.headers["content-type"]) == (200, b"", TEXT)
    assert counted.request("POST", "/metrics", b"").status == 405
    assert counted.request("GET", "/metrics/").status == 404


def test_two_apps_of_one_process_count_apart() -> None:
    """Nothing is registered with the library's global registry."""
    code = """
import asyncio, sys
import httpx
from handler.composition import compose
from handler.settings import Settings
from handler.settings_sources import LoadedSettings
from prometheus_client import REGISTRY

known = set(REGISTRY._names_to_collectors)
quiet = LoadedSettings(Settings(load="lazy", log_level="ERROR"), {})

async def main():
    first, second = (
        httpx.AsyncClient(transport=httpx.ASGITransport(compose(quiet)), base_url="http://test")
        for _ in range(2)
    )
    await first.get("/nowhere")
    for client in (first, second):
        page = (await client.get("/metrics")).text
        print(*(line for line in page.splitlines() if 'requests_total{status="404"}' in line))
        await client.aclose()

asyncio.run(main())
print(set(REGISTRY._names_to_collectors) == known)
"""
    done = run_python("-c", code, LOG_LEVEL="ERROR")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        'ct2_requests_total{status="404"} 1.0',
        'ct2_requests_total{status="404"} 0.0',
        "True",
    ]


# --- who may see it ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "stranger", "friend"),
    [("open", 200, 200), ("guarded", 401, 200), ("off", 404, 404)],
    ids=["open", "guarded", "off"],
)
def test_a_setting_says_who_may_see_it(tmp_path: Path, setting: str, stranger: int, friend: int) -> None:
    """Open beside keys by default, as health checks are; or with a key; or not there at all."""
    with running_server(tmp_path, METRICS=setting, API_KEYS=KEY) as server:
        answers = [
            server.request("GET", "/metrics", headers=headers)
            for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Bearer {KEY}"})
        ]
        health = server.request("GET", "/health/live")

    assert [answer.status for answer in answers] == [stranger, stranger, friend]
    assert health.status == 200
    codes = {answer.json()["error"]["code"] for answer in answers if answer.status != 200}
    assert codes == {401: {"invalid_api_key"}, 404: {"unknown_url"}, 200: set()}[stranger]


def test_it_is_no_operation_of_the_api(counted: Server) -> None:
    """Like the documentation itself, it does not stand in the document."""
    document = counted.request("GET", "/openapi.json").json()

    assert not {"/metrics", "/docs", "/openapi.json"} & document["paths"].keys()
    assert document["paths"]


def test_a_missing_package_stops_the_start_with_one_line() -> None:
    """Not the first scrape; and who wants no page needs no package."""
    code = """
import sys
sys.modules["prometheus_client"] = None
from handler.composition import compose
from handler.errors import SettingsError
from handler.settings import Settings
from handler.settings_sources import LoadedSettings
for metrics in ("off", "open"):
    try:
        compose(LoadedSettings(Settings(load="lazy", metrics=metrics, log_level="ERROR"), {}))
        print("starts")
    except SettingsError as error:
        print(error)
"""
    done = run_python("-c", code)

    refusal = (
        "metrics = 'open' needs prometheus-client, which is not installed: "
        "pip install 'ctranslate2-server[host]', or metrics = 'off'"
    )
    assert done.stdout.splitlines() == ["starts", refusal]


# --- adding up --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "bucket"),
    [(0.0, 0), (0.005, 0), (0.0051, 1), (300.0, 14), (300.1, 15)],
    ids=["nothing", "bound", "above it", "last bound", "beyond"],
)
def test_a_bound_is_part_of_its_bucket(value: float, bucket: int) -> None:
    """``le`` is "less or equal"."""
    totals = Totals()

    totals.add(COMPLETION, value)

    assert totals.histogram(COMPLETION) == ((0,) * bucket + (1,) * (16 - bucket), value)


def test_a_batch_is_reported_in_one_call() -> None:
    """By whoever decodes the sentences of many requests together."""
    totals = Totals()
    measurements = Measurements(totals)

    measurements.batch(sentences=3, source_tokens=40)
    measurements.batch(sentences=1, source_tokens=9)

    assert totals.histogram(BATCH_SENTENCES) == ((1, 1, *[2] * 8), 4)
    assert totals.histogram(BATCH_SOURCE_TOKENS)[1] == 49


def test_no_figure_is_lost_between_threads() -> None:
    """Models are loaded and batches decoded beside the event loop."""
    totals = Totals()

    def add() -> None:
        for _ in range(2_000):
            totals.add(PROMPT_TOKENS, 3)
            totals.add(REQUESTS, 1, 200)
            totals.add(COMPLETION, 0.5)

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert totals.count(PROMPT_TOKENS) == 48_000
    assert totals.by_status(REQUESTS)[200] == 16_000
    assert totals.histogram(COMPLETION)[0][-1] == 16_000


def test_figures_without_a_sink_go_nowhere() -> None:
    """As on Lambda, unless it is asked for."""
    measurements: Any = Measurements()

    measurements.batch(sentences=1, source_tokens=1)
    measurements.model_loaded(1.0)
    measurements.model_failed()

    assert measurements.sink is None
