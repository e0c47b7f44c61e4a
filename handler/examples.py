"""Examples of the OpenAPI document: requests that run on the models served here, their answers, and every failure.

Imported when the document is asked for.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from handler.catalog import ModelSpec
from handler.errors import (
    AuthenticationError,
    ContextLengthExceededError,
    HandlerError,
    MissingTargetLanguageError,
    ModelLoadError,
    ModelNotFoundError,
    OverloadedError,
    RequestTimeoutError,
    RequestTooLargeError,
    TimeLimitError,
    UnsupportedMediaTypeError,
)
from handler.exception_handlers import error_body
from handler.language_data import FLORES_200
from handler.languages import parse_language
from handler.models import ModelManager
from handler.request_parsing import check_supported, parse_request
from handler.schemas import ChatCompletionRequest
from handler.settings import Settings

JsonObject = dict[str, Any]
Examples = dict[str, JsonObject]
"""By name; each has a ``summary`` and a ``value``."""

_TEXT = "Where is the train station?"
_TASK = "translate English to German:"
_TARGETS = {"fra_Latn": "Où est la gare ?", "deu_Latn": "Wo ist der Bahnhof?"}
"""What the text is in the languages that are chosen first, if the model has them."""
_UNNAMED = (
    ("invalid_value", "A field has a wrong type, or a value out of its range."),
    ("malformed_json", "The body is not JSON."),
)
_CREATED = 1_767_225_600
_ID, _FINGERPRINT = "chatcmpl-0123456789abcdef0123456789abcdef", "fp_0123456789"


def example_request(spec: ModelSpec) -> JsonObject:
    """Return the body of a chat completion that a model can answer."""
    if spec.family == "t5":
        return {"model": spec.id, "messages": [{"role": "user", "content": f"{_TASK} {_TEXT}"}]}
    return {
        "model": spec.id,
        "target_lang": _target(spec),
        "messages": [{"role": "user", "content": _TEXT}],
    }


def requests(models: ModelManager) -> Examples:
    """Return requests for a chat completion, one for each way of asking that the models have."""
    nllb, t5 = _first(models, "nllb"), _first(models, "t5")
    examples: Examples = {}
    if nllb is not None:
        target = _target(nllb)
        examples["translation"] = _example("A translation", example_request(nllb))
        examples["instruction"] = _example(
            "The language in words, for clients that have no field for it",
            {
                "model": nllb.id,
                "messages": [{"role": "user", "content": f"Translate to {FLORES_200[target]}:\n\n{_TEXT}"}],
            },
        )
        examples["choices"] = _example(
            "Two translations, no longer than 20 tokens each", example_request(nllb) | {"n": 2, "max_tokens": 20}
        )
    if t5 is not None:
        examples["task"] = _example("A task for a T5 model", example_request(t5))
        examples["system_task"] = _example(
            "The task in a message of the system",
            {
                "model": t5.id,
                "messages": [{"role": "system", "content": _TASK}, {"role": "user", "content": _TEXT}],
            },
        )
    examples["stream"] = _example(
        "An answer that is sent while it is made",
        example_request(models.default) | {"stream": True, "stream_options": {"include_usage": True}},
    )
    return examples


def completion(spec: ModelSpec) -> JsonObject:
    """Return what ``example_request`` is answered."""
    return {
        "id": _ID,
        "object": "chat.completion",
        "created": _CREATED,
        "model": spec.id,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": _answer(spec), "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 15},
        "system_fingerprint": _FINGERPRINT,
    }


def chunk(spec: ModelSpec) -> JsonObject:
    """Return what the data of an event of a streamed answer looks like."""
    return {
        "id": _ID,
        "object": "chat.completion.chunk",
        "created": _CREATED,
        "model": spec.id,
        "choices": [{"index": 0, "delta": {"content": _answer(spec)}, "logprobs": None, "finish_reason": None}],
        "usage": None,
        "system_fingerprint": _FINGERPRINT,
    }


def health(models: ModelManager, *, ready: bool) -> JsonObject:
    """Return what a health check is answered while the models load, and once they have."""
    loaded, loading = ("ok", "loaded"), ("loading", "loading")
    status, state = loaded if ready else loading
    return {"status": status, "models": {spec.id: state for spec in models}}


def errors(models: ModelManager, settings: Settings) -> dict[int, Examples]:
    """Return the failures of each status, as this very configuration tells them."""
    found = [
        *_invalid_requests(models, settings),
        AuthenticationError(),
        ModelNotFoundError("gpt-5"),
        RequestTimeoutError(),
        RequestTooLargeError(limit=settings.max_body_bytes),
        UnsupportedMediaTypeError("text/plain"),
        OverloadedError(limit=settings.max_queued_requests),
        ModelLoadError(models.default.id),
        TimeLimitError(),
    ]
    by_status: dict[int, Examples] = {}
    for error in found:
        body = error_body(error.message, type=error.type, param=error.param, code=error.code)
        summary = (type(error).__doc__ or "").partition("\n")[0]
        name, summary = (error.code, summary) if error.code else _UNNAMED[error.param is None]
        by_status.setdefault(error.status_code, {})[name] = _example(summary, body)
    by_status[500] = {
        "internal_error": _example(
            "Something is wrong with the server.",
            error_body(
                "Internal error; the server's log has it under the id 2f1c….",
                type="server_error",
                param=None,
                code=None,
            ),
        )
    }
    return by_status


def _invalid_requests(models: ModelManager, settings: Settings) -> Iterator[HandlerError]:
    """Yield what is wrong with some requests; most are found by asking."""
    request = example_request(models.default)
    bodies = (
        json.dumps(request)[:-1],
        json.dumps(request | {"temperature": 3}),
        json.dumps(request | {"response_format": {"type": "json_object"}}),
    )
    for body in bodies:
        with _caught() as errors_of_body:
            check_supported(parse_request(body.encode(), ChatCompletionRequest))
        yield from errors_of_body
    nllb = _first(models, "nllb")
    if nllb is not None:
        yield MissingTargetLanguageError()
        with _caught() as errors_of_language:
            parse_language("Klingon", deployed=nllb.languages, param="target_lang")
        yield from errors_of_language
    yield ContextLengthExceededError(settings.max_prompt_tokens + 1, limit=settings.max_prompt_tokens)


@contextmanager
def _caught() -> Iterator[list[HandlerError]]:
    caught: list[HandlerError] = []
    try:
        yield caught
    except HandlerError as error:
        caught.append(error)


def _example(summary: str, value: object) -> JsonObject:
    return {"summary": summary, "value": value}


def _first(models: ModelManager, family: str) -> ModelSpec | None:
    return next((spec for spec in (models.default, *models) if spec.family == family), None)


def _target(spec: ModelSpec) -> str:
    candidates = (*_TARGETS, *spec.languages)
    return spec.target_lang or next(code for code in candidates if code in spec.languages)


def _answer(spec: ModelSpec) -> str:
    target = "deu_Latn" if spec.family == "t5" else _target(spec)
    return _TARGETS.get(target, "…")
