"""Bytes of a body to a valid request, or the one error that says what is wrong with them."""

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from handler.errors import InvalidRequestError, UnsupportedMediaTypeError, UnsupportedValueError, shorten
from handler.schemas import UNION_TAGS, ChatCompletionRequest, Message

RequestT = TypeVar("RequestT", bound=BaseModel)

_MAX_PARAM_CHARS = 200
_SHOWN_DIGITS = 40

_REASONS = {
    "model_type": "input should be an object",
    "dict_type": "input should be an object",
    "list_type": "input should be an array",
    "string_type": "input should be a string",
    "int_type": "input should be an integer",
    "float_type": "input should be a number",
    "bool_type": "input should be a boolean",
}
"""What pydantic says in Python's words, in JSON's."""
_SELF_EXPLAINING = frozenset({"too_short", "too_long", "incomplete"})


def check_content(content_type: str | None, encoding: str | None) -> None:
    """Accept ``application/json`` with any parameters, uncompressed, and a body that does not say what it is.

    Raises:
        UnsupportedMediaTypeError: The body says it is something else.
    """
    if encoding is not None and encoding.strip().lower() != "identity":
        raise UnsupportedMediaTypeError(encoding, what="content encoding", use="none")
    if content_type is None:
        return
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        raise UnsupportedMediaTypeError(content_type)


def parse_request(body: bytes, schema: type[RequestT]) -> RequestT:
    """Return ``body`` as a ``schema``.

    Raises:
        InvalidRequestError: The body is not JSON (NaN, lone surrogates and nesting without end are not), or a field has
            a wrong type or value.
    """
    try:
        data = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        message = f"The body is not valid JSON: {error}."
        raise InvalidRequestError(message) from None
    if not isinstance(data, dict):
        message = f"The body must be a JSON object, not {_kind(data)}."
        raise InvalidRequestError(message)
    try:
        return schema.model_validate(data)
    except ValidationError as error:
        raise _invalid(error) from None


def check_supported(request: ChatCompletionRequest) -> None:
    """Refuse what is well formed and cannot be done, so that nothing a client asked for is silently left out.

    Raises:
        InvalidRequestError: A combination of fields is contradictory.
        UnsupportedValueError: A field asks for something this server does not do.
    """
    _check_parts(request.messages)
    if request.stream_options is not None and not request.stream:
        message = "'stream_options' is allowed only with 'stream': true."
        raise InvalidRequestError(message, param="stream_options")
    if request.top_logprobs is not None and not request.logprobs:
        message = "'top_logprobs' is allowed only with 'logprobs': true."
        raise InvalidRequestError(message, param="top_logprobs")
    if request.logprobs and request.stream:
        message = "'logprobs': true is not supported with 'stream': true; leave one of them out."
        raise UnsupportedValueError(message, param="logprobs")
    if request.top_logprobs:
        message = (
            f"'top_logprobs' is {request.top_logprobs}; only the tokens of the answer have probabilities here: use 0."
        )
        raise UnsupportedValueError(message, param="top_logprobs")
    if request.response_format is not None and request.response_format.type != "text":
        message = f"'response_format' {shorten(request.response_format.type)} is not supported; use 'text'."
        raise UnsupportedValueError(message, param="response_format")
    for param, choice in (("tool_choice", request.tool_choice), ("function_call", request.function_call)):
        if choice not in (None, "auto", "none"):
            message = f"'{param}' may be 'auto' or 'none': nothing is ever called."
            raise UnsupportedValueError(message, param=param)
    if request.modalities is not None and request.modalities != ["text"]:
        message = "'modalities' may be [\"text\"] only."
        raise UnsupportedValueError(message, param="modalities")


def _check_parts(messages: Sequence[Message]) -> None:
    """Refuse parts that only the assistant's messages have, and that would be lost where text is read."""
    for number, given in enumerate(messages):
        if given.role == "assistant" or not isinstance(given.content, list):
            continue
        for index, part in enumerate(given.content):
            if part.type != "text":
                param = f"messages[{number}].content[{index}].type"
                message = f"'{param}' is {part.type!r}, which only messages of the assistant have; use 'text'."
                raise InvalidRequestError(message, param=param)


def _invalid(error: ValidationError) -> InvalidRequestError:
    first = error.errors(include_url=False, include_context=True)[0]
    param = _param(first["loc"])
    if first["type"] == "missing":
        return InvalidRequestError(f"Missing required parameter: '{param}'.", param=param)
    given = first["input"]
    reason = _REASONS.get(first["type"]) or first["msg"][0].lower() + first["msg"][1:]
    shown = f", got {_shown(given)}" if first["type"] not in _SELF_EXPLAINING else ""
    return InvalidRequestError(f"Invalid value for '{param}': {reason}{shown}.", param=param)


def _param(location: tuple[int | str, ...]) -> str:
    """Write a location as OpenAI does: ``messages[0].content``."""
    if location[-1:] == ("[key]",):
        location = location[:-2]  # a wrong key is the fault of the object that has it
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part not in UNION_TAGS:
            # A key may hold anything; a message is one line.
            name = part if part.isprintable() else repr(part)[1:-1]
            text += f".{name}" if text else name
    return text[:_MAX_PARAM_CHARS]


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)[:_SHOWN_DIGITS]
    return shorten(value) if isinstance(value, str) else _kind(value)


def _kind(value: Any) -> str:  # noqa: ANN401 - any JSON value
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
