"""Health checks: is the process alive, and may traffic come."""

from typing import Any

from fastapi import APIRouter, Response

from handler.dependencies import ModelsDependency
from handler.schemas import Health

router = APIRouter(tags=["Health"])


@router.head("/health/live", include_in_schema=False)
@router.get("/health/live", response_model=Health)
async def live() -> dict[str, Any]:
    """Tell that the process answers."""
    return {"status": "ok"}


@router.head("/health", include_in_schema=False)
@router.get("/health", response_model=Health)
async def health(models: ModelsDependency) -> dict[str, Any]:
    """Tell that the process answers, and how far each model is."""
    return _health(models)


@router.head("/health/ready", include_in_schema=False)
@router.get("/health/ready", response_model=Health, responses={503: {"model": Health, "description": "Still loading"}})
async def ready(models: ModelsDependency, response: Response) -> dict[str, Any]:
    """Answer 200 once every startup model has translated its warm-up, and 503 before."""
    body = _health(models)
    if body["status"] != "ok":
        response.status_code = 503
        response.headers["Retry-After"] = "1"
    return body


def _health(models: ModelsDependency) -> dict[str, Any]:
    states = {spec.id: models.state(spec) for spec in models}
    failed = any(spec.load == "startup" and states[spec.id] == "failed" for spec in models)
    return {"status": "ok" if models.ready() else "failed" if failed else "loading", "models": states}
