"""Which models the settings name, every option of each resolved. Loads nothing."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from handler import model_folder
from handler.cpus import MOST_THREADS
from handler.errors import SettingsError, UnsupportedLanguageError, shorten
from handler.languages import parse_language
from handler.manifest import Manifest
from handler.model_folder import LocalFolder, ModelFolder
from handler.settings import (
    AUTO,
    LARGEST_BEAM,
    ComputeType,
    Device,
    Family,
    KeyPath,
    Load,
    ModelSettings,
    Settings,
    meant_name,
    own_or_common,
)

_Language = TypeVar("_Language", str, str | None)

DEFAULT_POSITIONS = {"nllb": 1024, "t5": 512}
"""Positions of a model without a manifest: ``max_position_embeddings`` of NLLB, ``n_positions`` of T5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One model to serve, every setting resolved."""

    id: str
    folder: ModelFolder
    family: Family
    tokenizer_path: Path
    manifest: Manifest | None
    languages: tuple[str, ...]
    """FLORES-200 codes in the vocabulary of an NLLB model."""
    created: int
    """Unix seconds: when the model file was written."""
    revision: str
    """Tells one model file from another."""
    load: Load
    unload_after_s: float
    """Seconds without a request after which the model leaves memory; 0 is never."""
    device: Device
    device_indices: tuple[int, ...]
    compute_type: ComputeType
    flash_attention: bool
    inter_threads: int
    intra_threads: int
    source_lang: str
    target_lang: str | None
    beam_size: int
    length_penalty: float
    repetition_penalty: float
    no_repeat_ngram_size: int
    normalize: bool
    max_source_tokens: int
    max_target_tokens: int
    max_beam_size: int
    """Widest beam a request may ask for."""

    @property
    def path(self) -> Path:
        """Where the files are when the model is loaded."""
        return self.folder.path

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
    models = {name: _resolve(name, table, folder, settings) for name, (table, folder) in _tables(settings).items()}
    names = ", ".join(models)
    for alias, target in settings.aliases.items():
        if alias in models:
            message = f"{shorten(alias)} is the name of a model"
            raise SettingsError(message, key=("aliases", alias))
        if target not in models:
            message = f"there is no model {shorten(target)}; models: {names}"
            raise SettingsError(message, key=("aliases", alias))
    if settings.unload_after_s and all(spec.load != "lazy" for spec in models.values()):
        raise _never_unloaded(settings.unload_after_s, ("unload_after_s",))
    default = settings.default_model or next(iter(models))
    default = settings.aliases.get(default, default)
    if default not in models:
        message = f"there is no model {shorten(default)}; models: {names}"
        raise SettingsError(message, key=("default_model",))
    return Catalog(models, dict(settings.aliases), default)


def _tables(settings: Settings) -> dict[str, tuple[ModelSettings, ModelFolder]]:
    """Return each model's own settings and its folder: configured ones first, then those found in ``model_path``."""
    tables = settings.models
    wanted = not tables or "model_path" in settings.model_fields_set or any(t.path is None for t in tables.values())
    baked = model_folder.baked_folders(_open(settings.model_path, ("model_path",), settings)) if wanted else {}
    found: dict[str, tuple[ModelSettings, ModelFolder]] = {}
    for name, table in tables.items():
        if table.path is not None:
            found[name] = (table, _open(table.path, ("models", name, "path"), settings))
            continue
        same = meant_name(("models", name), baked)
        if same is None:
            message = f"a value is required; {settings.model_path} holds {', '.join(baked)}"
            raise SettingsError(message, key=("models", name, "path"))
        if same in found:
            message = f"{shorten(same)} is configured already, by the same name in another spelling; use one of them"
            raise SettingsError(message, key=("models", name))
        found[same] = (table, baked[same])
    for name, folder in baked.items():
        found.setdefault(name, (ModelSettings(), folder))
    return found


def _open(location: Path | str, key: KeyPath, settings: Settings) -> ModelFolder:
    """Return the folder at ``location``, which the setting ``key`` names."""
    if isinstance(location, Path):
        return LocalFolder(location, key=key, verify=settings.verify)
    from handler.remote_model import RemoteFolder  # noqa: PLC0415 - for those who have models in object storage

    return RemoteFolder(location, settings.model_cache, key=key, verify=settings.verify)


def _resolve(name: str, table: ModelSettings, folder: ModelFolder, settings: Settings) -> ModelSpec:
    key = ("models", name)
    if not folder.holds(model_folder.MODEL_FILE):
        message = f"{folder} holds no {model_folder.MODEL_FILE}"
        raise SettingsError(message, key=(*key, "path"))
    manifest = folder.manifest()
    if manifest is not None:
        folder.check(manifest)
    family = _family(key, folder, table, manifest)
    languages = model_folder.languages(key, folder, manifest, family)
    positions = DEFAULT_POSITIONS[family]
    max_beam_size = manifest.max_beam_size if manifest else LARGEST_BEAM
    beam_size = own_or_common(table.beam_size, settings.beam_size)
    if beam_size > max_beam_size:
        message = f"{beam_size}, and the model's vocabulary allows at most {max_beam_size}"
        raise SettingsError(message, key=(*key, "beam_size"))
    inter_threads = own_or_common(table.inter_threads, settings.inter_threads)
    intra_threads = own_or_common(table.intra_threads, settings.intra_threads)
    if inter_threads * intra_threads > MOST_THREADS:
        message = f"{inter_threads} times {intra_threads} threads; at most {MOST_THREADS}"
        raise SettingsError(message, key=(*key, "intra_threads"))
    load = own_or_common(table.load, settings.load)
    if table.unload_after_s and load != "lazy":
        raise _never_unloaded(table.unload_after_s, (*key, "unload_after_s"))
    return ModelSpec(
        id=name,
        folder=folder,
        family=family,
        tokenizer_path=model_folder.tokenizer_file(key, folder, table.tokenizer_path, manifest, family),
        manifest=manifest,
        languages=languages,
        created=int(folder.modified_s()),
        revision=model_folder.revision(folder, manifest),
        load=load,
        unload_after_s=own_or_common(table.unload_after_s, settings.unload_after_s) if load == "lazy" else 0.0,
        device=own_or_common(table.device, settings.device),
        device_indices=own_or_common(table.device_indices, settings.device_indices),
        compute_type=own_or_common(table.compute_type, settings.compute_type),
        flash_attention=own_or_common(table.flash_attention, settings.flash_attention),
        inter_threads=inter_threads,
        intra_threads=intra_threads,
        source_lang=_language((*key, "source_lang"), own_or_common(table.source_lang, settings.source_lang), languages),
        target_lang=_language((*key, "target_lang"), own_or_common(table.target_lang, settings.target_lang), languages),
        beam_size=beam_size,
        length_penalty=own_or_common(table.length_penalty, settings.length_penalty),
        repetition_penalty=own_or_common(table.repetition_penalty, settings.repetition_penalty),
        no_repeat_ngram_size=own_or_common(table.no_repeat_ngram_size, settings.no_repeat_ngram_size),
        normalize=own_or_common(table.normalize, settings.normalize and (manifest is None or manifest.normalize)),
        max_source_tokens=own_or_common(table.max_source_tokens, manifest.max_source_tokens if manifest else positions),
        max_target_tokens=own_or_common(table.max_target_tokens, manifest.max_target_tokens if manifest else positions),
        max_beam_size=max_beam_size,
    )


def _never_unloaded(after_s: float, key: KeyPath) -> SettingsError:
    return SettingsError(f'{after_s:g}, and only models with load = "lazy" are unloaded', key=key)


def _family(key: KeyPath, folder: ModelFolder, table: ModelSettings, manifest: Manifest | None) -> Family:
    key = (*key, "model_type")
    family = manifest.family if manifest else table.model_type
    if family is None:
        message = f'{folder} has no manifest.json, so set it to "nllb" or "t5"'
        raise SettingsError(message, key=key)
    if table.model_type not in {None, family}:
        message = f"{table.model_type!r}, and the manifest says {family!r}"
        raise SettingsError(message, key=key)
    return family


def _language(key: KeyPath, language: _Language, deployed: tuple[str, ...]) -> _Language:
    """Check a configured language against those of the model; T5 has none."""
    if language is None or not deployed or (language == AUTO and key[-1] == "source_lang"):
        return language
    try:
        parse_language(language, deployed=deployed)
    except UnsupportedLanguageError as error:
        raise SettingsError(str(error), key=key) from None
    return language
