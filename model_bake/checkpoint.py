"""What a source holds, told from its small files before anything large is fetched."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from handler.catalog import DEFAULT_POSITIONS
from handler.checksums import CHECKSUMS
from handler.errors import ManifestError
from handler.languages import lookup_language
from handler.manifest import MANIFEST_NAME, Manifest, parse_manifest
from handler.model_folder import MODEL_FILE, TOKENIZER_NAMES, VOCABULARY_FILE, language_codes, parse_vocabulary
from handler.settings import Family
from model_bake.errors import CheckpointError
from model_bake.m2m100 import flores_code
from model_bake.source import Source

Form = Literal["transformers", "ctranslate2"]

CONFIG_FILE = "config.json"
CARD_FILE = "README.md"
DEMO_TAG = "ctranslate2-server-demo"
"""A model card's tag that makes the server call the model a demo."""

_FAMILIES: Mapping[str, Family] = {
    "M2M100ForConditionalGeneration": "nllb",
    "MT5ForConditionalGeneration": "t5",
    "T5ForConditionalGeneration": "t5",
}
_SUPPORTED = "NLLB and M2M100 (M2M100ForConditionalGeneration), T5, flan-T5 and MADLAD (T5ForConditionalGeneration), \
mT5 (MT5ForConditionalGeneration)"

_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
"""Where the Hub keeps weights, in the order of preference: safetensors holds tensors and nothing that could run."""

_HALF = {"float16", "bfloat16"}
_MOST_POSITIONS = 1 << 16
"""Far above any of these families; transformers allocates the table of positions before it looks at the weights."""

_TOKENIZER_EXTRAS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "generation_config.json")
_NLLB_IDS = "tokenizer.json"
"""Says where NLLB's language codes and ``<mask>`` stand; nothing else of it is used, and T5 needs nothing of it."""
_M2M100_PIECES = "vocab.json"
"""M2M100's ids: its SentencePiece model numbers the same pieces otherwise."""

_T5_TOKEN = re.compile(r"▁?<extra_id_\d+>|<2\w+>")

_LICENCE_FILES = ("LICENSE", "LICENSE.txt", "LICENSE.md")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a model card says in its head."""

    license: str = "unknown"
    """As the source states it."""
    description: str = ""
    languages: tuple[str, ...] = ()
    """FLORES-200 codes of the languages it names, as far as FLORES-200 has them."""
    demo: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What there is to bake."""

    form: Form
    architecture: str
    family: Family
    tokenizer: str
    """Name of the SentencePiece model."""
    weights: tuple[str, ...]
    files: tuple[str, ...]
    """Everything a bake reads, the weights included."""
    size: int
    """Bytes of all of it."""
    weights_size: int
    weight_bytes: int
    """Of one weight, as the configuration has it."""
    positions: int
    normalize: bool
    """Whether the server shall normalise what an NLLB reads: M2M100, of the same family, was trained on plain text."""
    card: Card
    manifest: Manifest | None = None
    """What an earlier bake wrote, as the server reads it."""
    origin: Mapping[str, Any] = field(default_factory=dict)
    """The same as it stands there: where the model came from is handed on."""


def inspect(source: Source) -> Checkpoint:
    """Find out what ``source`` holds.

    Raises:
        SourceError: A file cannot be read.
        CheckpointError: It holds no model, or one that is not supported, or only parts of one.
    """
    files = source.list()
    if CONFIG_FILE not in files:
        message = f"{source.id}: holds no {CONFIG_FILE}, so this is no model; it holds {_some(files)}"
        raise CheckpointError(message)
    config = _read_json(source, CONFIG_FILE)
    if not isinstance(config, dict):
        message = f"{source.id}: {CONFIG_FILE} is not an object"
        raise CheckpointError(message)
    if MODEL_FILE in files and "architectures" not in config:
        return _converted(source, files)
    family, architecture = _family(source.id, config)
    weights = _weights(source, files)
    needed = [CONFIG_FILE, *weights, tokenizer := _tokenizer(source.id, files, family)]
    needed += [name for name in (*_TOKENIZER_EXTRAS, CARD_FILE, CHECKSUMS) if name in files]
    if family == "nllb":
        needed += [name for name in (_NLLB_IDS, _M2M100_PIECES) if name in files]
    indices = [name for name in _WEIGHTS if name.endswith(".index.json") and name in files]
    needed += [name for name in indices if not {name.removesuffix(".index.json")} & set(weights)]
    return Checkpoint(
        form="transformers",
        architecture=architecture,
        family=family,
        tokenizer=tokenizer,
        weights=weights,
        files=_present(source.id, files, needed),
        size=sum(files[name] for name in set(needed)),
        weights_size=sum(files[name] for name in weights),
        weight_bytes=2 if str(config.get("torch_dtype", config.get("dtype"))) in _HALF else 4,
        positions=_positions(source.id, config, family),
        normalize=_M2M100_PIECES not in files,
        card=_card(source, files),
    )


def _converted(source: Source, files: Mapping[str, int]) -> Checkpoint:
    """Describe a folder that CTranslate2's converter or an earlier bake has written."""
    if VOCABULARY_FILE not in files:
        message = f"{source.id}: holds a {MODEL_FILE} without {VOCABULARY_FILE}; convert it again with CTranslate2 4"
        raise CheckpointError(message)
    try:
        vocabulary = parse_vocabulary(source.read(VOCABULARY_FILE))
    except ValueError as error:
        message = f"{source.id}: {VOCABULARY_FILE}: {error}"
        raise CheckpointError(message) from None
    manifest = _manifest(source, files)
    family = manifest.family if manifest else _converted_family(source.id, vocabulary)
    origin = _read_json(source, MANIFEST_NAME) if manifest else {}
    tokenizer = manifest.tokenizer if manifest else _tokenizer(source.id, files, family)
    needed = [CONFIG_FILE, MODEL_FILE, VOCABULARY_FILE, tokenizer]
    needed += [name for name in (CARD_FILE, CHECKSUMS, MANIFEST_NAME) if name in files]
    card = _card(source, files)
    if manifest:
        card = Card(
            license=manifest.license,
            description=manifest.description,
            languages=manifest.languages,
            demo=manifest.demo,
        )
    return Checkpoint(
        form="ctranslate2",
        architecture=str(origin.get("architecture", "CTranslate2")),
        family=family,
        tokenizer=tokenizer,
        weights=(MODEL_FILE,),
        files=_present(source.id, files, needed),
        size=sum(files[name] for name in needed if name in files),
        weights_size=files[MODEL_FILE],
        weight_bytes=1,
        positions=manifest.max_source_tokens if manifest else DEFAULT_POSITIONS[family],
        normalize=manifest.normalize if manifest else not any(map(flores_code, vocabulary)),
        card=card,
        manifest=manifest,
        origin=origin,
    )


def _converted_family(where: str, vocabulary: list[str]) -> Family:
    """Tell the family by the tokens that it alone has: nothing else in a converted folder says it."""
    if language_codes(vocabulary) or any(map(flores_code, vocabulary)):
        return "nllb"
    if any(map(_T5_TOKEN.fullmatch, vocabulary)):
        return "t5"
    message = (
        f"{where}: the vocabulary has no language codes (eng_Latn, __en__), no <extra_id_0> and no <2de>; "
        f"supported are {_SUPPORTED}"
    )
    raise CheckpointError(message)


def _manifest(source: Source, files: Mapping[str, int]) -> Manifest | None:
    if MANIFEST_NAME not in files:
        return None
    try:
        return parse_manifest(source.read(MANIFEST_NAME), where=f"{source.id}/{MANIFEST_NAME}")
    except ManifestError as error:
        raise CheckpointError(str(error)) from None


def _read_json(source: Source, name: str) -> Any:  # noqa: ANN401 - whatever stands in it
    try:
        return json.loads(source.read(name))
    except (ValueError, RecursionError) as error:
        message = f"{source.id}: {name} is not JSON: {error}"
        raise CheckpointError(message) from None


def _family(where: str, config: Mapping[str, Any]) -> tuple[Family, str]:
    architectures = _strings(config.get("architectures"))
    for architecture in architectures:
        if architecture in _FAMILIES:
            return _FAMILIES[architecture], architecture
    found = ", ".join(architectures) or f"model_type {config.get('model_type', 'unknown')!r}"
    message = f"{where}: the architecture is {found[:200]}; supported are {_SUPPORTED}"
    raise CheckpointError(message)


def _weights(source: Source, files: Mapping[str, int]) -> tuple[str, ...]:
    name = next((name for name in _WEIGHTS if name in files), None)
    if name is None:
        message = f"{source.id}: holds no weights: {', '.join(_WEIGHTS)}; it holds {_some(files)}"
        raise CheckpointError(message)
    if not name.endswith(".index.json"):
        return (name,)
    index = _read_json(source, name)
    try:
        shards = tuple(sorted({str(shard) for shard in index["weight_map"].values()}))
    except (AttributeError, KeyError, TypeError):
        message = f"{source.id}: {name} names no files: weight_map is missing"
        raise CheckpointError(message) from None
    return _present(source.id, files, shards)


def _tokenizer(where: str, files: Mapping[str, int], family: Family) -> str:
    names = TOKENIZER_NAMES[family]
    for name in names:
        if name in files:
            return name
    message = f"{where}: holds no SentencePiece model: {' or '.join(names)}; the server needs one"
    raise CheckpointError(message)


def _present(where: str, files: Mapping[str, int], names: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    for name in names:
        if name not in files:
            message = f"{where}: the file {name} is missing"
            raise CheckpointError(message)
    return tuple(dict.fromkeys(names))


def _positions(where: str, config: Mapping[str, Any], family: Family) -> int:
    key = "max_position_embeddings" if family == "nllb" else "n_positions"
    positions = config.get(key, DEFAULT_POSITIONS[family])
    if type(positions) is not int or not 1 <= positions <= _MOST_POSITIONS:
        message = f"{where}: {CONFIG_FILE} says {key} = {positions!r:.40}; allowed are 1 to {_MOST_POSITIONS:,} tokens"
        raise CheckpointError(message)
    return positions


def _card(source: Source, files: Mapping[str, int]) -> Card:
    """Read the head of the model card: https://huggingface.co/docs/hub/model-cards#model-card-metadata."""
    head: Any = {}
    if CARD_FILE in files:
        text = source.read(CARD_FILE).decode("utf-8", errors="replace").replace("\r\n", "\n")
        if text.startswith("---\n"):
            try:
                head = yaml.safe_load(text[4:].partition("\n---")[0])
            except (yaml.YAMLError, AttributeError, RecursionError, TypeError, ValueError):  # dates that are none, ...
                head = {}
    head = head if isinstance(head, dict) else {}
    licence = ", ".join(_strings(head.get("license")))
    if licence == "other":
        licence = ", ".join(_strings(head.get("license_name"))) or licence
    if not licence:
        file = next((name for name in _LICENCE_FILES if name in files), None)
        licence = f"see {file} of the source" if file else "unknown"
    return Card(
        license=str(licence),
        description=str(head.get("description") or ""),
        languages=tuple(dict.fromkeys(filter(None, map(lookup_language, _strings(head.get("language")))))),
        demo=DEMO_TAG in _strings(head.get("tags")),
    )


def _strings(value: Any) -> list[str]:  # noqa: ANN401 - whatever stands in the card
    """Return the strings of a key that holds one or a list of them."""
    return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str)]


def _some(files: Mapping[str, int]) -> str:
    names = list(files)
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "") if names else "nothing"  # noqa: PLR2004 - enough
