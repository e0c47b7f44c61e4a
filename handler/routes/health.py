"""Health checks: is the process alive, and may traffic come."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from handler.dependencies import drain_of, models_of
from handler.documentation import operation
from handler.drain import Drain
from handler.models import ModelManager
from handler.routing import PlainRoute
from handler.schemas import Health

router = APIRouter(tags=["Health"], route_class=PlainRoute)


@router.head("/health/live", include_in_schema=False)
@router.get("/health/live", operation_id="live", openapi_extra=operation(Health, 503, other=Health))
async def live(request: Request) -> JSONResponse:
    """Tell that the process answers; 503 where an engine fails whatever it is given: a new process is needed."""
    if models_of(request).broken():
        return JSONResponse({"status": "failed", "models": {}}, status_code=503)
    return JSONResponse({"status": "ok", "models": {}})


@router.head("/health", include_in_schema=False)
@router.get("/health", operation_id="health", openapi_extra=operation(Health))
async def health(request: Request) -> JSONResponse:
    """Tell that the process answers, and how far each model is."""
    return JSONResponse(_health(models_of(request), drain_of(request)))


@router.head("/health/ready", include_in_schema=False)
@router.get("/health/ready", operation_id="ready", openapi_extra=operation(Health, 503, other=Health))
async def ready(request: Request) -> JSONResponse:
    """Answer 200 once every startup model is loaded and, where that is done, warm; 503 before, and while it drains."""
    body = _health(models_of(request), drain_of(request))
    if body["status"] == "ok":
        return JSONResponse(body)
    return JSONResponse(body, status_code=503, headers={"retry-after": "1"})


def _health(models: ModelManager, drain: Drain) -> dict[str, Any]:
    states = {spec.id: models.state(spec) for spec in models}
    failed = any(spec.load == "startup" and states[spec.id] == "failed" for spec in models)
    status = "ok" if models.ready() else "failed" if failed else "loading"
    return {"status": "draining" if drain.begun else status, "models": states}
