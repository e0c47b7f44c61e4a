"""``/v1/models``: what is configured."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from handler.catalog import ModelSpec
from handler.dependencies import models_of
from handler.documentation import operation
from handler.models import ModelManager
from handler.routing import PlainRoute
from handler.schemas import Model, ModelList

router = APIRouter(prefix="/v1/models", tags=["Models"], route_class=PlainRoute)

_OWNER = "ctranslate2-server"


@router.get("", operation_id="listModels", openapi_extra=operation(ModelList, 401, 500))
async def list_models(request: Request) -> JSONResponse:
    """List the models, the default one first."""
    models = models_of(request)
    specs = sorted(models, key=lambda spec: spec.id != models.default.id)
    return JSONResponse({"object": "list", "data": [_describe(spec, spec.id, models) for spec in specs]})


@router.get("/{model:path}", operation_id="retrieveModel", openapi_extra=operation(Model, 401, 404, 500))
async def retrieve_model(request: Request, model: str) -> JSONResponse:
    """Describe one model, by its id or an alias."""
    models = models_of(request)
    return JSONResponse(_describe(models.get(model), model, models))


def _describe(spec: ModelSpec, name: str, models: ModelManager) -> dict[str, Any]:
    manifest = spec.manifest
    return {
        "id": name,
        "object": "model",
        "created": spec.created,
        "owned_by": manifest.source_id.partition("/")[0] if manifest and "/" in manifest.source_id else _OWNER,
        "family": spec.family,
        "demo": spec.demo,
        "description": manifest.description if manifest else "",
        "aliases": models.aliases(spec.id),
        "state": models.state(spec),
    }
