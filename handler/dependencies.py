"""What routes ask for, by type. All ``async``: FastAPI would run a plain function in a thread."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends, Request

from handler.models import ModelManager
from handler.request_parsing import check_content, check_supported, parse_request
from handler.schemas import ChatCompletionRequest
from handler.settings import Settings
from handler.workers import Workers


async def _models(request: Request) -> ModelManager:
    models: ModelManager = request.app.state.models
    return models


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


async def _workers(request: Request) -> Mapping[str, Workers]:
    workers: Mapping[str, Workers] = request.app.state.workers
    return workers


async def _chat_completion_request(request: Request) -> ChatCompletionRequest:
    check_content(request.headers.get("content-type"), request.headers.get("content-encoding"))
    body = parse_request(await request.body(), ChatCompletionRequest)
    check_supported(body)
    return body


ModelsDependency = Annotated[ModelManager, Depends(_models)]
SettingsDependency = Annotated[Settings, Depends(_settings)]
WorkersDependency = Annotated[Mapping[str, Workers], Depends(_workers)]
"""By model: requests that one model keeps waiting do not keep those of another."""
ChatCompletionRequestDependency = Annotated[ChatCompletionRequest, Depends(_chat_completion_request)]
"""The body, parsed by this project: FastAPI's own parsing takes NaN and lone surrogates and answers 422."""
