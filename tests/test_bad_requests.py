"""Requests that cannot be served: each is refused in OpenAI's envelope, and the server goes on as before."""

import http.client
import json
import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from conftest import REQUEST_TIMEOUT_S, Answer, Server
from pydantic import ValidationError

from handler.schemas import ChatCompletionRequest

CHAT = "/v1/chat/completions"
JSON = "application/json"
MAX_BODY_BYTES = 1_048_576
TEXT = "Where is the hotel?"
USER = {"role": "user", "content": TEXT}
GOOD: dict[str, Any] = {"messages": [USER], "target_lang": "fra_Latn", "beam_size": 1}
HEAD = f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"

UNSUPPORTED = "unsupported_value"
LANGUAGE = "unsupported_language"
NOT_FOUND = "model_not_found"
TOO_LONG = "context_length_exceeded"


class Case(NamedTuple):
    """A body and the answer it must get."""

    body: bytes
    param: str | None = None
    code: str | None = None
    status: int = 400
    content_type: str = JSON


def with_json(fragment: bytes) -> bytes:
    """Return a good body with further members, which may be no JSON."""
    return json.dumps(GOOD).encode()[:-1] + b", " + fragment + b"}"


def fields(**changed: Any) -> bytes:
    """Return a good body with some fields changed."""
    return json.dumps(GOOD | changed).encode()


def without_target(**changed: Any) -> bytes:
    """Return a good body that has no target language of its own, with some fields changed."""
    return fields(target_lang=None, **changed)


def messages(*given: Any) -> bytes:
    """Return a good body with other messages."""
    return fields(messages=given)


def user(content: Any) -> bytes:
    """Return a good body with other content of the user."""
    return messages({"role": "user", "content": content})


def text_of(content: bytes) -> bytes:
    """Return a body whose text is written in raw JSON."""
    return b'{"target_lang": "fra_Latn", "messages": [{"role": "user", "content": "' + content + b'"}]}'


MALFORMED = {
    "empty": b"",
    "white-space": b" \n\t",
    "word": b"hello",
    "form": b"a=1&b=2",
    "unclosed-object": json.dumps(GOOD).encode()[:-1],
    "unclosed-string": b'{"messages": "a',
    "trailing-comma": with_json(b""),
    "two-objects": json.dumps(GOOD).encode() * 2,
    "comment": with_json(b'"user": "a" // comment'),
    "single-quotes": b"{'messages': []}",
    "bare-key": with_json(b"user: 1"),
    "python-literal": with_json(b'"stream": False'),
    "nan": with_json(b'"temperature": NaN'),
    "infinity": with_json(b'"temperature": Infinity'),
    "minus-infinity": with_json(b'"temperature": -Infinity'),
    "nan-in-unknown-field": with_json(b'"unknown": NaN'),
    "leading-zero": with_json(b'"max_tokens": 01'),
    "plus-sign": with_json(b'"max_tokens": +1'),
    "hexadecimal": with_json(b'"max_tokens": 0x10'),
    "bad-escape": text_of(rb"\x41"),
    "short-escape": text_of(rb"\u12"),
    "lone-high-surrogate": text_of(rb"\ud800"),
    "lone-low-surrogate": text_of(rb"\udc00"),
    "surrogates-swapped": text_of(rb"\udc00\ud800"),
    "surrogate-in-key": with_json(rb'"\ud800": 1'),
    "surrogate-in-unknown-field": with_json(rb'"unknown": "\ud800"'),
    "raw-surrogate": text_of(b"\xed\xa0\x80"),
    "raw-nul": text_of(b"a\x00b"),
    "raw-line-break": text_of(b"a\nb"),
    "nul-alone": b"\x00",
    "nested-arrays": b"[" * 100_000,
    "nested-objects": b'{"a":' * 100_000,
    "nested-and-closed": with_json(b'"unknown": ' + b"[" * 100_000 + b"]" * 100_000),
    "long-integer": with_json(b'"max_tokens": ' + b"9" * 5000),
    "long-negative-integer": with_json(b'"seed": -' + b"9" * 5000),
    "long-integer-in-unknown-field": with_json(b'"unknown": ' + b"9" * 5000),
    "invalid-utf-8": text_of(b"\xff\xfe"),
    "cut-utf-8": text_of(b"caf\xc3"),
    "overlong-utf-8": text_of(b"\xc0\xaf"),
    "latin-1": text_of("hôtel".encode("latin-1")),
    "utf-16": json.dumps(GOOD).encode("utf-16"),
    "byte-order-mark": b"\xef\xbb\xbf" + json.dumps(GOOD).encode(),
    "array": b"[]",
    "array-of-requests": json.dumps([GOOD]).encode(),
    "string": b'"hello"',
    "number": b"1",
    "boolean": b"true",
    "null": b"null",
}

WRONG_TYPES = {
    "frequency_penalty": "1",
    "presence_penalty": [1],
    "temperature": "0.5",
    "top_p": True,
    "max_tokens": "5",
    "max_completion_tokens": {},
    "n": "2",
    "seed": "7",
    "stop": 5,
    "logprobs": 1,
    "top_logprobs": "3",
    "stream": "true",
    "stream_options": True,
    "user": 5,
    "metadata": ["a"],
    "tools": {},
    "tool_choice": 5,
    "functions": "f",
    "function_call": 5,
    "logit_bias": [1],
    "store": "yes",
    "service_tier": 1,
    "modalities": "text",
    "response_format": "text",
    "parallel_tool_calls": 1,
    "model": 5,
    "messages": "hello",
    "audio": "alloy",
    "prediction": "text",
    "reasoning_effort": 3,
    "source_lang": 5,
    "target_lang": ["fr"],
    "beam_size": "4",
    "length_penalty": "1",
    "repetition_penalty": [],
    "no_repeat_ngram_size": "3",
    "chat_template_kwargs": [],
}

INTEGERS = ("max_tokens", "max_completion_tokens", "n", "seed", "beam_size", "no_repeat_ngram_size")

OUT_OF_RANGE = {
    "temperature": (-0.01, 2.01),
    "top_p": (-0.01, 1.01),
    "frequency_penalty": (-2.01, 2.01),
    "presence_penalty": (-2.01, 2.01),
    "max_tokens": (0, -1),
    "max_completion_tokens": (0, -1),
    "n": (0, 9),
    "seed": (-(2**63) - 1, 2**63),
    "beam_size": (0, 33),
    "length_penalty": (-10.1, 10.1),
    "repetition_penalty": (0, 10.1),
    "no_repeat_ngram_size": (-1, 101),
    "stop": ("", ["a"] * 5),
    "metadata": ({str(key): "value" for key in range(17)},),
    "messages": ([],),
}

CASES = {
    **{f"malformed-{name}": Case(body) for name, body in MALFORMED.items()},
    **{f"type-of-{name}": Case(fields(**{name: value}), name) for name, value in WRONG_TYPES.items()},
    **{f"fraction-for-{name}": Case(fields(**{name: 1.5}), name) for name in INTEGERS},
    **{f"whole-fraction-for-{name}": Case(fields(**{name: 1.0}), name) for name in INTEGERS},
    **{f"boolean-for-{name}": Case(fields(**{name: True}), name) for name in INTEGERS},
    **{
        f"range-of-{name}-{number}": Case(fields(**{name: value}), name)
        for name, values in OUT_OF_RANGE.items()
        for number, value in enumerate(values)
    },
    "range-of-temperature-1e999": Case(with_json(b'"temperature": 1e999'), "temperature"),
    "stop-of-null": Case(fields(stop=["a", None]), "stop[1]"),
    "stop-of-empty": Case(fields(stop=["a", ""]), "stop[1]"),
    "logit-bias-300": Case(fields(logit_bias={"50256": 300}), "logit_bias.50256"),
    "logit-bias-below": Case(fields(logit_bias={"50256": -101}), "logit_bias.50256"),
    "metadata-of-number": Case(fields(metadata={"key": 1}), "metadata.key"),
    "metadata-key-with-a-break": Case(fields(metadata={"a\nb": 1}), "metadata.a\\nb"),
    "tools-of-number": Case(fields(tools=[5]), "tools[0]"),
    # What is well formed and not offered.
    "logprobs-streamed": Case(fields(logprobs=True, stream=True), "logprobs", UNSUPPORTED),
    "top-logprobs": Case(fields(logprobs=True, top_logprobs=1), "top_logprobs", UNSUPPORTED),
    "top-logprobs-alone": Case(fields(top_logprobs=2), "top_logprobs"),
    "top-logprobs-refused": Case(fields(top_logprobs=0, logprobs=False), "top_logprobs"),
    "top-logprobs-21": Case(fields(top_logprobs=21, logprobs=True), "top_logprobs"),
    "top-logprobs-negative": Case(fields(top_logprobs=-1, logprobs=True), "top_logprobs"),
    "stream-options-alone": Case(fields(stream_options={"include_usage": True}), "stream_options"),
    "stream-options-unstreamed": Case(fields(stream_options={}, stream=False), "stream_options"),
    "stream-options-type": Case(
        fields(stream_options={"include_usage": 1}, stream=True), "stream_options.include_usage"
    ),
    "response-format-json": Case(fields(response_format={"type": "json_object"}), "response_format", UNSUPPORTED),
    "response-format-schema": Case(
        fields(response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}),
        "response_format",
        UNSUPPORTED,
    ),
    "response-format-unknown": Case(fields(response_format={"type": "xml"}), "response_format.type"),
    "response-format-empty": Case(fields(response_format={}), "response_format.type"),
    "tool-choice-required": Case(fields(tool_choice="required"), "tool_choice", UNSUPPORTED),
    "tool-choice-function": Case(
        fields(tool_choice={"type": "function", "function": {"name": "f"}}), "tool_choice", UNSUPPORTED
    ),
    "function-call-forced": Case(fields(function_call={"name": "f"}), "function_call", UNSUPPORTED),
    "modalities-audio": Case(fields(modalities=["audio"]), "modalities", UNSUPPORTED),
    "modalities-both": Case(fields(modalities=["text", "audio"]), "modalities", UNSUPPORTED),
    "modalities-unknown": Case(fields(modalities=["smell"]), "modalities[0]"),
    # Models.
    "model-unknown": Case(fields(model="gpt-5"), "model", NOT_FOUND, 404),
    "model-empty": Case(fields(model=""), "model", NOT_FOUND, 404),
    "model-untrimmed": Case(fields(model=" nllb-demo"), "model", NOT_FOUND, 404),
    "model-trailing-space": Case(fields(model="nllb-demo "), "model", NOT_FOUND, 404),
    "model-other-case": Case(fields(model="NLLB-demo"), "model", NOT_FOUND, 404),
    "model-default-other-case": Case(fields(model="Default"), "model", NOT_FOUND, 404),
    "model-suffix-alone": Case(fields(model=":fra_Latn"), "model", NOT_FOUND, 404),
    "model-suffix-empty": Case(fields(model="nllb-demo:"), "model", NOT_FOUND, 404),
    "model-suffix-unknown": Case(fields(model="nllb-demo:latest"), "model", LANGUAGE),
    "model-suffix-of-t5": Case(fields(model="t5-demo:latest"), "model", NOT_FOUND, 404),
    "model-unknown-with-suffix": Case(fields(model="gpt-5:fra_Latn"), "model", NOT_FOUND, 404),
    "model-very-long": Case(fields(model="m" * 100_000), "model", NOT_FOUND, 404),
    "model-path": Case(fields(model="../../../etc/hostname"), "model", NOT_FOUND, 404),
    # Languages.
    "target-missing": Case(without_target(), "target_lang", "missing_target_language"),
    "target-unknown": Case(fields(target_lang="klingon"), "target_lang", LANGUAGE),
    "target-empty": Case(fields(target_lang=""), "target_lang", LANGUAGE),
    "target-auto": Case(fields(target_lang="auto"), "target_lang", LANGUAGE),
    "target-undeployed": Case(fields(target_lang="ita_Latn"), "target_lang", LANGUAGE),
    "target-undeployed-name": Case(fields(target_lang="Traditional Chinese"), "target_lang", LANGUAGE),
    "target-other-script": Case(fields(target_lang="fra_Cyrl"), "target_lang", LANGUAGE),
    "target-very-long": Case(fields(target_lang="x" * 100_000), "target_lang", LANGUAGE),
    "source-unknown": Case(fields(source_lang="xx"), "source_lang", LANGUAGE),
    "source-undeployed": Case(fields(source_lang="zh-CN"), "source_lang", LANGUAGE),
    "part-target-unknown": Case(
        without_target(
            messages=[{"role": "user", "content": [{"type": "text", "text": TEXT, "target_lang_code": "qq"}]}]
        ),
        "messages[0].content[0].target_lang_code",
        LANGUAGE,
    ),
    "part-language-type": Case(
        user([{"type": "text", "text": TEXT, "source_lang_code": 5}]), "messages[0].content[0].source_lang_code"
    ),
    "template-target-unknown": Case(
        without_target(chat_template_kwargs={"target_lang_code": "qq"}),
        "chat_template_kwargs.target_lang_code",
        LANGUAGE,
    ),
    "template-source-unknown": Case(
        fields(chat_template_kwargs={"source_lang_code": "qq"}), "chat_template_kwargs.source_lang_code", LANGUAGE
    ),
    "template-language-type": Case(
        fields(chat_template_kwargs={"target_lang_code": 5}), "chat_template_kwargs.target_lang_code"
    ),
    "suffix-unknown": Case(without_target(model="nllb-demo:klingon"), "model", LANGUAGE),
    "suffix-undeployed": Case(without_target(model="nllb-demo:ita_Latn"), "model", LANGUAGE),
    "suffix-source-undeployed": Case(without_target(model="nllb-demo:ita_Latn-fra_Latn"), "model", LANGUAGE),
    "suffix-of-three": Case(without_target(model="nllb-demo:eng_Latn-fra_Latn-deu_Latn"), "model", LANGUAGE),
    "suffix-ambiguous": Case(without_target(model="nllb-demo:en-fr-de"), "model", LANGUAGE),
    "instruction-unknown": Case(
        without_target(messages=[{"role": "user", "content": f"Translate from English to Klingon: {TEXT}"}]),
        "messages",
        LANGUAGE,
    ),
    "instruction-undeployed": Case(
        without_target(messages=[{"role": "user", "content": f"Translate to Italian:\n\n{TEXT}"}]),
        "messages",
        LANGUAGE,
    ),
    "system-instruction-undeployed": Case(
        without_target(messages=[{"role": "system", "content": "You translate English to Italian."}, USER]),
        "messages",
        LANGUAGE,
    ),
    # Messages.
    "messages-missing": Case(b'{"target_lang": "fra_Latn"}', "messages"),
    "messages-null": Case(fields(messages=None), "messages"),
    "messages-object": Case(fields(messages=USER), "messages"),
    "message-of-number": Case(messages(5), "messages[0]"),
    "message-null": Case(messages(USER, None), "messages[1]"),
    "role-missing": Case(messages({"content": TEXT}), "messages[0].role"),
    "role-unknown": Case(messages({"role": "robot", "content": TEXT}), "messages[0].role"),
    "role-unknown-later": Case(messages(USER, {"role": "robot", "content": TEXT}), "messages[1].role"),
    "role-other-case": Case(messages({"role": "User", "content": TEXT}), "messages[0].role"),
    "role-number": Case(messages({"role": 1, "content": TEXT}), "messages[0].role"),
    "no-user-message": Case(
        messages({"role": "system", "content": "Hello."}, {"role": "assistant", "content": "Hello."}), "messages"
    ),
    "content-null": Case(user(None), "messages"),
    "content-missing": Case(messages({"role": "user"}), "messages"),
    "content-no-parts": Case(user([]), "messages"),
    "content-number": Case(user(5), "messages[0].content"),
    "content-object": Case(user({"type": "text", "text": TEXT}), "messages[0].content"),
    "content-of-strings": Case(user([TEXT]), "messages[0].content[0]"),
    "name-number": Case(messages(USER | {"name": 5}), "messages[0].name"),
    "part-without-type": Case(user([{"text": TEXT}]), "messages[0].content[0].type"),
    "part-text-number": Case(user([{"type": "text", "text": 5}]), "messages[0].content[0].text"),
    "part-image": Case(
        user(
            [{"type": "text", "text": TEXT}, {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]
        ),
        "messages[0].content[1].type",
    ),
    "part-audio": Case(
        user([{"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}]),
        "messages[0].content[0].type",
    ),
    "part-file": Case(user([{"type": "file", "file": {"file_id": "f"}}]), "messages[0].content[0].type"),
    **{
        f"part-refusal-of-{role}": Case(
            messages({"role": role, "content": [{"type": "refusal", "refusal": "No."}]}, USER),
            "messages[0].content[0].type",
        )
        for role in ("user", "system", "developer", "tool")
    },
    "part-refusal-and-text": Case(
        user([{"type": "text", "text": TEXT}, {"type": "refusal", "refusal": "No."}]), "messages[0].content[1].type"
    ),
    "part-unknown": Case(user([{"type": "video", "text": TEXT}]), "messages[0].content[0].type"),
    "part-image-in-system": Case(
        messages({"role": "system", "content": [{"type": "image_url"}]}, USER), "messages[0].content[0].type"
    ),
    # Limits of the prompt.
    "too-many-tokens": Case(user(f"{TEXT} " * 4000), "messages", TOO_LONG),
    "too-many-tokens-for-t5": Case(
        fields(model="t5-demo", messages=[{"role": "user", "content": f"{TEXT} " * 200}]), "messages", TOO_LONG
    ),
    "too-many-tokens-in-t5-prefix": Case(
        fields(model="t5-demo", messages=[{"role": "system", "content": f"{TEXT} " * 200}, USER]), "messages", TOO_LONG
    ),
    # Content types.
    **{
        f"content-type-{name}": Case(fields(), None, "unsupported_media_type", 415, content_type)
        for name, content_type in {
            "text": "text/plain",
            "form": "application/x-www-form-urlencoded",
            "multipart": "multipart/form-data; boundary=x",
            "near-miss": "application/jsonp",
            "empty": "",
            "list": "application/json, text/plain",
            "odd-bytes": "\xff\xfe",
        }.items()
    },
}

CHECKED_ALL_THE_SAME = {
    "service-tier": Case(fields(service_tier="golden"), "service_tier"),
    "verbosity": Case(fields(verbosity="chatty"), "verbosity"),
    "reasoning-effort": Case(fields(reasoning_effort="heroic"), "reasoning_effort"),
    "logit-bias-fraction": Case(fields(logit_bias={"50256": 1.5}), "logit_bias.50256"),
    "tool-without-type": Case(fields(tools=[{}]), "tools[0].type"),
    **{
        f"tool-name-{name}": Case(
            fields(tools=[{"type": "function", "function": {"name": name}}]), "tools[0].function.name"
        )
        for name in ("", "a b", "caf\u00e9", "name\n", "n" * 65)
    },
    "custom-tool-without-name": Case(fields(tools=[{"type": "custom", "custom": {}}]), "tools[0].custom.name"),
    "function-without-name": Case(fields(functions=[{}]), "functions[0].name"),
    "function-name": Case(fields(functions=[{"name": "a.b"}]), "functions[0].name"),
    "audio-format": Case(fields(audio={"voice": "alloy", "format": "midi"}), "audio.format"),
    "audio-without-format": Case(fields(audio={"voice": "alloy"}), "audio.format"),
    "audio-without-voice": Case(fields(audio={"format": "wav"}), "audio.voice"),
    "audio-voice": Case(fields(audio={"format": "wav", "voice": 5}), "audio.voice"),
    "audio-voice-of-nobody": Case(fields(audio={"format": "wav", "voice": {}}), "audio.voice.id"),
    "prediction-type": Case(fields(prediction={"type": "text", "content": "x"}), "prediction.type"),
    "prediction-without-content": Case(fields(prediction={"type": "content"}), "prediction.content"),
    "prediction-content": Case(fields(prediction={"type": "content", "content": 5}), "prediction.content"),
    "prediction-part": Case(
        fields(prediction={"type": "content", "content": [{"type": "image_url", "text": "x"}]}),
        "prediction.content[0].type",
    ),
    "web-search-size": Case(
        fields(web_search_options={"search_context_size": "huge"}), "web_search_options.search_context_size"
    ),
    "web-search-location": Case(
        fields(web_search_options={"user_location": {"type": "exact", "approximate": {}}}),
        "web_search_options.user_location.type",
    ),
    "web-search-city": Case(
        fields(web_search_options={"user_location": {"type": "approximate", "approximate": {"city": 5}}}),
        "web_search_options.user_location.approximate.city",
    ),
    "prompt-cache-retention": Case(fields(prompt_cache_retention="1h"), "prompt_cache_retention"),
    "safety-identifier": Case(fields(safety_identifier="s" * 129), "safety_identifier"),
    "metadata-key": Case(fields(metadata={"k" * 65: "value"}), "metadata"),
    "metadata-value": Case(fields(metadata={"key": "v" * 513}), "metadata.key"),
    "stop-of-nothing": Case(fields(stop=[]), "stop"),
}

AT_THE_LIMIT: dict[str, dict[str, Any]] = {
    "temperature-0": {"temperature": 0},
    "temperature-2": {"temperature": 2},
    "temperature-tiny": {"temperature": 5e-324},
    "top-p-0": {"top_p": 0},
    "top-p-1": {"top_p": 1},
    "top-p-tiny": {"top_p": 1e-12},
    "frequency-penalty-below": {"frequency_penalty": -2},
    "frequency-penalty-above": {"frequency_penalty": 2},
    "presence-penalty-below": {"presence_penalty": -2},
    "presence-penalty-above": {"presence_penalty": 2},
    "both-penalties-below": {"presence_penalty": -2, "frequency_penalty": -2},
    "max-tokens-1": {"max_tokens": 1},
    "max-tokens-2-31": {"max_tokens": 2**31},
    "max-tokens-2-63": {"max_tokens": 2**63},
    "max-completion-tokens-1": {"max_completion_tokens": 1},
    "n-1": {"n": 1},
    "n-8": {"n": 8},
    "seed-below": {"seed": -(2**63), "temperature": 0.5},
    "seed-above": {"seed": 2**63 - 1, "temperature": 0.5},
    "seed-negative": {"seed": -1, "temperature": 0.5},
    "stop-4": {"stop": ["1", "2", "3", "4"]},
    "metadata-16": {"metadata": {str(key): "value" for key in range(16)}},
    "metadata-lengths": {"metadata": {"k" * 64: "v" * 512}},
    "logit-bias": {"logit_bias": {"1": -100, "2": 100}},
    "tool-names": {"tools": [{"type": "function", "function": {"name": name}} for name in ("f", "aZ09_-", "n" * 64)]},
    "safety-identifier-128": {"safety_identifier": "s" * 128},
    "beam-size-1": {"beam_size": 1},
    "beam-size-32": {"beam_size": 32},
    "length-penalty-below": {"length_penalty": -10},
    "length-penalty-above": {"length_penalty": 10},
    "repetition-penalty-above": {"repetition_penalty": 10},
    "no-repeat-ngram-size-0": {"no_repeat_ngram_size": 0},
    "no-repeat-ngram-size-100": {"no_repeat_ngram_size": 100},
}

UNKNOWN_PATHS = {
    "root": "/",
    "version": "/v1",
    "version-slash": "/v1/",
    "other-operation": "/v1/completions",
    "trailing-slash": f"{CHAT}/",
    "double-slash": f"/{CHAT}",
    "other-case": "/V1/models",
    "odd-bytes": "/%ff%00%0a",
    "up": "/../../etc/passwd",
    "long": "/" + "a" * 5000,
}

WRONG_METHODS = {
    "get-chat": ("GET", CHAT, "POST"),
    "put-chat": ("PUT", CHAT, "POST"),
    "delete-chat": ("DELETE", CHAT, "POST"),
    "patch-chat": ("PATCH", CHAT, "POST"),
    "options-chat": ("OPTIONS", CHAT, "POST"),
    "post-models": ("POST", "/v1/models", "GET"),
    "delete-model": ("DELETE", "/v1/models/nllb-demo", "GET"),
    "post-health": ("POST", "/health", "GET"),
    "put-ready": ("PUT", "/health/ready", "GET"),
}

NO_HTTP = {
    "unknown-method": "BREW /health HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "no-words": "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    "negative-length": f"{HEAD}content-type: {JSON}\r\ncontent-length: -5\r\n\r\n",
    "worded-length": f"{HEAD}content-type: {JSON}\r\ncontent-length: many\r\n\r\n",
    "endless-length": f"{HEAD}content-type: {JSON}\r\ncontent-length: {'9' * 30}\r\n\r\n",
    "two-lengths": f"{HEAD}transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n",
    "no-chunk": f"{HEAD}content-type: {JSON}\r\ntransfer-encoding: chunked\r\n\r\nxx\r\n",
    "nul-in-header": f"{HEAD}x-odd: a\x00b\r\ncontent-length: 2\r\n\r\n{{}}",
}


def assert_refused(answer: Answer, *, status: int, param: str | None, code: str | None) -> str:
    """Check one answer against the envelope that every refusal comes in, and return its message."""
    assert answer.status == status, answer.body[:1000]
    assert answer.headers["content-type"] == JSON
    assert len(answer.body) < 20_000
    [(key, error)] = answer.json().items()
    assert key == "error"
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["param"], error["code"]) == (param, code)
    assert error["type"] == "invalid_request_error"
    assert len(error["message"].splitlines()) == 1
    assert not re.search(r"Traceback|File \"|\.py\b|site-packages|/home/|/opt/|errors\.pydantic", error["message"])
    return str(error["message"])


def assert_still_serving(server: Server) -> None:
    """Check that the server translates."""
    answer = server.request("POST", CHAT, GOOD)
    assert answer.status == 200, answer.body
    assert answer.json()["choices"][0]["message"]["content"] == "Où est l'hôtel ?"


def connect(server: Server) -> socket.socket:
    """Open a socket to the server; nothing on it waits forever."""
    url = urlsplit(server.url)
    return socket.create_connection((url.hostname, url.port), timeout=REQUEST_TIMEOUT_S)


def exchange(server: Server, *parts: bytes) -> Answer:
    """Send bytes that no client library would and read the answer; leaves the rest of a body owed."""
    with closing(connect(server)) as connection:
        for part in parts:
            connection.sendall(part)
        return read_answer(connection)


def read_answer(connection: socket.socket) -> Answer:
    """Read one answer off a socket."""
    response = http.client.HTTPResponse(connection)
    with closing(response):
        response.begin()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_bad_request_is_refused_and_the_next_one_served(server: Server, case: Case) -> None:
    """The answer has the right status, names the right parameter, and costs nobody else anything."""
    answer = server.request("POST", CHAT, case.body, {"content-type": case.content_type})

    assert_refused(answer, status=case.status, param=case.param, code=case.code)
    assert_still_serving(server)


@pytest.mark.parametrize("case", CHECKED_ALL_THE_SAME.values(), ids=CHECKED_ALL_THE_SAME)
def test_field_without_effect_is_checked_all_the_same(server: Server, case: Case) -> None:
    """A value that OpenAI's schema does not have is refused, although a right one would change nothing."""
    answer = server.request("POST", CHAT, case.body, {"content-type": JSON})

    assert_refused(answer, status=case.status, param=case.param, code=case.code)


@pytest.mark.parametrize("changed", AT_THE_LIMIT.values(), ids=AT_THE_LIMIT)
def test_value_at_its_limit_is_accepted(server: Server, changed: dict[str, Any]) -> None:
    """The first value that is refused is the one beyond the limit."""
    answer = server.request("POST", CHAT, GOOD | changed)

    assert answer.status == 200, answer.body
    assert len(answer.json()["choices"]) == changed.get("n", 1)


@pytest.mark.parametrize(
    "changed",
    [
        {"repetition_penalty": 0.01, "frequency_penalty": -2, "presence_penalty": -2},
        {"repetition_penalty": 10, "frequency_penalty": 2},
        {"temperature": 1e-40},
        {"temperature": 1e-300, "top_p": 0.5},
        {"temperature": 0.001},
        {"top_p": 1e-300},
        {"top_p": 0.001, "temperature": 2},
        {"length_penalty": -10},
        {"length_penalty": 10, "beam_size": 32},
        {"no_repeat_ngram_size": 100},
    ],
    ids=lambda changed: " ".join(f"{name}={value}" for name, value in changed.items()),
)
def test_extreme_value_in_range_never_fails_the_server(server: Server, changed: dict[str, Any]) -> None:
    """The decoder's numbers must not overflow, nor its control tokens come out as text."""
    answer = server.request("POST", CHAT, GOOD | changed | {"max_tokens": 20})

    assert answer.status == 200, answer.body
    assert "_Latn" not in answer.json()["choices"][0]["message"]["content"]


@pytest.mark.parametrize("field", ["messages", "tools", "stop", "modalities", "functions", "metadata", "logit_bias"])
def test_a_hundred_thousand_errors_cost_as_much_as_one(field: str) -> None:
    """The first one is reported and the others are not looked for."""
    count = 100_000
    value = {str(number): [] for number in range(count)} if field in {"metadata", "logit_bias"} else [0] * count

    with pytest.raises(ValidationError) as caught:
        ChatCompletionRequest.model_validate(GOOD | {field: value})

    assert caught.value.error_count() == 1


def test_a_head_without_end_is_refused(server: Server) -> None:
    """Headers are bounded as bodies are."""
    lines = "".join(f"x-{number}: {'y' * 1000}\r\n" for number in range(100))

    answer = exchange(server, f"GET /health HTTP/1.1\r\nhost: x\r\n{lines}".encode())

    assert answer.status == 431
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert_still_serving(server)


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.api+json"],
    ids=["charset", "upper-case", "suffix"],
)
def test_content_type_of_json_is_accepted(server: Server, content_type: str) -> None:
    """Parameters, case and a structured suffix do not make JSON another type."""
    answer = server.request("POST", CHAT, fields(), {"content-type": content_type})

    assert answer.status == 200, answer.body


def test_unknown_language_is_answered_with_the_nearest(server: Server) -> None:
    """The message names codes that would have worked."""
    answer = server.chat(TEXT, target_lang="fra_Cyrl")

    assert "fra_Latn" in assert_refused(answer, status=400, param="target_lang", code=LANGUAGE)


def test_message_repeats_a_long_value_shortened(server: Server) -> None:
    """A value of 100 kB does not come back."""
    answer = server.chat(TEXT, target_lang="x" * 100_000)

    assert len(assert_refused(answer, status=400, param="target_lang", code=LANGUAGE)) < 400


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", UNKNOWN_PATHS.values(), ids=UNKNOWN_PATHS)
def test_unknown_path_is_404(server: Server, path: str, method: str) -> None:
    """What no route has is unknown, whatever the method."""
    answer = server.request(method, path, b"{}" if method == "POST" else None, {"content-type": JSON})

    assert_refused(answer, status=404, param=None, code="unknown_url")
    assert_still_serving(server)


@pytest.mark.parametrize("name", ["gpt-5", "NLLB-DEMO", "meta%2Fnllb", "meta/nllb", "..%2f..%2fetc%2fpasswd", "%ff"])
def test_unknown_model_id_is_404(server: Server, name: str) -> None:
    """An id may hold a slash, raw or escaped, and be unknown all the same."""
    answer = server.request("GET", f"/v1/models/{name}")

    assert_refused(answer, status=404, param="model", code=NOT_FOUND)


@pytest.mark.parametrize(("method", "path", "allow"), WRONG_METHODS.values(), ids=WRONG_METHODS)
def test_wrong_method_is_405_and_told_the_right_one(server: Server, method: str, path: str, allow: str) -> None:
    """``Allow`` lists what the path takes."""
    answer = server.request(method, path)

    assert_refused(answer, status=405, param=None, code="method_not_allowed")
    assert allow in answer.headers["allow"].split(", ")


def test_head_is_405_without_a_body(server: Server) -> None:
    """HEAD is a method like others, and its answer has headers alone."""
    answer = server.request("HEAD", "/v1/models")

    assert (answer.status, answer.body) == (405, b"")
    assert answer.headers["content-type"] == JSON


def test_body_at_the_limit_is_accepted(server: Server) -> None:
    """One mebibyte is read."""
    answer = server.request("POST", CHAT, fields().ljust(MAX_BODY_BYTES), {"content-type": JSON})

    assert answer.status == 200, answer.body


def test_declared_length_over_the_limit_is_413_at_once(server: Server) -> None:
    """The answer comes before a byte of the body is sent."""
    head = f"{HEAD}content-type: {JSON}\r\ncontent-length: {MAX_BODY_BYTES + 1}\r\n\r\n"

    answer = exchange(server, head.encode())

    assert_refused(answer, status=413, param=None, code="request_too_large")
    assert_still_serving(server)


def test_chunked_body_over_the_limit_is_413(server: Server) -> None:
    """A body that does not say how long it is gets counted as it arrives; the answer does not wait for its end."""
    head = f"{HEAD}content-type: {JSON}\r\ntransfer-encoding: chunked\r\n\r\n{MAX_BODY_BYTES + 1:x}\r\n"

    answer = exchange(server, head.encode(), b" " * (MAX_BODY_BYTES + 1) + b"\r\n")

    assert_refused(answer, status=413, param=None, code="request_too_large")
    assert_still_serving(server)


def _blocks(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b" " * 65_536


@pytest.mark.parametrize(
    "body", [lambda: b" " * (3 * MAX_BODY_BYTES), lambda: _blocks(48)], ids=["declared", "chunked"]
)
def test_client_that_sends_a_large_body_whole_can_read_the_413(server: Server, body: Any) -> None:
    """Clients look for an answer when they have sent everything; a reset connection would hide it from them."""
    url = urlsplit(server.url)
    for _ in range(4):
        connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=REQUEST_TIMEOUT_S)
        with closing(connection):
            content: bytes | Iterable[bytes] = body()
            connection.request(
                "POST", CHAT, content, {"content-type": JSON}, encode_chunked=not isinstance(content, bytes)
            )
            response = connection.getresponse()
            answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

        assert_refused(answer, status=413, param=None, code="request_too_large")
    assert_still_serving(server)


def test_a_body_without_an_end_is_not_read_for_ever(server: Server) -> None:
    """Some of it is, so that the refusal can be read; then the connection is closed."""
    url = urlsplit(server.url)
    block = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    sent = 0
    with socket.create_connection((str(url.hostname), url.port or 0), REQUEST_TIMEOUT_S) as connection:
        connection.sendall(f"{HEAD}content-type: {JSON}\r\ntransfer-encoding: chunked\r\n\r\n".encode())
        with suppress(ConnectionError):
            while sent < 256 * MAX_BODY_BYTES:
                connection.sendall(block)
                sent += len(block)

    assert sent < 64 * MAX_BODY_BYTES
    assert_still_serving(server)


def test_chunked_body_within_the_limit_is_accepted(server: Server) -> None:
    """A good request may come in chunks."""
    url = urlsplit(server.url)
    with closing(http.client.HTTPConnection(str(url.hostname), url.port, timeout=REQUEST_TIMEOUT_S)) as connection:
        connection.request("POST", CHAT, iter([fields()[:20], fields()[20:]]), {"content-type": JSON})
        response = connection.getresponse()

        assert response.status == 200
        assert json.loads(response.read())["choices"]


def test_declared_length_that_is_too_small_cuts_the_body(server: Server) -> None:
    """What the header does not cover is not part of the request."""
    head = f"{HEAD}content-type: {JSON}\r\ncontent-length: 10\r\n\r\n"

    answer = exchange(server, head.encode() + fields())

    assert_refused(answer, status=400, param=None, code=None)
    assert_still_serving(server)


def test_client_that_goes_away_in_its_body_is_no_error_of_the_server(server: Server) -> None:
    """A declared length that is too large ends when the client does: nobody is answered and nothing has failed."""
    request_id = "gone-in-its-body"
    head = f"{HEAD}content-type: {JSON}\r\nx-request-id: {request_id}\r\ncontent-length: 5000\r\n\r\n"

    with closing(connect(server)) as connection:
        connection.sendall(head.encode() + fields())
        # The server has begun to read before it sees the end.
        assert_still_serving(server)
    for _ in range(20):
        assert_still_serving(server)
        lines = [line for line in server.log_lines() if line.get("correlation_id") == request_id]
        if any(line["message"] == "request" for line in lines):
            break

    assert lines
    assert [line for line in lines if line["level"] == "ERROR" or line.get("status") == 500] == []


def test_odd_bytes_in_a_header_do_no_harm(server: Server) -> None:
    """A header nobody reads may hold anything."""
    head = f"{HEAD}content-type: {JSON}\r\ncontent-length: {len(fields())}\r\n".encode()

    answer = exchange(server, head + b"x-odd: \xff\xfe\x80\r\n\r\n" + fields())

    assert answer.status == 200
    assert_still_serving(server)


@pytest.mark.parametrize("request_bytes", NO_HTTP.values(), ids=NO_HTTP)
def test_what_is_no_http_is_refused_in_the_envelope(server: Server, request_bytes: str) -> None:
    """A proxy or client that breaks the protocol gets an answer it can read like any other."""
    answer = exchange(server, request_bytes.encode("latin-1"))

    assert answer.status in {400, 405, 413}
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert_still_serving(server)
