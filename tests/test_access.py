"""API keys: what they guard, and that nothing of them gets out."""

import http.client
import socket
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from conftest import REQUEST_TIMEOUT_S, Answer, Server, running_server

CHAT = "/v1/chat/completions"
KEYS = ("sk-first-of-the-keys", "sk-second-of-the-keys")
WRONG = "sk-canary-that-is-wrong"
GUARDED = {
    "chat": ("POST", CHAT),
    "models": ("GET", "/v1/models"),
    "model": ("GET", "/v1/models/nllb-demo"),
    "wrong-method": ("GET", CHAT),
    "unknown-path": ("GET", "/v1/nothing/here"),
    "escaped-path": ("GET", "/v1%2Fmodels"),
    "version": ("GET", "/v1"),
    "version-slash": ("GET", "/v1/"),
    "options": ("OPTIONS", CHAT),
}
REFUSED = {
    "missing": None,
    "empty": "",
    "scheme-alone": "Bearer",
    "scheme-and-space": "Bearer ",
    "wrong": f"Bearer {WRONG}",
    "no-scheme": KEYS[0],
    "other-scheme": f"Basic {KEYS[0]}",
    "token-scheme": f"Token {KEYS[0]}",
    "prefix": f"Bearer {KEYS[0][:-1]}",
    "longer": f"Bearer {KEYS[0]}x",
    "other-case": f"Bearer {KEYS[0].upper()}",
    "both": f"Bearer {','.join(KEYS)}",
    "twice": f"Bearer {KEYS[0]} {KEYS[0]}",
    "quoted": f'Bearer "{KEYS[0]}"',
    "very-long": f"Bearer {WRONG * 1000}",
    "latin-1": f"Bearer {WRONG}\xff\xe9",
    "utf-8": f"Bearer {WRONG}" + "é☃".encode().decode("latin-1"),
}


@pytest.fixture(scope="module", params=[KEYS[:1], KEYS], ids=["one-key", "two-keys"])
def keys(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The keys of the server."""
    configured: tuple[str, ...] = request.param
    return configured


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, keys: tuple[str, ...]) -> Iterator[Server]:
    """A server with keys."""
    with running_server(tmp_path_factory.mktemp("access"), API_KEYS=",".join(keys)) as running:
        yield running


def assert_unauthorized(answer: Answer) -> None:
    """Check that an answer is the 401 of the contract and tells nothing about keys."""
    assert answer.status == 401, answer.body
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["www-authenticate"].split()[0] == "Bearer"
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", None, "invalid_api_key")
    everything = answer.body.decode() + "".join(answer.headers.values())
    assert WRONG not in everything
    assert not any(key in everything for key in KEYS)


def send_head(server: Server, head: str) -> Answer:
    """Send the head of a request and nothing of its body; the answer must not wait for it."""
    url = urlsplit(server.url)
    with closing(socket.create_connection((url.hostname, url.port), timeout=REQUEST_TIMEOUT_S)) as connection:
        connection.sendall(head.encode("latin-1"))
        with connection.makefile("rb") as raw:
            first = raw.peek(12)[:12]
            assert first.startswith(b"HTTP/1.1 4"), first
            response = http.client.HTTPResponse(connection)
            response.fp.close()
            response.fp = raw
            response.begin()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())


@pytest.mark.parametrize("authorization", REFUSED.values(), ids=REFUSED)
def test_anything_but_a_key_is_401(guarded: Server, authorization: str | None) -> None:
    """Only a configured key, whole and behind its scheme, opens the API."""
    headers = {} if authorization is None else {"authorization": authorization}

    assert_unauthorized(guarded.request("GET", "/v1/models", headers=headers))


@pytest.mark.parametrize(("method", "path"), GUARDED.values(), ids=GUARDED)
def test_everything_below_the_version_needs_a_key(guarded: Server, method: str, path: str) -> None:
    """Without one, nobody learns which paths and methods there are."""
    body = b"{}" if method == "POST" else None

    assert_unauthorized(guarded.request(method, path, body, {"content-type": "application/json"}))


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_each_key_opens_the_api(guarded: Server, keys: tuple[str, ...], scheme: str) -> None:
    """Every configured key is as good as the others; the scheme is no matter of case (RFC 9110, section 11.1)."""
    for key in keys:
        answer = guarded.request(
            "POST",
            CHAT,
            {"messages": [{"role": "user", "content": "Where is the hotel?"}], "target_lang": "fra_Latn"},
            {"authorization": f"{scheme} {key}"},
        )

        assert answer.status == 200, answer.body
        assert key not in answer.body.decode()


def test_key_opens_the_errors_behind_it(guarded: Server) -> None:
    """With a key, an unknown path is unknown."""
    answer = guarded.request("GET", "/v1/nothing/here", headers={"authorization": f"Bearer {KEYS[0]}"})

    assert answer.status == 404


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
@pytest.mark.parametrize("headers", [{}, {"authorization": f"Bearer {WRONG}"}], ids=["no-key", "wrong-key"])
def test_health_is_open(guarded: Server, path: str, headers: dict[str, str]) -> None:
    """A load balancer has no key."""
    assert guarded.request("GET", path, headers=headers).status == 200


@pytest.mark.parametrize("expect", ["", "expect: 100-continue\r\n"], ids=["stalled", "expect"])
@pytest.mark.parametrize("framing", ["content-length: 1000", "content-length: 999999999", "transfer-encoding: chunked"])
def test_key_is_checked_before_the_body_is_read(guarded: Server, framing: str, expect: str) -> None:
    """A stranger's body is neither waited for nor asked for."""
    head = f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{framing}\r\n{expect}\r\n"

    assert_unauthorized(send_head(guarded, head))


def test_large_body_with_a_key_is_413(guarded: Server) -> None:
    """Behind the key the limit of the body holds."""
    head = (
        f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEYS[0]}\r\n"
        "content-type: application/json\r\ncontent-length: 999999999\r\nexpect: 100-continue\r\n\r\n"
    )

    assert send_head(guarded, head).status == 413


def test_stranger_that_sends_a_large_body_whole_can_read_the_401(guarded: Server) -> None:
    """Clients look for an answer when they have sent everything; a reset connection would hide it from them."""
    url = urlsplit(guarded.url)
    for _ in range(4):
        connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=REQUEST_TIMEOUT_S)
        with closing(connection):
            connection.request("POST", CHAT, b" " * (3 << 20), {"content-type": "application/json"})
            assert connection.getresponse().status == 401


def test_no_key_is_ever_logged(guarded: Server) -> None:
    """Neither the keys of the server nor what others tried is in the log."""
    guarded.request("GET", "/v1/models", headers={"authorization": f"Bearer {WRONG}"})
    guarded.request("GET", "/v1/models", headers={"authorization": f"Bearer {KEYS[0]}"})

    # The line of a request is written after its answer is sent; this one is behind both.
    guarded.request("GET", "/health")
    log = guarded.log.read_text(encoding="utf-8")
    assert "/v1/models" in log
    assert WRONG not in log
    assert not any(key in log for key in KEYS)


def test_any_key_passes_where_none_is_configured(server: Server) -> None:
    """Clients always send one; a server without keys leaves access to whatever stands before it."""
    for authorization in ("Bearer anything", "Basic YTpi", "", "Bearer \xff"):
        assert server.request("GET", "/v1/models", headers={"authorization": authorization}).status == 200
