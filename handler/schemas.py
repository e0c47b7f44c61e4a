"""OpenAI's wire models, fields in the order of the official API reference, and the fields this server adds.

Requests are validated strictly: a number in quotes is a wrong type, as it is for api.openai.com. Fields that do nothing
here are checked all the same; unknown ones are ignored. ``null`` means absent.
"""

from typing import Annotated, Any, Literal, Protocol, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictInt,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from handler.settings import LARGEST_BEAM, Family

Fraction = Annotated[float, Field(allow_inf_nan=False)]
JsonObject = dict[str, Any]


class _Request(BaseModel):
    # Built once, with the request that holds them all, and not one by one when this module is imported.
    model_config = ConfigDict(extra="ignore", strict=True, hide_input_in_errors=True, defer_build=True)


class _Answer(BaseModel):
    """What routes send; the models are for the document and for clients' types."""

    model_config = ConfigDict(defer_build=True)


class _TypedMember(Protocol):
    @property
    def type(self) -> str: ...


_Typed = TypeVar("_Typed", bound=_TypedMember)


def _member_named_by_type(**members: str) -> ConfigDict:
    """Tell the schema what :func:`_require_member_named_by_type` checks; ``members`` have their JSON types."""
    forms: list[Any] = [
        {"properties": {"type": {"const": name}, name: {"type": kind}}, "required": [name]}
        for name, kind in members.items()
    ]
    return ConfigDict(json_schema_extra={"anyOf": forms})


def _require_member_named_by_type(value: _Typed) -> _Typed:
    """Check an object whose ``type`` names the member that holds the rest, as OpenAI's parts and tools do."""
    if getattr(value, value.type) is None:
        code, message = "incomplete", "an object of the type '{type}' needs '{type}'"
        raise PydanticCustomError(code, message, {"type": value.type})
    return value


class ContentPart(_Request):
    """A part of a message: text, with languages in TranslateGemma's form if they are named here."""

    model_config = _member_named_by_type(text="string", refusal="string")

    type: Literal["text", "refusal"]
    text: str | None = None
    refusal: str | None = None
    source_lang_code: str | None = None
    target_lang_code: str | None = None

    @model_validator(mode="after")
    def _has_what_its_type_says(self) -> Self:
        return _require_member_named_by_type(self)


_STRING, _LIST, _OBJECT = UNION_TAGS = ("<string>", "<list>", "<object>")
"""Names pydantic puts into an error's location for a member of a union; no field is called so."""


def _string_unless_object(value: object) -> str:
    return _OBJECT if isinstance(value, dict) else _STRING


def _string_unless_list(value: object) -> str:
    return _LIST if isinstance(value, list) else _STRING


_StringOrList = Discriminator(_string_unless_list)
_StringOrObject = Discriminator(_string_unless_object)
ContentParts = Annotated[list[ContentPart], Field(fail_fast=True)]
Content = Annotated[Annotated[str, Tag(_STRING)] | Annotated[ContentParts, Tag(_LIST)], _StringOrList]
ToolChoice = Annotated[Annotated[str, Tag(_STRING)] | Annotated[JsonObject, Tag(_OBJECT)], _StringOrObject]


class Message(_Request):
    """A message of the conversation; the last one of the user is what gets translated."""

    content: Content | None = None
    role: Literal["developer", "system", "user", "assistant", "tool", "function"]
    name: str | None = None


class ResponseFormat(_Request):
    """Only text can be promised."""

    type: Literal["text", "json_object", "json_schema"]


class StreamOptions(_Request):
    """Options of a streamed answer."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class VoiceId(_Request):
    """A voice of the client's own."""

    id: str


Voice = Annotated[Annotated[str, Tag(_STRING)] | Annotated[VoiceId, Tag(_OBJECT)], _StringOrObject]


class Audio(_Request):
    """How an answer would sound."""

    format: Literal["wav", "aac", "mp3", "flac", "opus", "pcm16"]
    voice: Voice


class TextPart(_Request):
    """A part of a predicted answer."""

    type: Literal["text"]
    text: str


TextParts = Annotated[list[TextPart], Field(fail_fast=True)]


class Prediction(_Request):
    """What the client expects the answer to be; it is translated all the same."""

    type: Literal["content"]
    content: Annotated[Annotated[str, Tag(_STRING)] | Annotated[TextParts, Tag(_LIST)], _StringOrList]


class ApproximateLocation(_Request):
    """Where the client's user is."""

    city: str | None = None
    country: str | None = None
    region: str | None = None
    timezone: str | None = None


class UserLocation(_Request):
    """A location, named by its type."""

    type: Literal["approximate"]
    approximate: ApproximateLocation


class WebSearchOptions(_Request):
    """Options of a search that no translation model will make."""

    search_context_size: Literal["low", "medium", "high"] | None = None
    user_location: UserLocation | None = None


class FunctionDefinition(_Request):
    """A function that no translation model will call."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: str | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None


class CustomTool(_Request):
    """A tool with free text for input, that no translation model will call either."""

    name: str
    description: str | None = None
    format: JsonObject | None = None


class Tool(_Request):
    """A tool that no translation model will call."""

    model_config = _member_named_by_type(function="object", custom="object")

    type: Literal["function", "custom"]
    function: FunctionDefinition | None = None
    custom: CustomTool | None = None

    @model_validator(mode="after")
    def _has_what_its_type_says(self) -> Self:
        return _require_member_named_by_type(self)


class ChatTemplateKwargs(_Request):
    """Languages in llama.cpp's form."""

    source_lang_code: str | None = None
    target_lang_code: str | None = None


StopString = Annotated[str, Field(min_length=1, max_length=1024)]
StopList = Annotated[list[StopString], Field(min_length=1, max_length=4, fail_fast=True)]
Stop = Annotated[Annotated[StopString, Tag(_STRING)] | Annotated[StopList, Tag(_LIST)], _StringOrList]
Metadata = dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]]
Bias = Annotated[StrictInt, Field(ge=-100, le=100)]
Int64 = Annotated[StrictInt, Field(ge=-(2**63), le=2**63 - 1)]


def _at_most(limit: int) -> BeforeValidator:
    """Refuse an object with more keys before they are looked at: each wrong one would be an error of its own."""

    def check(value: object) -> object:
        if isinstance(value, dict) and len(value) > limit:
            code, message = "too_long", "object should have at most {limit} keys, not {given}"
            raise PydanticCustomError(code, message, {"limit": limit, "given": len(value)})
        return value

    return BeforeValidator(check)


def _told_at_most(limit: int) -> Any:  # noqa: ANN401 - what pydantic says a field is
    """Tell the schema what :func:`_at_most` checks."""
    return Field(json_schema_extra={"maxProperties": limit})


Penalty = Annotated[Fraction, Field(ge=-2, le=2)]
PositiveCount = Annotated[StrictInt, Field(ge=1)]


class ChatCompletionRequest(_Request):
    """Body of ``POST /v1/chat/completions``."""

    messages: Annotated[list[Message], Field(min_length=1, fail_fast=True)]
    model: str | None = None
    """Id or alias, a suffix ``:eng_Latn-fra_Latn`` or ``:fra_Latn`` if wanted; absent for the default model."""
    audio: Audio | None = None
    frequency_penalty: Penalty | None = None
    function_call: ToolChoice | None = None
    functions: Annotated[list[FunctionDefinition], Field(fail_fast=True)] | None = None
    logit_bias: Annotated[dict[str, Bias], _at_most(1024), _told_at_most(1024)] | None = None
    logprobs: bool | None = None
    max_completion_tokens: PositiveCount | None = None
    max_tokens: PositiveCount | None = None
    metadata: Annotated[Metadata, _at_most(16), _told_at_most(16)] | None = None
    modalities: Annotated[list[Literal["text", "audio"]], Field(fail_fast=True)] | None = None
    n: PositiveCount | None = None
    parallel_tool_calls: bool | None = None
    prediction: Prediction | None = None
    presence_penalty: Penalty | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: Literal["in_memory", "in-memory", "24h"] | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    response_format: ResponseFormat | None = None
    safety_identifier: Annotated[str, Field(max_length=128)] | None = None
    seed: Int64 | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast"] | None = None
    stop: Stop | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[Fraction, Field(ge=0, le=2)] | None = None
    tool_choice: ToolChoice | None = None
    tools: Annotated[list[Tool], Field(fail_fast=True)] | None = None
    top_logprobs: Annotated[StrictInt, Field(ge=0, le=20)] | None = None
    top_p: Annotated[Fraction, Field(ge=0, le=1)] | None = None
    user: str | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    web_search_options: WebSearchOptions | None = None

    source_lang: str | None = None
    """FLORES-200 code, ISO or BCP-47 tag, English name, or ``auto``."""
    target_lang: str | None = None
    """FLORES-200 code, ISO or BCP-47 tag or English name."""
    beam_size: Annotated[StrictInt, Field(ge=1, le=LARGEST_BEAM)] | None = None
    length_penalty: Annotated[Fraction, Field(ge=-10, le=10)] | None = None
    repetition_penalty: Annotated[Fraction, Field(ge=0.01, le=10)] | None = None
    no_repeat_ngram_size: Annotated[StrictInt, Field(ge=0, le=100)] | None = None
    chat_template_kwargs: ChatTemplateKwargs | None = None


ModelState = Literal["unloaded", "loading", "loaded", "failed"]


class ChatCompletionMessage(_Answer):
    """The answer."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class TokenLogprob(_Answer):
    """A token of an answer and how likely the model finds it there."""

    token: str
    """The text it adds, with what stands between it and the one before it."""
    logprob: float
    """Natural logarithm of the probability."""
    bytes: list[int]
    """Of ``token`` in UTF-8."""
    top_logprobs: list[JsonObject] = []
    """Always empty."""


class ChoiceLogprobs(_Answer):
    """The tokens of an answer, in order."""

    content: list[TokenLogprob]
    refusal: None = None


class ChatCompletionChoice(_Answer):
    """One of ``n`` answers."""

    index: int
    message: ChatCompletionMessage
    logprobs: ChoiceLogprobs | None = None
    finish_reason: Literal["stop", "length"]


class CompletionUsage(_Answer):
    """Tokens read and written, every choice counted."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatCompletion(_Answer):
    """Answer to ``POST /v1/chat/completions``."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    """Unix seconds."""
    model: str
    """The model as it was asked for."""
    choices: list[ChatCompletionChoice]
    usage: CompletionUsage
    system_fingerprint: str
    """Changes when the model, the engine's version, the device or its numerics do."""


class ChunkDelta(_Answer):
    """What a chunk adds to a choice: the role in the first, text in those that follow, nothing in the last."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    refusal: None = None


class ChunkChoice(_Answer):
    """One choice that goes on."""

    index: int
    delta: ChunkDelta
    logprobs: None = None
    finish_reason: Literal["stop", "length"] | None


class ChatCompletionChunk(_Answer):
    """Data of an event of a streamed answer; the last event is ``[DONE]``."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    """Unix seconds."""
    model: str
    """The model as it was asked for."""
    choices: list[ChunkChoice]
    usage: CompletionUsage | None = None
    """In the last chunk, if ``stream_options.include_usage`` asks for it."""
    system_fingerprint: str
    obfuscation: str | None = None
    """Padding, if ``stream_options.include_obfuscation`` asks for it."""


class Model(_Answer):
    """One configured model."""

    id: str
    object: Literal["model"] = "model"
    created: int
    """Unix seconds: when the model file was written."""
    owned_by: str
    family: Family
    demo: bool
    """Phrasebook-sized: shows that the server works, not what a translation model can do."""
    description: str
    aliases: list[str]
    state: ModelState


class ModelList(_Answer):
    """Answer to ``GET /v1/models``."""

    object: Literal["list"] = "list"
    data: list[Model]


class Health(_Answer):
    """State of the service."""

    status: Literal["ok", "loading", "failed", "draining"]
    models: dict[str, ModelState] = {}


class ErrorObject(_Answer):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorResponse(_Answer):
    """Every failure, whatever its status."""

    error: ErrorObject
