"""Cross-origin requests: off unless origins are configured, and then a browser can read every answer."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from browser import empty_page, visit
from conftest import Answer, Server, run_python, running_server
from test_events import http_event

from handler.app import create_app
from handler.catalog import build_catalog
from handler.models import ModelManager
from handler.settings import Settings

CHAT = "/v1/chat/completions"
APP = "https://app.example.com"
LOCAL = "http://localhost:3000"
STRANGER = "https://evil.example.com"
KEY = "sk-of-the-cross-origin-tests"
HOTEL = {"messages": [{"role": "user", "content": "Where is the hotel?"}], "target_lang": "fra_Latn"}
EXPOSED = {"x-request-id", "x-correlation-id", "server-timing", "retry-after"}
PREFLIGHT = {
    "origin": APP,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-stainless-lang",
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a key that two origins may call."""
    with running_server(tmp_path_factory.mktemp("cors"), CORS_ORIGINS=f"{APP}, {LOCAL}", API_KEYS=KEY) as running:
        yield running


def allowed_origin(answer: Answer) -> str | None:
    """Return the origin that may read an answer, which has its ids and timings in any case."""
    assert answer.headers["x-request-id"] == answer.headers["x-correlation-id"]
    assert "total;dur=" in answer.headers["server-timing"]
    return answer.headers.get("access-control-allow-origin")


def listed(answer: Answer, header: str) -> set[str]:
    """Return the members of a header that is a list."""
    return {item.strip().lower() for item in answer.headers[header].split(",")}


@pytest.mark.parametrize("origin", [APP, LOCAL])
@pytest.mark.parametrize("path", [CHAT, "/v1/models", "/health"])
def test_a_preflight_needs_no_key(shared: Server, path: str, origin: str) -> None:
    """Browsers send none with it."""
    answer = shared.request("OPTIONS", path, headers=PREFLIGHT | {"origin": origin, "x-request-id": "preflight"})

    assert answer.status == 200
    assert allowed_origin(answer) == origin
    assert answer.headers["x-request-id"] == "preflight"
    assert {"get", "post"} <= listed(answer, "access-control-allow-methods")
    assert {"authorization", "content-type", "x-stainless-lang"} <= listed(answer, "access-control-allow-headers")
    assert int(answer.headers["access-control-max-age"]) > 0
    assert "origin" in listed(answer, "vary")
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    ("changed", "what"),
    [({"origin": STRANGER}, "origin"), ({"access-control-request-method": "DELETE"}, "method")],
    ids=["origin", "method"],
)
def test_a_refused_preflight_is_an_error_like_every_other(shared: Server, changed: dict[str, str], what: str) -> None:
    """Which says what it is that is not allowed."""
    answer = shared.request("OPTIONS", CHAT, headers=PREFLIGHT | changed)

    assert (answer.status, answer.headers["content-type"]) == (400, "application/json")
    assert allowed_origin(answer) is None
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == ("invalid_request_error", "cross_origin_refused")
    assert what in error["message"]


Case = tuple[int, str, str, Any, dict[str, str]]
"""Status, method, path, body and headers."""
ANSWERS: dict[str, Case] = {
    "200": (200, "POST", CHAT, HOTEL, {}),
    "200-stream": (200, "POST", CHAT, HOTEL | {"stream": True}, {}),
    "200-health": (200, "GET", "/health", None, {}),
    "400": (400, "POST", CHAT, {"messages": []}, {}),
    "401": (401, "POST", CHAT, HOTEL, {"authorization": "Bearer wrong"}),
    "404-path": (404, "GET", "/nothing", None, {}),
    "404-model": (404, "POST", CHAT, HOTEL | {"model": "gpt-5"}, {}),
    "405": (405, "DELETE", "/v1/models", None, {}),
    "413": (413, "POST", CHAT, b" " * 1_048_577, {"content-type": "application/json"}),
    "415": (415, "POST", CHAT, b"{}", {"content-type": "text/plain"}),
}
every_answer = pytest.mark.parametrize("case", ANSWERS.values(), ids=ANSWERS)


def ask(server: Server, case: Case, *, origin: str) -> Answer:
    """Send the request of a case from a page of an origin, and check its status."""
    status, method, path, body, headers = case
    answer = server.request(method, path, body, {"authorization": f"Bearer {KEY}", "origin": origin, **headers})
    assert answer.status == status, answer.body
    return answer


@every_answer
def test_a_page_can_read_every_answer(shared: Server, case: Case) -> None:
    """Refusals too, with their ids: a page that cannot read one reports a network error."""
    answer = ask(shared, case, origin=LOCAL)

    assert allowed_origin(answer) == LOCAL
    assert listed(answer, "access-control-expose-headers") == EXPOSED
    assert "origin" in listed(answer, "vary")


@every_answer
def test_a_stranger_gets_the_answer_that_no_page_may_read(shared: Server, case: Case) -> None:
    """Keys decide on access; the origin decides on what a browser shows."""
    assert allowed_origin(ask(shared, case, origin=STRANGER)) is None


def test_a_question_that_is_no_preflight_needs_its_key(shared: Server) -> None:
    """OPTIONS alone opens nothing."""
    assert shared.request("OPTIONS", CHAT, headers={"origin": APP}).status == 401
    assert shared.request("OPTIONS", CHAT, headers={"access-control-request-method": "POST"}).status == 401


def test_every_origin_may_be_allowed(tmp_path: Path) -> None:
    """With an asterisk, for APIs that are open to the world."""
    with running_server(tmp_path, CORS_ORIGINS="*") as server:
        preflight = server.request("OPTIONS", CHAT, headers=PREFLIGHT | {"origin": STRANGER})
        answer = server.request("POST", CHAT, HOTEL, {"origin": STRANGER})

    assert (preflight.status, allowed_origin(preflight)) == (200, "*")
    assert (answer.status, allowed_origin(answer)) == (200, "*")


def test_nothing_is_allowed_unless_it_is_configured(server: Server) -> None:
    """And a preflight is a method like any other that is not there."""
    preflight = server.request("OPTIONS", CHAT, headers=PREFLIGHT)
    answer = server.request("POST", CHAT, HOTEL, {"origin": APP})

    assert (preflight.status, preflight.headers["allow"]) == (405, "POST")
    assert answer.status == 200
    assert not [name for found in (preflight, answer) for name in found.headers if name.startswith("access-control")]


async def test_a_page_can_read_an_internal_error() -> None:
    """A bug is answered inside the layer that adds the headers."""
    settings = Settings(cors_origins=(APP,))
    app = create_app(ModelManager(build_catalog(settings)), settings)

    @app.get("/bug")
    async def bug() -> None:
        raise RuntimeError

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        answer = await client.get("/bug", headers={"origin": APP, "x-request-id": "id-1"})

    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (500, APP)
    assert "id-1" in answer.json()["error"]["message"]


FETCH = """await (async () => {
  const ask = async (key) => {
    const answer = await fetch("%s/v1/chat/completions", {
      method: "POST",
      headers: {"content-type": "application/json", authorization: `Bearer ${key}`, "x-stainless-lang": "js"},
      body: JSON.stringify(%s),
    });
    const names = ["x-request-id", "x-correlation-id", "server-timing", "retry-after"];
    return [answer.status, await answer.json(), names.filter((name) => answer.headers.has(name))];
  };
  return [await ask("%s"), await ask("wrong")];
})()"""


def test_a_real_browser_lets_a_page_call_the_api(tmp_path: Path) -> None:
    """A page of another origin, with a key and headers that need a preflight; it can read the refusal, too."""
    with empty_page() as page, running_server(tmp_path, CORS_ORIGINS=page, API_KEYS=KEY) as server:
        seen = visit(page, FETCH % (server.url, json.dumps(HOTEL), KEY))

    (status, body, names), (refused, error, _) = seen.value
    assert (status, body["choices"][0]["message"]["content"]) == (200, "Où est l'hôtel ?")
    assert names == ["x-request-id", "x-correlation-id", "server-timing"]
    assert (refused, error["error"]["code"]) == (401, "invalid_api_key")


def test_a_real_browser_keeps_other_pages_out(shared: Server) -> None:
    """What the origins are for."""
    with empty_page() as page:
        seen = visit(page, FETCH % (shared.url, json.dumps(HOTEL), KEY))

    assert seen.value is None
    assert any("CORS policy" in complaint for complaint in seen.complaints)


LAMBDA_EVENTS = {
    "http": http_event("http_api_v2_stage", "OPTIONS", CHAT, headers=PREFLIGHT),
    "rest": http_event("rest_v1", "OPTIONS", CHAT, headers=PREFLIGHT),
    "alb": http_event("alb_multi_value", "OPTIONS", CHAT, headers=PREFLIGHT),
    "refused": http_event("http_api_v2", "OPTIONS", CHAT, headers=PREFLIGHT | {"origin": STRANGER}),
    "answer": http_event("http_api_v2", "GET", "/v1/models", headers={"origin": APP, "authorization": f"Bearer {KEY}"}),
    "unauthorized": http_event("http_api_v2", "GET", "/v1/models", headers={"origin": APP}),
}
LAMBDA_CODE = """
import json, sys
from handler.aws_lambda import lambda_handler
print(json.dumps([lambda_handler(event, None) for event in json.loads(sys.argv[1])]))
"""


@pytest.fixture(scope="module")
def lambda_answers() -> dict[str, Answer]:
    """What the function makes of the events."""
    events = json.dumps(list(LAMBDA_EVENTS.values()))
    done = run_python("-c", LAMBDA_CODE, events, CORS_ORIGINS=APP, API_KEYS=KEY, LOG_LEVEL="ERROR")
    assert done.returncode == 0, done.stderr
    answers = {}
    for name, response in zip(LAMBDA_EVENTS, json.loads(done.stdout.splitlines()[-1]), strict=True):
        several = {key: ", ".join(values) for key, values in response.get("multiValueHeaders", {}).items()}
        headers = {key.lower(): value for key, value in (response.get("headers", {}) | several).items()}
        answers[name] = Answer(response["statusCode"], headers, response["body"].encode())
    return answers


@pytest.mark.parametrize(
    ("name", "status", "origin"),
    [
        ("http", 200, APP),
        ("rest", 200, APP),
        ("alb", 200, APP),
        ("refused", 400, None),
        ("answer", 200, APP),
        ("unauthorized", 401, APP),
    ],
)
def test_the_function_answers_browsers_too(
    lambda_answers: dict[str, Answer], name: str, status: int, origin: str | None
) -> None:
    """Through every way in: API Gateway passes preflights on as they are."""
    answer = lambda_answers[name]

    assert answer.status == status, answer.body
    assert allowed_origin(answer) == origin


@pytest.mark.parametrize(("variables", "expected"), [({}, "False"), ({"CORS_ORIGINS": APP}, "True")], ids=["off", "on"])
def test_who_has_no_browsers_for_clients_imports_nothing(variables: dict[str, str], expected: str) -> None:
    """Each import is part of every cold start."""
    code = "import handler.aws_lambda, sys; print('starlette.middleware.cors' in sys.modules)"

    assert run_python("-c", code, LOG_LEVEL="ERROR", **variables).stdout.splitlines()[-1] == expected
