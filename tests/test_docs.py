"""``/docs`` renders in a real browser that reaches nothing but the server, and on every way in."""

import asyncio
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from browser import behind_a_stage, path_of, visit
from conftest import Answer, Server, run_python, running_server
from test_events import HTTP_WAYS, answer_of, http_event

from handler.app import create_app
from handler.catalog import build_catalog
from handler.models import ModelManager
from handler.settings import Settings
from handler.swagger_ui import NAMES, asset

KEY = "sk-of-the-docs-tests"
PAGE, DOCUMENT, BUNDLE = "/docs", "/openapi.json", "/docs/swagger-ui-bundle.js"
EVERYTHING = (PAGE, BUNDLE, "/docs/swagger-ui.css", "/docs/start.js", DOCUMENT)
JAVASCRIPT = "text/javascript; charset=utf-8"

OPERATIONS = """await until(() => document.querySelectorAll(".opblock").length) && [
  [...document.querySelectorAll(".opblock-summary-path")].map((path) => path.dataset.path),
  document.body.innerText,
]"""
EXECUTE = """await (async () => {
  // Looked up each time: what is shown is made anew when anything changes.
  const part = (selector) => until(() => document.querySelector(`#operations-%s ${selector}`));
  (await part(".opblock-summary-control")).click();
  await part(".execute");
  // The button is there a moment before it knows what to do.
  await until(() => ui.specSelectors.specResolvedSubtree(["paths", "%s", "%s", "responses"]));
  (await part(".execute")).click();
  return (await part(".live-responses-table .response")).innerText;
})()"""


@pytest.fixture(scope="module")
def document(server: Server) -> Any:
    """The document as the server sends it."""
    return server.request("GET", DOCUMENT).json()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose documentation needs a key."""
    with running_server(tmp_path_factory.mktemp("guarded"), DOCS="guarded", API_KEYS=KEY) as running:
        yield running


def test_every_operation_is_shown_and_nobody_else_is_asked(tmp_path: Path) -> None:
    """In a browser that cannot find any other host, by the server's own log."""
    with running_server(tmp_path) as server:
        seen = visit(f"{server.url}/docs", OPERATIONS)
        document = server.request("GET", DOCUMENT).json()
        asked = {line["path"] for line in server.log_lines() if line["message"] == "request"}

    paths, text = seen.value
    assert set(paths) == set(document["paths"])
    assert "/v1/chat/completions" in text
    assert document["info"]["title"] in text
    assert seen.complaints == []
    assert {path_of(url) for url in seen.requests} == set(EVERYTHING) <= asked
    assert all(url.startswith(f"{server.url}/") for url in seen.requests)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (("Models-listModels", "/v1/models", "get"), '"id": "nllb-demo"'),
        (("Chat-createChatCompletion", "/v1/chat/completions", "post"), "Où est la gare ?"),
    ],
    ids=["models", "chat"],
)
def test_an_operation_can_be_tried_behind_the_stage_of_an_api(
    server: Server, operation: tuple[str, str, str], expected: str
) -> None:
    """Nothing in the page or in the document knows the stage: all addresses are relative."""
    with behind_a_stage(server, "api") as address:
        seen = visit(f"{address}/docs", EXECUTE % operation)

    assert seen.value.lstrip().startswith("200"), seen
    assert expected in seen.value
    assert seen.complaints == []
    assert all(url.startswith(f"{address}/") for url in seen.requests)


def test_the_page_names_no_other_host(server: Server) -> None:
    """And a policy keeps what it loads from asking one."""
    answer = server.request("GET", PAGE)

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "http" not in re.sub(r"http-equiv", "", answer.body.decode())
    assert not re.search(rb"""(?:href|src)="/""", answer.body)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy


@pytest.mark.parametrize("path", EVERYTHING)
def test_a_browser_keeps_what_it_has(server: Server, path: str) -> None:
    """It asks whether the page has changed, and for a day not even that of the large files."""
    first = server.request("GET", path)
    again = server.request("GET", path, headers={"if-none-match": first.headers["etag"]})
    weak = server.request("GET", path, headers={"if-none-match": f'"other", W/{first.headers["etag"]}'})
    changed = server.request("GET", path, headers={"if-none-match": '"other"'})
    head = server.request("HEAD", path)

    assert first.status == changed.status == head.status == 200
    assert first.body == changed.body
    assert head.body == b""
    assert head.headers["content-length"] == str(len(first.body))
    for unchanged in (again, weak):
        assert (unchanged.status, unchanged.body) == (304, b"")
        assert unchanged.headers["etag"] == first.headers["etag"]
    assert first.headers["cache-control"] == ("no-cache" if path in {PAGE, DOCUMENT} else "max-age=86400")


def test_large_files_are_sent_compressed_to_those_who_can_read_it(server: Server) -> None:
    """Under another tag, for caches on the way."""
    plain = server.request("GET", BUNDLE)
    compressed = server.request("GET", BUNDLE, headers={"accept-encoding": "gzip, deflate, br"})

    assert plain.headers["content-type"] == compressed.headers["content-type"] == JAVASCRIPT
    assert "content-encoding" not in plain.headers
    assert compressed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(compressed.body) == plain.body
    assert len(compressed.body) < len(plain.body) / 3
    assert compressed.headers["etag"] != plain.headers["etag"]
    assert plain.headers["vary"] == compressed.headers["vary"] == "accept-encoding"


@pytest.mark.parametrize("path", ["/docs/", "/docs/other.js", "/docs/a/b", "/docs/..%2f..%2fmain.py", "/redoc"])
def test_nothing_else_is_there(server: Server, path: str) -> None:
    """No other file of any folder."""
    answer = server.request("GET", path)

    assert answer.status == 404
    assert answer.json()["error"]["code"] == "unknown_url"


def test_a_file_is_read_when_it_is_asked_for() -> None:
    """And its package never imported: it would bring code along that nobody calls."""
    code = """
import sys, handler.main
from handler.app import create_app
from handler.catalog import build_catalog
from handler.models import ModelManager
from handler.settings import Settings
from handler.swagger_ui import NAMES, asset
before = asset.cache_info().currsize
print(before, all(asset(name).body for name in NAMES), "fastapi_swagger" in sys.modules)
"""
    assert run_python("-c", code, LOG_LEVEL="ERROR").stdout.splitlines()[-1] == "0 True False"


async def test_the_loop_is_free_while_the_document_is_made() -> None:
    """The first one takes a while; a request beside it does not wait."""
    settings = Settings()
    app = create_app(ModelManager(build_catalog(settings)), settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        document = asyncio.create_task(client.get(DOCUMENT))
        await asyncio.sleep(0)
        live = await client.get("/health/live")
        assert not document.done()
        answer = await document

    assert live.status_code == 200
    assert answer.json() == app.openapi()


def test_swagger_ui_is_of_this_decade() -> None:
    """Version 5 shows documents of OpenAPI 3.1."""
    bundle = asset("swagger-ui-bundle.js").body.decode()

    version = re.search(r'PACKAGE_VERSION:"(\d+)\.(\d+)', bundle)
    assert version is not None
    assert (int(version[1]), int(version[2])) >= (5, 34)


# --- who may see it ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*EVERYTHING, "/docs/other.js", "/docs/"])
def test_guarded_documentation_needs_a_key(guarded: Server, path: str) -> None:
    """Like the API itself; strangers do not learn what is there."""
    stranger = guarded.request("GET", path)
    wrong = guarded.request("GET", path, headers={"authorization": "Bearer wrong"})
    friend = guarded.request("GET", path, headers={"authorization": f"Bearer {KEY}"})

    for refused in (stranger, wrong):
        assert (refused.status, refused.json()["error"]["code"]) == (401, "invalid_api_key")
    assert friend.status == (200 if path in EVERYTHING else 404)


def test_open_documentation_is_open_beside_keys(tmp_path: Path) -> None:
    """Who has no key yet can read how to use one."""
    with running_server(tmp_path, API_KEYS=KEY) as server:
        assert [server.request("GET", path).status for path in (*EVERYTHING, "/v1/models")] == [*[200] * 5, 401]


def test_documentation_can_be_switched_off(tmp_path: Path) -> None:
    """As if it had never been there."""
    with running_server(tmp_path, DOCS="off") as server:
        answers = [server.request("GET", path) for path in EVERYTHING]

    assert {(answer.status, answer.json()["error"]["code"]) for answer in answers} == {(404, "unknown_url")}


# --- on Lambda --------------------------------------------------------------------------------------------------------

LAMBDA_CODE = """
import json, sys
from handler.aws_lambda import lambda_handler
print(json.dumps([lambda_handler(event, None) for event in json.loads(sys.argv[1])]))
"""
SMALLEST_LIMIT = {"alb": 1_000_000, "alb_multi_value": 1_000_000}
"""Bytes of a response to a load balancer (ALB user guide, "Lambda functions as targets"); others take 6 MB."""


@pytest.fixture(scope="module")
def lambda_responses() -> dict[str, list[dict[str, Any]]]:
    """What the function makes of a browser's requests, on every way in."""
    headers = {"accept-encoding": "gzip, deflate, br"}
    events = [http_event(way, "GET", path, headers=headers) for way in HTTP_WAYS for path in EVERYTHING]
    done = run_python("-c", LAMBDA_CODE, json.dumps(events), LOG_LEVEL="ERROR")
    assert done.returncode == 0, done.stderr
    responses = json.loads(done.stdout.splitlines()[-1])
    size = len(EVERYTHING)
    return {way: responses[at * size : (at + 1) * size] for at, way in enumerate(HTTP_WAYS)}


@pytest.mark.parametrize("way", HTTP_WAYS)
def test_the_function_serves_the_page_on_every_way_in(
    lambda_responses: dict[str, list[dict[str, Any]]], way: str, server: Server
) -> None:
    """In a size that each takes, and as text where bytes do not get through."""
    for path, response in zip(EVERYTHING, lambda_responses[way], strict=True):
        answer: Answer = answer_of(response)
        body = gzip.decompress(answer.body) if answer.headers.get("content-encoding") == "gzip" else answer.body

        assert answer.status == 200
        assert body == server.request("GET", path).body if path != DOCUMENT else json.loads(body)["paths"]
        assert len(json.dumps(response)) < SMALLEST_LIMIT.get(way, 6_000_000)
        assert way != "rest_v1" or response["isBase64Encoded"] is False


def test_every_file_of_the_page_is_known() -> None:
    """What the page names is what is served."""
    named = set(re.findall(r'(?:href|src)="docs/([^"]+)"', asset("").body.decode()))

    assert named == NAMES - {""}
