"""``/metrics``: what a host has counted, for Prometheus. A plain route of Starlette, like the documentation's."""

import asyncio

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response

PATH = "/metrics"


async def metrics(request: Request) -> Response:
    """Return the figures in the format that is asked for."""
    body, content_type = await asyncio.to_thread(_page, request.app, request.headers.get("accept", ""))
    return Response(body, headers={"content-type": content_type, "cache-control": "no-store"})


router = APIRouter()
router.add_route(PATH, metrics, methods=["GET", "HEAD"])


def _page(app: FastAPI, accept: str) -> tuple[bytes, str]:
    from handler import prometheus  # noqa: PLC0415 - the first scrape imports it, so that no start waits for it

    state = app.state
    return prometheus.page(state.measurements, state.models, state.workers.values(), state.drain, accept=accept)
