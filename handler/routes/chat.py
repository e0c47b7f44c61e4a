"""``POST /v1/chat/completions``: the translation itself."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from functools import partial
from time import monotonic

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from handler.catalog import ModelSpec
from handler.completions import Chunks, Completion
from handler.dependencies import chat_completion_request, models_of, settings_of, workers_of
from handler.documentation import operation
from handler.engine import Engine, Translation
from handler.errors import DrainingError, ModelNotFoundError, TimeLimitError
from handler.event_stream import DONE, EventStream, event, unless_abandoned
from handler.exception_handlers import error_object
from handler.jobs import Job, deadline_s
from handler.languages import parse_language
from handler.live_text import LiveText
from handler.models import ModelManager
from handler.parameters import decoding_options
from handler.prompts import Named, parse_suffix
from handler.routing import PlainRoute
from handler.schemas import ChatCompletion, ChatCompletionChunk, ChatCompletionRequest
from handler.telemetry import request_record

router = APIRouter(prefix="/v1/chat", tags=["Chat"], route_class=PlainRoute)

_Running = asyncio.Task[tuple[Engine, Translation]]


@router.post(
    "/completions",
    operation_id="createChatCompletion",
    openapi_extra=operation(
        ChatCompletion,
        *(400, 401, 404, 408, 413, 415, 429, 500, 503, 504),
        body=ChatCompletionRequest,
        events=ChatCompletionChunk,
    ),
)
async def create_chat_completion(request: Request) -> Response:
    """Translate the last user message, or for a T5 model answer it."""
    record = request_record(request.scope)
    record.completion = True
    models, settings = models_of(request), settings_of(request)
    due_s = deadline_s(request.scope, record, limit_s=settings.max_request_s)
    body = await chat_completion_request(request, limit_s=due_s - monotonic())
    spec, suffix = _select_model(models, body.model)
    record.fields["model"] = spec.id
    job = Job(
        body=body,
        spec=spec,
        suffix=suffix,
        options=decoding_options(body, spec, max_choices=settings.max_choices),
        models=models,
        workers=workers_of(request)[spec.id],
        settings=settings,
        record=record,
        deadline_s=due_s,
    )
    if body.stream:
        return await _stream(request, job)
    try:
        # Lambda does not tell that a client has gone.
        receive = None if _on_lambda(request) else request.receive
        engine, translation = await unless_abandoned(job.run(), receive, limit_s=job.left_s())
    finally:
        job.give_up()
    return JSONResponse(Completion(model=job.name, fingerprint=engine.fingerprint).whole(translation))


def _on_lambda(request: Request) -> bool:
    return "aws.event" in request.scope


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


async def _stream(request: Request, job: Job) -> Response:
    """Return the answer once its first text is there: until then every failure is an answer of its own."""
    loop = asyncio.get_running_loop()
    live = LiveText()

    def on_timings(timings_ms: dict[str, float]) -> None:
        # As in live_text: the loop may be closed.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(job.record.timings_ms.update, timings_ms)

    def finish(task: _Running) -> None:
        live.close()
        if not task.cancelled():
            # Looked at, whether or not anybody is left to hear of it.
            task.exception()

    def end() -> None:
        job.give_up()
        live.close()
        late.cancel()
        running.cancel()

    running = asyncio.create_task(job.run(live.put, on_timings))
    running.add_done_callback(finish)
    late = loop.call_later(job.left_s(), end)
    # Lambda hands over a whole answer, for which load balancers have a limit of 1 MB: few chunks, not one a token.
    whole = _on_lambda(request)
    try:
        first = await unless_abandoned(live.take(whole=whole), request.receive)
        if not first:
            await _finished(running)
        engine = await job.models.engine(job.spec)
    except BaseException:
        end()
        raise
    job.record.streamed = True
    options = job.body.stream_options
    chunks = Chunks(
        completion=Completion(model=job.name, fingerprint=engine.fingerprint),
        with_usage=bool(options and options.include_usage),
        obfuscated=bool(options and options.include_obfuscation),
    )
    return EventStream(
        _events(job, chunks, first, live, running),
        farewell=partial(_failure, job, DrainingError()),
        on_end=end,
        limit_s=job.left_s(),
    )


async def _events(
    job: Job,
    chunks: Chunks,
    texts: dict[int, str],
    live: LiveText,
    running: _Running,
) -> AsyncGenerator[bytes, None]:
    """Yield the events of a stream that begins with ``texts``; a failure is its last but one."""
    for chunk in chunks.begin(job.options.num_hypotheses):
        yield event(chunk)
    try:
        while texts:
            for index, text in texts.items():
                yield event(chunks.text(index, text))
            texts = await live.take()
        translation = await _finished(running)
    except Exception as error:  # noqa: BLE001 - whatever it is, the client must hear of it
        yield _failure(job, error)
    else:
        for chunk in chunks.end(translation):
            yield event(chunk)
        yield DONE


def _failure(job: Job, error: Exception) -> bytes:
    """Return the end of a stream that breaks off, and note it for the log."""
    job.record.fields["error"] = type(error).__name__
    return event(error_object(error, request_id=job.record.request_id)) + DONE


async def _finished(running: _Running) -> Translation:
    """Return the answer of a request whose text has ended.

    Raises:
        TimeLimitError: It has ended because the time is up.
    """
    if running.cancelling():
        raise TimeLimitError
    _, translation = await running
    return translation
