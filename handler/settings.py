"""Settings: defaults < config.toml < environment < command line, merged field by field.

Built once by the composition root and passed down; nothing else reads the environment for configuration.
"""

import json
import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    SecretStr,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from handler.cpus import MOST_THREADS
from handler.errors import SettingsError, shorten

ComputeType = Literal[
    "default",
    "auto",
    "int8",
    "int8_float32",
    "int8_float16",
    "int8_bfloat16",
    "int16",
    "float16",
    "bfloat16",
    "float32",
]
Device = Literal["cpu", "cuda", "auto"]
_T = TypeVar("_T")
Family = Literal["nllb", "t5"]
KeyPath = tuple[str, ...]
"""Where a setting stands: ``("models", "nllb", "beam_size")``."""
Load = Literal["startup", "lazy"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
Verify = Literal["size", "sha256"]

AUTO = "auto"
"""Source language that asks for detection."""

DEMO_MODELS = Path(__file__).resolve().parent.parent / "model_bake" / "demo" / "models"
"""The embedded models; they are data, so naming their folder here imports nothing from the bake."""


def default_cache() -> Path:
    """Return the cache folder of the XDG base directory specification."""
    home = os.path.expanduser("~/.cache")  # noqa: PTH111 - which raises where there is no home, as in some containers
    return Path(os.environ.get("XDG_CACHE_HOME") or home) / "ctranslate2-server"


def is_url(location: str) -> bool:
    """Tell whether a model's location is a URL rather than a folder; which kind is seen later."""
    return "://" in location or _is_of_s3(location)


def _is_of_s3(location: str) -> bool:
    return location.lower().startswith("s3:")


def _read_location(value: object) -> object:
    """Leave a URL the slashes that a path would lose."""
    if isinstance(value, Path):
        return value
    if isinstance(value, str) and _is_of_s3(value):
        return value
    if isinstance(value, str) and not is_url(value):
        return Path(value)
    message = "neither a folder nor s3://bucket/prefix"
    raise ValueError(message)


def _split_list(value: object) -> object:
    """Read ``a,b`` and ``["a", "b"]`` alike: the forms people give a list in an environment variable."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            message = "neither a JSON list nor values with commas between them"
            raise ValueError(message) from None
    return [item.strip() for item in value.split(",") if item.strip()]


_ORIGIN = r"\*|null|[a-z][a-z0-9+.-]*://[^/?#@,\s]+"
"""An origin as browsers send it (Fetch standard, "Origin header"), or every one."""


def _browser_origins(value: tuple[str, ...]) -> tuple[str, ...]:
    """Spell origins as browsers do, and refuse what none would ever send: the address of a page, a bare host."""
    origins = tuple(map(str.lower, value))
    if not all(re.fullmatch(_ORIGIN, origin) for origin in origins):
        message = (
            "an origin has a scheme and no path: 'https://app.example.com', 'http://localhost:3000'; or '*' for all"
        )
        raise ValueError(message)
    return origins


def _cloudwatch_namespace(value: str) -> str:
    """Refuse what CloudWatch would (API reference, PutMetricData): it drops such figures and tells nobody."""
    if not re.fullmatch(r"([\w./#-][\w./#:-]{0,254})?", value, re.ASCII) or value.startswith("AWS/"):
        message = "at most 255 of A-Z, a-z, 0-9 and . - _ / # :, not beginning with ':' or 'AWS/'"
        raise ValueError(message)
    return value


Location = Annotated[Path | str, BeforeValidator(_read_location)]
"""A folder, or ``s3://bucket/prefix``."""
Seconds = Annotated[float, Field(ge=0, le=31_536_000)]
CommaSeparated = BeforeValidator(_split_list)
Origins = Annotated[tuple[str, ...], NoDecode, CommaSeparated, AfterValidator(_browser_origins)]
DeviceIndices = Annotated[tuple[NonNegativeInt, ...], NoDecode, CommaSeparated, Field(min_length=1)]
Namespace = Annotated[str, AfterValidator(_cloudwatch_namespace)]
RepetitionPenalty = Annotated[float, Field(ge=0.01, le=10)]
Threads = Annotated[PositiveInt, Field(le=MOST_THREADS)]
IntraThreads = Annotated[NonNegativeInt, Field(le=MOST_THREADS)]
LARGEST_BEAM = 32
"""Wider ones cost memory and time, and translations get no better."""
BeamSize = Annotated[PositiveInt, Field(le=LARGEST_BEAM)]


class ModelSettings(BaseModel):
    """One ``[models.NAME]`` table; what is left out falls back to the setting of the same name for all models."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    path: Location | None = None
    """Folder with ``model.bin``, here or in object storage; may be left out for a baked model of this name in
    ``model_path``."""
    model_type: Family | None = None
    """Needed for a folder without ``manifest.json`` only."""
    tokenizer_path: Path | None = None
    """SentencePiece model, or the folder that holds it; default: beside ``model.bin``."""
    load: Load | None = None
    unload_after_s: Seconds | None = None
    device: Device | None = None
    device_indices: DeviceIndices | None = None
    compute_type: ComputeType | None = None
    flash_attention: bool | None = None
    inter_threads: Threads | None = None
    intra_threads: IntraThreads | None = None
    source_lang: str | None = None
    target_lang: str | None = None
    beam_size: BeamSize | None = None
    length_penalty: Annotated[float, Field(ge=-10, le=10)] | None = None
    repetition_penalty: RepetitionPenalty | None = None
    no_repeat_ngram_size: NonNegativeInt | None = None
    normalize: bool | None = None
    max_source_tokens: PositiveInt | None = None
    """Encoder positions, special tokens counted; default: the manifest's, else 1,024 for NLLB and 512 for T5."""
    max_target_tokens: PositiveInt | None = None
    """Decoder positions; the same defaults."""


class Settings(BaseSettings):
    """What an operator may change without a rebuild; the defaults serve the embedded models on a laptop."""

    model_config = SettingsConfigDict(
        extra="forbid",
        env_nested_delimiter="__",
        hide_input_in_errors=True,
        protected_namespaces=(),
    )

    model_path: Location = DEMO_MODELS
    """A baked model folder, or a folder of them, here or in object storage. Ignored where ``models`` is set and this is
    not."""
    model_cache: Path = Field(default_factory=default_cache)
    """Where models from object storage are kept; the processes of a machine share what is there."""
    default_model: str | None = None
    """Serves requests that name no model; default: the first in ``models``, else in order of the folders' names."""
    models: dict[str, ModelSettings] = {}
    aliases: dict[str, str] = {}
    """Other names of models: ``alias = "model"``."""
    load: Load = "startup"
    """``lazy`` loads at the first request."""
    unload_after_s: Seconds = 0.0
    """Seconds without a request after which a ``lazy`` model leaves memory, until the next one; 0 is never."""
    verify: Verify = "size"
    """What is compared with the manifest before a model is loaded; hashing 622 MB takes a second or so."""

    device: Device = "auto"
    """``auto`` takes a GPU where one can be used, else the CPU; ``cuda`` without one stops the start."""
    device_indices: DeviceIndices = (0,)
    """GPUs of one kind, each of which gets the whole model."""
    compute_type: ComputeType = "default"
    """``default`` keeps the baked quantisation, so that loading converts nothing; ``auto`` is the fastest that the
    device has, and on a GPU nothing of 16 bits for T5."""
    flash_attention: bool = False
    """NLLB's decoder on a GPU of compute capability 8 or newer, with a CTranslate2 that was built for it."""
    inter_threads: Threads = 1
    """Batches that one device decodes at the same time."""
    intra_threads: IntraThreads = 0
    """CPU threads of one batch; 0 shares out the CPUs this process may really use, and gives small models one."""

    batching: bool = True
    """Decode sentences of requests that wait together; on Lambda there is never more than one request."""

    source_lang: str = AUTO
    """Language of a text whose language nobody named; ``auto`` detects it and takes what it cannot tell for English."""
    target_lang: str | None = None
    """Language to translate into when nobody named one; unset makes that an error."""
    beam_size: BeamSize = 4
    length_penalty: Annotated[float, Field(ge=-10, le=10)] = 1.0
    repetition_penalty: RepetitionPenalty = 1.0
    no_repeat_ngram_size: NonNegativeInt = 0
    normalize: bool = True
    """Give NLLB its sentences with the punctuation and spaces it was trained on; means nothing to T5."""

    max_prompt_tokens: PositiveInt = 16_384
    max_choices: PositiveInt = 8
    """Largest ``n`` of a request."""
    max_body_bytes: PositiveInt = 1_048_576
    max_request_s: Annotated[float, Field(gt=0, le=86_400)] = 300.0
    """Seconds after which a request is stopped and answered 504, its time in the queue included."""
    max_queued_requests: PositiveInt = 256
    """Requests that may wait for one model before others are answered 429."""

    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    """Accepted bearer tokens; empty leaves access to IAM or the gateway. In the environment: separated by commas."""
    docs: Literal["open", "guarded", "off"] = "open"
    """``/docs`` and ``/openapi.json``; ``guarded`` asks for a key there, too."""
    metrics: Literal["open", "guarded", "off"] = "open"
    """``/metrics`` of a host; ``guarded`` asks for a key there, too."""
    metrics_namespace: Namespace = ""
    """CloudWatch namespace that a Lambda function's figures go to; empty writes none."""
    tracing: Literal["off", "otlp"] = "off"
    """``otlp`` sends a span for each request to where OpenTelemetry's own variables say."""
    cors_origins: Origins = ()
    """Origins whose pages may call the API from a browser; ``*`` is every one, empty is none."""

    drain_s: Annotated[float, Field(ge=0, le=86_400)] = 30.0
    """Seconds that running requests have to end when the process is told to; ``max_request_s`` bounds each besides."""

    server_host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    server_port: Annotated[int, Field(ge=0, le=65_535)] = 8000
    log_level: LogLevel = "INFO"
    log_texts: bool = False
    """Put source texts and answers into the log, for debugging only."""

    @field_validator("api_keys", mode="before")
    @classmethod
    def _refuse_blank_keys(cls, value: object) -> object:
        """Refuse what looks like a key and guards nothing: an empty variable in a template, a lone comma."""
        keys = _split_list(value)
        if isinstance(value, str) and not keys:
            message = "no key in it; leave it out to have none"
            raise ValueError(message)
        if isinstance(keys, (list, tuple)) and any(isinstance(key, str) and not key.strip() for key in keys):
            message = "a key is empty"
            raise ValueError(message)
        return keys

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper_case(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from the constructor alone: ``settings_sources`` reads and merges the rest, origins in hand."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


def meant_name(key: KeyPath, known: Collection[str]) -> str | None:
    """Return which of the ``known`` names the last one of ``key`` means: itself, else one that a variable cannot spell.

    A shell and Lambda take letters, digits and underscores in a variable's name, and often capitals alone: where no
    name is the same, case does not count, and ``-``, ``.`` and ``_`` are one.

    Raises:
        SettingsError: It means several.
    """
    *_, name = key
    if name in known:
        return name
    alike = [other for other in known if as_variable(other) == as_variable(name)]
    if len(alike) > 1:
        message = f"this may be {' or '.join(map(shorten, alike))}; spell one of them exactly"
        raise SettingsError(message, key=key)
    return alike[0] if alike else None


def as_variable(name: str) -> str:
    """Spell ``name`` as a part of an environment variable's name."""
    return re.sub(r"[-.]", "_", name).upper()


def own_or_common(own: _T | None, common: _T) -> _T:
    """Return a model's or a request's own value, else the one it falls back to."""
    return common if own is None else own


def allowed_values(annotation: Any) -> tuple[str, ...]:  # noqa: ANN401 - any annotation may be asked about
    """Return the words of a ``Literal``, optional or not; nothing for another type."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return next(filter(None, map(allowed_values, get_args(annotation))), ())
