"""``POST /v1/chat/completions``: the translation itself."""

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from functools import partial
from threading import Event
from time import time
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from handler.catalog import ModelSpec
from handler.dependencies import (
    ChatCompletionRequestDependency,
    ModelsDependency,
    SettingsDependency,
    WorkersDependency,
)
from handler.documentation import operation
from handler.engine import DecodingOptions, Engine, Translation
from handler.errors import AbandonedError, ModelNotFoundError
from handler.languages import parse_language
from handler.models import ModelManager
from handler.parameters import decoding_options
from handler.prompts import Named, Prompt, nllb_prompt, parse_suffix, t5_prompt
from handler.schemas import ChatCompletion, ChatCompletionRequest
from handler.telemetry import request_record

T = TypeVar("T")

router = APIRouter(prefix="/v1/chat", tags=["Chat"])


@router.post(
    "/completions",
    openapi_extra=operation(ChatCompletion, 400, 401, 404, 413, 415, 429, 500, 503, body=ChatCompletionRequest),
)
async def create_chat_completion(
    request: Request,
    body: ChatCompletionRequestDependency,
    models: ModelsDependency,
    settings: SettingsDependency,
    workers: WorkersDependency,
) -> JSONResponse:
    """Translate the last user message, or for a T5 model answer it."""
    record = request_record(request.scope)
    spec, suffix = _select_model(models, body.model)
    record.fields["model"] = spec.id
    options = decoding_options(body, spec, max_choices=settings.max_choices)
    gone = Event()
    with workers[spec.id].place() as place:
        engine = await models.engine(spec)
        answer = partial(
            _answer,
            engine,
            body,
            spec,
            suffix=suffix,
            options=options,
            max_prompt_tokens=settings.max_prompt_tokens,
            abandoned=gone.is_set,
        )
        (prompt, translation), queue_ms = await _unless_abandoned(request, place.run(answer), gone)
    completion = _completion(body.model or spec.id, engine.fingerprint, translation)
    record.timings_ms |= {
        "queue": queue_ms,
        "tokenize": translation.tokenize_ms,
        "translate": translation.translate_ms,
        **models.first_use_timings(spec),
    }
    record.fields |= _log_fields(prompt, completion, with_texts=settings.log_texts)
    return JSONResponse(completion)


def _select_model(models: ModelManager, name: str | None) -> tuple[ModelSpec, Named | None]:
    """Return the model of ``name`` and the languages its suffix names; a full name wins over a suffix."""
    spec = models.find(name)
    if spec is not None:
        return spec, None
    base, _, suffix = str(name).rpartition(":")
    spec = models.find(base) if base else None
    if spec is None:
        raise ModelNotFoundError(str(name))
    languages = parse_suffix(suffix)
    if languages is None and spec.family == "nllb" and suffix:
        # A code of the model's own, or an error that names the nearest ones.
        languages = Named(None, parse_language(suffix, deployed=spec.languages, param="model"), target_param="model")
    if languages is None:
        raise ModelNotFoundError(str(name))
    return spec, languages


def _answer(
    engine: Engine,
    body: ChatCompletionRequest,
    spec: ModelSpec,
    *,
    suffix: Named | None,
    options: DecodingOptions,
    max_prompt_tokens: int,
    abandoned: Callable[[], bool],
) -> tuple[Prompt, Translation]:
    """Do everything that takes time; runs in a worker thread."""
    if engine.family == "t5":
        prompt = t5_prompt(body)
    else:
        prompt = nllb_prompt(
            body,
            suffix=suffix,
            default_source=spec.source_lang,
            default_target=spec.target_lang,
            deployed=engine.languages,
        )
    translation = engine.translate(
        prompt.text,
        source_lang=prompt.source_lang,
        target_lang=prompt.target_lang,
        options=options,
        max_prompt_tokens=max_prompt_tokens,
        abandoned=abandoned,
    )
    return prompt, translation


async def _unless_abandoned(request: Request, work: Coroutine[Any, Any, T], gone: Event) -> T:
    """Return what ``work`` returns, or give it up when the client goes away: what waits is dropped, what runs is told.

    Raises:
        AbandonedError: The client went away first.
    """
    running = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({running, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            return await running
        raise AbandonedError
    finally:
        gone.set()
        running.cancel()
        leaving.cancel()


async def _disconnected(request: Request) -> None:
    # The body has been read, so what comes is the end of the connection, or in Lambda nothing.
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _completion(model: str, fingerprint: str, translation: Translation) -> dict[str, Any]:
    completion_tokens = sum(choice.completion_tokens for choice in translation.choices)
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time()),
        "model": model,
        "choices": [
            {
                "index": index,
                "message": {"role": "assistant", "content": choice.text, "refusal": None},
                "logprobs": None,
                "finish_reason": choice.finish_reason,
            }
            for index, choice in enumerate(translation.choices)
        ],
        "usage": {
            "prompt_tokens": translation.prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": translation.prompt_tokens + completion_tokens,
        },
        "system_fingerprint": fingerprint,
    }


def _log_fields(prompt: Prompt, completion: dict[str, Any], *, with_texts: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {key: completion["usage"][key] for key in ("prompt_tokens", "completion_tokens")}
    if prompt.target_lang:
        fields |= {"source_lang": prompt.source_lang, "target_lang": prompt.target_lang}
    if with_texts:
        fields |= {"source_text": prompt.text, "answers": [c["message"]["content"] for c in completion["choices"]]}
    return fields
