"""``/v1/models``: what is configured."""

from typing import Any

from fastapi import APIRouter

from handler.catalog import ModelSpec
from handler.dependencies import ModelsDependency
from handler.schemas import ErrorResponse, Model, ModelList

router = APIRouter(prefix="/v1/models", tags=["Models"])

_OWNER = "ctranslate2-server"


@router.get("", response_model=ModelList, responses={401: {"model": ErrorResponse}})
async def list_models(models: ModelsDependency) -> dict[str, Any]:
    """List the models, the default one first."""
    specs = sorted(models, key=lambda spec: spec.id != models.default.id)
    return {"data": [_describe(spec, spec.id, models) for spec in specs]}


@router.get(
    "/{model:path}", response_model=Model, responses={401: {"model": ErrorResponse}, 404: {"model": ErrorResponse}}
)
async def retrieve_model(model: str, models: ModelsDependency) -> dict[str, Any]:
    """Describe one model, by its id or an alias."""
    return _describe(models.get(model), model, models)


def _describe(spec: ModelSpec, name: str, models: ModelsDependency) -> dict[str, Any]:
    manifest = spec.manifest
    return {
        "id": name,
        "created": spec.created,
        "owned_by": manifest.source_id.partition("/")[0] if manifest and "/" in manifest.source_id else _OWNER,
        "family": spec.family,
        "demo": spec.demo,
        "description": manifest.description if manifest else "",
        "aliases": models.aliases(spec.id),
        "state": models.state(spec),
    }
