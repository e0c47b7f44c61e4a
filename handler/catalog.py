"""Which models the settings name: their ids, folders, families and effective options. Loads nothing."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from handler.errors import ManifestError, SettingsError, UnsupportedLanguageError, shorten
from handler.languages import parse_language
from handler.manifest import Manifest, check_files, read_manifest
from handler.settings import AUTO, ComputeType, Device, Family, Load, ModelSettings, Settings

_T = TypeVar("_T")
_Language = TypeVar("_Language", str, str | None)

MODEL_FILE = "model.bin"
TOKENIZER_NAMES = {
    "nllb": ("sentencepiece.bpe.model", "sentencepiece.model"),
    "t5": ("spiece.model", "sentencepiece.model"),
}
"""Where the Hub's checkpoints keep their SentencePiece model."""

DEFAULT_POSITIONS = {"nllb": 1024, "t5": 512}
"""Positions of a model without a manifest: ``max_position_embeddings`` of NLLB, ``n_positions`` of T5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One model to serve, every setting resolved."""

    id: str
    path: Path
    family: Family
    tokenizer_path: Path
    manifest: Manifest | None
    load: Load
    device: Device
    device_indices: tuple[int, ...]
    compute_type: ComputeType
    inter_threads: int
    intra_threads: int
    source_lang: str
    target_lang: str | None
    beam_size: int
    length_penalty: float
    repetition_penalty: float
    no_repeat_ngram_size: int
    max_source_tokens: int
    max_target_tokens: int

    @property
    def demo(self) -> bool:
        """Whether this is an embedded, phrasebook-sized model."""
        return self.manifest is not None and self.manifest.demo


@dataclass(frozen=True, slots=True)
class Catalog:
    """The models by id, the aliases, and the id that serves requests naming none."""

    models: dict[str, ModelSpec]
    aliases: dict[str, str]
    default: str


def build_catalog(settings: Settings) -> Catalog:
    """Find the models that ``settings`` names and check that their files are there.

    Raises:
        SettingsError: A folder, model type, tokenizer, alias or default model is missing or wrong.
        ManifestError: A folder does not match its manifest.
    """
    tables = dict(settings.models)
    if not tables or "model_path" in settings.model_fields_set:
        for name, folder in _baked_folders(settings.model_path).items():
            tables.setdefault(name, ModelSettings(path=folder))
    models = {name: _resolve(name, table, settings) for name, table in tables.items()}
    for alias, target in settings.aliases.items():
        if alias in models:
            message = f"aliases.{alias}: {shorten(alias)} is the name of a model"
            raise SettingsError(message)
        if target not in models:
            message = f"aliases.{alias}: there is no model {shorten(target)}; models: {', '.join(models)}"
            raise SettingsError(message)
    default = settings.default_model or next(iter(models))
    default = settings.aliases.get(default, default)
    if default not in models:
        message = f"default_model: there is no model {shorten(default)}; models: {', '.join(models)}"
        raise SettingsError(message)
    return Catalog(models, dict(settings.aliases), default)


def _baked_folders(root: Path) -> dict[str, Path]:
    """Return the baked folders below ``root``, or ``root`` itself, by the id in their manifests."""
    if not root.is_dir():
        message = f"model_path: {root} is not a folder"
        raise SettingsError(message)
    folders = [root] if (root / MODEL_FILE).exists() else [p.parent for p in sorted(root.glob(f"*/{MODEL_FILE}"))]
    found: dict[str, Path] = {}
    for folder in folders:
        manifest = read_manifest(folder)
        if manifest is None:
            message = (
                f"model_path: {folder} has no manifest.json; bake it, or name it in config.toml with "
                '[models.NAME] path, model_type = "nllb" | "t5"'
            )
            raise SettingsError(message)
        if manifest.id in found:
            message = f"model_path: {folder} and {found[manifest.id]} both hold the model {shorten(manifest.id)}"
            raise SettingsError(message)
        found[manifest.id] = folder
    if not found:
        message = f"model_path: {root} holds no {MODEL_FILE}, and neither do its folders"
        raise SettingsError(message)
    return found


def _resolve(name: str, table: ModelSettings, settings: Settings) -> ModelSpec:
    key = f"models.{name}"
    if not (table.path / MODEL_FILE).is_file():
        message = f"{key}.path: {table.path} holds no {MODEL_FILE}"
        raise SettingsError(message)
    manifest = read_manifest(table.path)
    if manifest is not None:
        check_files(table.path, manifest, verify=settings.verify)
    family = manifest.family if manifest else table.model_type
    if family is None:
        message = f'{key}.model_type: {table.path} has no manifest.json, so set it to "nllb" or "t5"'
        raise SettingsError(message)
    if table.model_type not in {None, family}:
        message = f"{key}.model_type: {table.model_type!r}, and the manifest says {family!r}"
        raise SettingsError(message)
    positions = DEFAULT_POSITIONS[family]

    def pick(own: _T | None, common: _T) -> _T:
        return common if own is None else own

    return ModelSpec(
        id=name,
        path=table.path,
        family=family,
        tokenizer_path=_tokenizer_path(key, table, manifest, family),
        manifest=manifest,
        load=pick(table.load, settings.load),
        device=pick(table.device, settings.device),
        device_indices=pick(table.device_indices, settings.device_indices),
        compute_type=pick(table.compute_type, settings.compute_type),
        inter_threads=pick(table.inter_threads, settings.inter_threads),
        intra_threads=pick(table.intra_threads, settings.intra_threads),
        source_lang=_language(f"{key}.source_lang", pick(table.source_lang, settings.source_lang), manifest),
        target_lang=_language(f"{key}.target_lang", pick(table.target_lang, settings.target_lang), manifest),
        beam_size=pick(table.beam_size, settings.beam_size),
        length_penalty=pick(table.length_penalty, settings.length_penalty),
        repetition_penalty=pick(table.repetition_penalty, settings.repetition_penalty),
        no_repeat_ngram_size=pick(table.no_repeat_ngram_size, settings.no_repeat_ngram_size),
        max_source_tokens=pick(table.max_source_tokens, manifest.max_source_tokens if manifest else positions),
        max_target_tokens=pick(table.max_target_tokens, manifest.max_target_tokens if manifest else positions),
    )


def _language(key: str, language: _Language, manifest: Manifest | None) -> _Language:
    """Check a configured language where the manifest says which there are; without one, requests will tell."""
    if language is None or language == AUTO or manifest is None or not manifest.languages:
        return language
    try:
        parse_language(language, deployed=manifest.languages)
    except UnsupportedLanguageError as error:
        message = f"{key}: {error}"
        raise SettingsError(message) from None
    return language


def _tokenizer_path(key: str, table: ModelSettings, manifest: Manifest | None, family: Family) -> Path:
    given = table.tokenizer_path
    if given is not None and not given.is_dir():
        if given.is_file():
            return given
        message = f"{key}.tokenizer_path: there is no file or folder {given}"
        raise SettingsError(message)
    folder = given or table.path
    names = (manifest.tokenizer,) if manifest and given is None else TOKENIZER_NAMES[family]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    message = f"{key}.tokenizer_path: {folder} holds no {' or '.join(names)}"
    raise (ManifestError if manifest else SettingsError)(message)
