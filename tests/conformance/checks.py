"""What schemathesis runs beside its own: checks of this project, and requests that mean something.

Random text is no language and random names are no model, so that nearly all that is valid by the schema would be
refused. Three in four of those requests get names that the server knows; the fourth stays as it is.
"""

import json
from typing import Any
from zlib import crc32

import schemathesis
from schemathesis import Case, CheckContext, HookContext, Response

FORM = ("Invalid value for", "Missing required parameter", "The body")
"""How refusals begin that the schema should have told of: those of ``handler.request_parsing.parse_request``."""
CHAT = "/v1/chat/completions"
INTEGERS = ("beam_size", "max_completion_tokens", "max_tokens", "n", "no_repeat_ngram_size", "seed", "top_logprobs")
MODELS = ("nllb-demo", "t5-demo", "default", None)
LANGUAGES = ("fra_Latn", "de", "Spanish", "eng_Latn")
TEXTS = (
    "Where is the hotel?",
    "- Thank you.\n- Good morning.\n\n1,50",
    "translate English to German: Hello!",
    "</s> \0",
)


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Give a valid request names that are known."""
    del context, kwargs
    if case.path == CHAT and isinstance(case.body, dict) and _is_valid(case):
        _write_whole_numbers(case.body)
        number = crc32(json.dumps(case.body, sort_keys=True).encode())
        if number % 4:
            _give_meaning(case.body, number // 4)


def _is_valid(case: Case[Any]) -> bool:
    return case.meta is not None and case.meta.generation.mode.is_positive


def _write_whole_numbers(body: dict[str, Any]) -> None:
    """To JSON Schema 1.0 is an integer; here it is refused, which no schema can tell."""
    for name in INTEGERS:
        if isinstance(body.get(name), float):
            body[name] = int(body[name])
    if isinstance(body.get("logit_bias"), dict):
        body["logit_bias"] = {token: int(bias) for token, bias in body["logit_bias"].items()}


def _give_meaning(body: dict[str, Any], number: int) -> None:
    body["messages"] = [*body["messages"], {"role": "user", "content": TEXTS[number % len(TEXTS)]}]
    body["target_lang"] = LANGUAGES[number // 4 % len(LANGUAGES)]
    if body.get("source_lang") is not None or body.get("chat_template_kwargs"):
        body["source_lang"] = "auto"
    if body.get("model") is not None:
        body["model"] = MODELS[number // 16 % len(MODELS)]
    if body.get("n") is not None:
        body["n"] = min(body["n"], 8)
    possible: dict[str, Any] = {"tool_choice": "auto", "function_call": "none", "modalities": ["text"]}
    possible |= {"response_format": {"type": "text"}, "top_logprobs": 0}
    body.update((name, value) for name, value in possible.items() if body.get(name) is not None)
    if body.get("top_logprobs") is not None or number // 64 % 8 == 0:
        body |= {"logprobs": True, "stream": False}
    elif number // 512 % 2:
        body |= {"logprobs": None, "stream": True}
    if not body.get("stream"):
        body.pop("stream_options", None)


@schemathesis.check
def refused_for_its_meaning_alone(context: CheckContext, response: Response, case: Case[Any]) -> None:
    """What is valid by the schema is not refused for its form."""
    del context
    if _is_valid(case) and response.status_code == 400:
        message = response.json()["error"]["message"]
        assert not message.startswith(FORM), f"valid by the schema, and refused: {message}"


@schemathesis.check
def every_failure_is_the_error_object(context: CheckContext, response: Response, case: Case[Any]) -> None:
    """Documented or not, whatever the method: four keys, JSON, short; and every answer has the id of the log."""
    del context
    assert response.headers["x-request-id"] == response.headers["x-correlation-id"]
    if response.status_code < 400 or case.method == "HEAD" or case.path == "/health/ready":
        return
    assert response.headers["content-type"] == ["application/json"]
    assert response.json()["error"].keys() == {"message", "type", "param", "code"}
    assert len(response.content) < 20_000


@schemathesis.check
def a_stream_is_a_stream(context: CheckContext, response: Response, case: Case[Any]) -> None:
    """An answer comes in the form that was asked for."""
    del context
    if case.path == CHAT and response.status_code == 200 and isinstance(case.body, dict):
        streamed = response.headers["content-type"][0].startswith("text/event-stream")
        assert streamed == bool(case.body.get("stream"))
