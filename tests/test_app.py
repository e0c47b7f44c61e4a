"""The application without a socket: what only goes wrong inside."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Request
from starlette.responses import Response

from handler.app import create_app
from handler.catalog import build_catalog
from handler.errors import EngineError
from handler.models import ModelManager
from handler.routing import PlainRoute
from handler.settings import Settings


@pytest.fixture
def app() -> FastAPI:
    """An application whose models are not loaded, with routes that fail."""
    settings = Settings()
    app = create_app(ModelManager(build_catalog(settings)), settings)
    app.router.route_class = PlainRoute

    @app.get("/bug")
    async def bug(request: Request) -> Response:
        message = f"secret detail in /some/path of {request.url}"
        raise RuntimeError(message)

    @app.get("/decoder")
    async def decoder(request: Request) -> Response:
        raise EngineError from ValueError(request.url)

    return app


async def _asks_for_a_parameter(request: Request, limit: int) -> Response:
    return Response(f"{request.url} {limit}")


async def _caller() -> str:
    return "somebody"


async def _asks_for_a_dependency(request: Request, text: Annotated[str, Depends(_caller)]) -> Response:
    return Response(f"{request.url} {text}")


@pytest.mark.parametrize("endpoint", [_asks_for_a_parameter, _asks_for_a_dependency])
def test_a_route_that_nobody_would_resolve_is_refused(endpoint: Callable[..., Any]) -> None:
    """It would be called without what it asks for, be that who may call it."""
    with pytest.raises(TypeError, match="asks for more than the request"):
        PlainRoute("/", endpoint)


def _client(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


@pytest.mark.parametrize("path", ["/bug", "/decoder"])
async def test_an_internal_error_tells_its_id_and_nothing_else(app: FastAPI, path: str) -> None:
    """The log has the rest, under that id."""
    async with _client(app) as client:
        answer = await client.get(path, headers={"x-request-id": "id-1"})

    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == "id-1"
    assert answer.json() == {
        "error": {
            "message": "Internal error; the server's log has it under the id id-1.",
            "type": "server_error",
            "param": None,
            "code": None,
        }
    }


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate"])
async def test_a_compressed_body_is_refused_by_its_name(app: FastAPI, encoding: str) -> None:
    """It is not taken for broken JSON."""
    headers = {"content-type": "application/json", "content-encoding": encoding}
    async with _client(app) as client:
        answer = await client.post("/v1/chat/completions", content=b"\x1f\x8b", headers=headers)

    assert answer.status_code == 415
    assert encoding in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
async def test_health_checks_may_ask_for_the_head_alone(app: FastAPI, path: str) -> None:
    """Load balancers and monitors do."""
    async with _client(app) as client:
        head, get = await client.head(path), await client.get(path)

    assert head.status_code == get.status_code
    assert head.content == b""


async def test_the_loop_is_free_while_a_model_loads(app: FastAPI) -> None:
    """A request that waits for its model keeps nobody else waiting."""
    body = {"target_lang": "fra_Latn", "messages": [{"role": "user", "content": "Where is the hotel?"}]}
    async with _client(app) as client:
        translation = asyncio.create_task(client.post("/v1/chat/completions", json=body))
        await asyncio.sleep(0)
        live = await client.get("/health/live")
        assert not translation.done()
        answer = await translation

    assert live.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"] == "Où est l'hôtel ?"
    assert "load;dur=" in answer.headers["server-timing"]
