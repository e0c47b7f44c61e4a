"""``POST /v1/chat/completions``: the translation itself."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from time import monotonic
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from handler.catalog import ModelSpec
from handler.completions import Chunks, Completion
from handler.decoder import DecodingOptions
from handler.dependencies import (
    ChatCompletionRequestDependency,
    ModelsDependency,
    SettingsDependency,
    WorkersDependency,
)
from handler.documentation import operation
from handler.engine import Engine, OnText, Translation
from handler.errors import ModelNotFoundError, TimeLimitError
from handler.event_stream import DONE, EventStream, event, unless_abandoned
from handler.exception_handlers import error_object
from handler.languages import parse_language
from handler.models import ModelManager
from handler.parameters import decoding_options
from handler.prompts import Named, Prompt, nllb_prompt, parse_suffix, t5_prompt
from handler.schemas import ChatCompletion, ChatCompletionChunk, ChatCompletionRequest
from handler.settings import Settings
from handler.telemetry import RequestRecord, request_record
from handler.workers import Workers

router = APIRouter(prefix="/v1/chat", tags=["Chat"])


@router.post(
    "/completions",
    openapi_extra=operation(
        ChatCompletion,
        *(400, 401, 404, 413, 415, 429, 500, 503, 504),
        body=ChatCompletionRequest,
        events=ChatCompletionChunk,
    ),
)
async def create_chat_completion(
    request: Request,
    body: ChatCompletionRequestDependency,
    models: ModelsDependency,
    settings: SettingsDependency,
    workers: WorkersDependency,
) -> Response:
    """Translate the last user message, or for a T5 model answer it."""
    record = request_record(request.scope)
    spec, suffix = _select_model(models, body.model)
    record.fields["model"] = spec.id
    options = decoding_options(body, spec, max_choices=settings.max_choices)
    job = _Job(body, spec, suffix, options, models, workers[spec.id], settings, record)
    if body.stream:
        return await _stream(request, job)
    try:
        engine, translation = await unless_abandoned(job.run(), request.receive, limit_s=job.left_s())
    finally:
        job.give_up()
    completion = Completion(model=job.name, fingerprint=engine.fingerprint)
    return JSONResponse(completion.whole(translation, decode=engine.decode))


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


@dataclass(frozen=True, slots=True)
class _Job:
    """One request on its way through the queue and the engine."""

    body: ChatCompletionRequest
    spec: ModelSpec
    suffix: Named | None
    options: DecodingOptions
    models: ModelManager
    workers: Workers
    settings: Settings
    record: RequestRecord
    started_s: float = field(default_factory=monotonic)
    _given_up: Event = field(default_factory=Event)

    @property
    def name(self) -> str:
        """The model as it was asked for."""
        return self.body.model or self.spec.id

    def left_s(self) -> float:
        """Return the seconds that are left."""
        return max(0.0, self.started_s + self.settings.max_request_s - monotonic())

    def give_up(self) -> None:
        """Let what may still run end: nobody waits for it."""
        self._given_up.set()

    async def run(self, on_text: OnText | None = None) -> tuple[Engine, Translation]:
        """Wait for a place, the model and a thread, and translate; ``on_text`` gets the text while it is decoded."""
        with self.workers.place() as place:
            engine = await self.models.engine(self.spec)
            prompt, translation = await place.run(partial(self._answer, engine, on_text))
        self.record.timings_ms |= {"tokenize": translation.tokenize_ms, "translate": translation.translate_ms}
        self.record.timings_ms |= self.models.first_use_timings(self.spec)
        self.record.fields |= _log_fields(prompt, translation, with_texts=self.settings.log_texts)
        return engine, translation

    def _answer(self, engine: Engine, on_text: OnText | None, waited_ms: float) -> tuple[Prompt, Translation]:
        """Do everything that takes time; runs in a worker thread, for which it has waited."""
        self.record.timings_ms["queue"] = waited_ms
        if engine.family == "t5":
            prompt = t5_prompt(self.body)
        else:
            prompt = nllb_prompt(
                self.body,
                suffix=self.suffix,
                default_source=self.spec.source_lang,
                default_target=self.spec.target_lang,
                deployed=engine.languages,
            )
        translate: Callable[..., Translation] = (
            engine.translate if on_text is None else partial(engine.stream, on_text=on_text)
        )
        translation = translate(
            prompt.text,
            source_lang=prompt.source_lang,
            target_lang=prompt.target_lang,
            options=self.options,
            max_prompt_tokens=self.settings.max_prompt_tokens,
            abandoned=self._given_up.is_set,
        )
        return prompt, translation


_Texts = asyncio.Queue[tuple[int, str] | None]
"""Indices of choices and further text of them; nothing once there is no more."""


async def _stream(request: Request, job: _Job) -> Response:
    """Return the answer once its first text is there: until then every failure is an answer of its own."""
    loop = asyncio.get_running_loop()
    texts: _Texts = asyncio.Queue()

    def on_text(choice: int, text: str) -> None:
        # The loop is closed when the server has stopped without waiting for this thread.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(texts.put_nowait, (choice, text))

    running = asyncio.ensure_future(job.run(on_text))

    def finish(task: "asyncio.Future[Any]") -> None:
        texts.put_nowait(None)
        if not task.cancelled():
            # Looked at, whether or not anybody is left to hear of it.
            task.exception()

    running.add_done_callback(finish)

    def end() -> None:
        job.give_up()
        running.cancel()

    try:
        first = await unless_abandoned(texts.get(), request.receive, limit_s=job.left_s())
        if first is None:
            await running
        engine = await job.models.engine(job.spec)
    except BaseException:
        end()
        raise
    options = job.body.stream_options
    chunks = Chunks(
        completion=Completion(model=job.name, fingerprint=engine.fingerprint),
        with_usage=bool(options and options.include_usage),
        obfuscated=bool(options and options.include_obfuscation),
    )
    return EventStream(_events(job, chunks, first, texts, running), on_end=end)


async def _events(
    job: _Job,
    chunks: Chunks,
    text: tuple[int, str] | None,
    texts: _Texts,
    running: "asyncio.Future[tuple[Engine, Translation]]",
) -> AsyncGenerator[bytes, None]:
    """Yield the events of a stream that begins with ``text``; a failure is its last but one."""
    for chunk in chunks.begin(job.options.num_hypotheses):
        yield event(chunk)
    try:
        while text is not None:
            yield event(chunks.text(*text))
            try:
                text = await asyncio.wait_for(texts.get(), job.left_s())
            except TimeoutError:
                raise TimeLimitError from None
        _, translation = await running
    except Exception as error:  # noqa: BLE001 - whatever it is, the client must hear of it
        job.record.fields["error"] = type(error).__name__
        yield event(error_object(error, request_id=job.record.request_id))
    else:
        for chunk in chunks.end(translation):
            yield event(chunk)
    yield DONE


def _log_fields(prompt: Prompt, translation: Translation, *, with_texts: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "prompt_tokens": translation.prompt_tokens,
        "completion_tokens": sum(choice.completion_tokens for choice in translation.choices),
    }
    if prompt.target_lang:
        fields |= {"source_lang": prompt.source_lang, "target_lang": prompt.target_lang}
    if with_texts:
        fields |= {"source_text": prompt.text, "answers": [choice.text for choice in translation.choices]}
    return fields
