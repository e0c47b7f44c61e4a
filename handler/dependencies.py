"""What routes ask of the app and of a request.

Plain calls, not FastAPI's dependencies: it would resolve each of those anew in every request, 20 to 40 µs apiece, and
look through each at every cold start.
"""

import asyncio
from collections.abc import Mapping

from fastapi import Request

from handler.drain import Drain
from handler.errors import RequestTimeoutError
from handler.models import ModelManager
from handler.request_parsing import check_content, check_supported, parse_request
from handler.schemas import ChatCompletionRequest
from handler.settings import Settings
from handler.workers import Workers


def models_of(request: Request) -> ModelManager:
    """Return the configured models."""
    models: ModelManager = request.app.state.models
    return models


def settings_of(request: Request) -> Settings:
    """Return the settings."""
    settings: Settings = request.app.state.settings
    return settings


def workers_of(request: Request) -> Mapping[str, Workers]:
    """Return the threads by model: requests that one model keeps waiting do not keep those of another."""
    workers: Mapping[str, Workers] = request.app.state.workers
    return workers


def drain_of(request: Request) -> Drain:
    """Return whether the process is about to end."""
    drain: Drain = request.app.state.drain
    return drain


async def chat_completion_request(request: Request, *, limit_s: float) -> ChatCompletionRequest:
    """Return the body, parsed by this project: FastAPI's own parsing takes NaN and lone surrogates and answers 422.

    Args:
        request: Whose body has not been read.
        limit_s: Seconds that it may take to come.

    Raises:
        InvalidRequestError: It is none, or asks for something that cannot be done.
    """
    check_content(request.headers.get("content-type"), request.headers.get("content-encoding"))
    try:
        async with asyncio.timeout(limit_s):
            content = await request.body()
    except TimeoutError:
        raise RequestTimeoutError from None
    body = parse_request(content, ChatCompletionRequest)
    check_supported(body)
    return body
