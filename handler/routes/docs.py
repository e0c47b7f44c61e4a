"""``/docs`` and ``/openapi.json``: the API for people and for their tools, with no internet.

Plain routes of Starlette: FastAPI would look for parameters, and every cold start would wait for it.
"""

import asyncio
import json
from collections.abc import Mapping
from hashlib import sha256
from threading import Lock
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

PATHS = ("/docs", "/openapi.json")
"""Where all of it is, for whoever guards it."""

_METHODS = ["GET", "HEAD"]
_NOT_FOUND, _NOT_MODIFIED = 404, 304
_ASK_AGAIN, _A_DAY = "no-cache", "max-age=86400"

_building = Lock()


async def docs(request: Request) -> Response:
    """Show the API in Swagger UI."""
    return await _asset(request, "", cache_control=_ASK_AGAIN)


async def docs_asset(request: Request) -> Response:
    """Return a file of Swagger UI."""
    return await _asset(request, request.path_params["name"], cache_control=_A_DAY)


async def openapi(request: Request) -> Response:
    """Return the OpenAPI document."""
    body, etag = await asyncio.to_thread(_document, request.app)
    return _answer(request, body, etag=etag, media_type="application/json", headers={"cache-control": _ASK_AGAIN})


router = APIRouter()
router.add_route("/docs", docs, methods=_METHODS)
router.add_route("/docs/{name}", docs_asset, methods=_METHODS)
router.add_route("/openapi.json", openapi, methods=_METHODS)


async def _asset(request: Request, name: str, *, cache_control: str) -> Response:
    from handler import swagger_ui  # noqa: PLC0415 - for those who ask for it

    if name not in swagger_ui.NAMES:
        raise HTTPException(_NOT_FOUND)
    found = await asyncio.to_thread(swagger_ui.asset, name)
    headers = {
        "cache-control": cache_control,
        "content-security-policy": swagger_ui.CONTENT_SECURITY_POLICY,
        "vary": "accept-encoding",
        "x-content-type-options": "nosniff",
    }
    body, etag = found.body, found.etag
    if _may_be_compressed(request):
        body, etag = found.gzipped, f"{etag}-gzip"
        headers["content-encoding"] = "gzip"
    return _answer(request, body, etag=etag, media_type=found.media_type, headers=headers)


def _document(app: FastAPI) -> tuple[bytes, str]:
    # Made by the first who asks; what pydantic builds meanwhile is not made to be built twice at once.
    with _building:
        document = app.openapi()
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return body, sha256(body).hexdigest()[:32]


def _may_be_compressed(request: Request) -> bool:
    """Tell whether the client can read gzip and the way to it carries bytes, which an API of the kind REST does not."""
    event: Any = request.scope.get("aws.event")
    carries_bytes = event is None or event.get("version") == "2.0" or "elb" in event["requestContext"]
    return carries_bytes and "gzip" in request.headers.get("accept-encoding", "")


def _answer(request: Request, body: bytes, *, etag: str, media_type: str, headers: Mapping[str, str]) -> Response:
    """Return ``body``, or that the client has it already (RFC 9110, section 13.1.2)."""
    etag = f'"{etag}"'
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if known & {etag, "*"}:
        return Response(status_code=_NOT_MODIFIED, headers={**headers, "etag": etag})
    return Response(body, media_type=media_type, headers={**headers, "etag": etag})
