"""What stands in a folder with a converted model: found and checked, nothing loaded."""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from handler.errors import ManifestError, SettingsError, shorten
from handler.manifest import Manifest, read_manifest
from handler.settings import Family

MODEL_FILE = "model.bin"
VOCABULARY_FILE = "shared_vocabulary.json"
TOKENIZER_NAMES = {
    "nllb": ("sentencepiece.bpe.model", "sentencepiece.model"),
    "t5": ("spiece.model", "sentencepiece.model"),
}
"""Where the Hub's checkpoints keep their SentencePiece model."""

_LANGUAGE_TOKEN = re.compile(r"[a-z]{3}_[A-Z][a-z]{3}")


def is_file(path: Path, key: str) -> bool:
    """Tell whether ``path`` is a file.

    Raises:
        SettingsError: Nobody can tell, because a folder may not be read or the name is too long.
    """
    try:
        return path.is_file()
    except OSError as error:
        message = f"{key}: {shorten(str(path))}: {error.strerror}"
        raise SettingsError(message) from None


def baked_folders(root: Path) -> dict[str, Path]:
    """Return the baked folders below ``root``, or ``root`` itself, by the id in their manifests.

    Raises:
        SettingsError: ``root`` is no folder, or holds no models, or one without a manifest, or two of one id.
        ManifestError: A manifest cannot be read.
    """
    key = "model_path"
    try:
        candidates = [root] if is_file(root / MODEL_FILE, key) else sorted(root.iterdir())
    except OSError as error:
        message = f"{key}: {shorten(str(root))} is not a folder that can be read: {error.strerror}"
        raise SettingsError(message) from None
    found: dict[str, Path] = {}
    for folder in candidates:
        if not is_file(folder / MODEL_FILE, key):
            continue
        manifest = read_manifest(folder)
        if manifest is None:
            message = (
                f"{key}: {folder} has no manifest.json; bake it, or name it in config.toml with "
                '[models.NAME] path, model_type = "nllb" | "t5"'
            )
            raise SettingsError(message)
        if manifest.id in found:
            message = f"{key}: {folder} and {found[manifest.id]} both hold the model {shorten(manifest.id)}"
            raise SettingsError(message)
        found[manifest.id] = folder
    if not found:
        message = f"{key}: {root} holds no {MODEL_FILE}, and neither do its folders"
        raise SettingsError(message)
    return found


def tokenizer_file(key: str, folder: Path, given: Path | None, manifest: Manifest | None, family: Family) -> Path:
    """Return the SentencePiece model: the file or folder that was ``given``, else the one beside the model.

    Raises:
        SettingsError: It is not there.
        ManifestError: The manifest names one that is not there.
    """
    key = f"{key}.tokenizer_path"
    if given is not None:
        if is_file(given, key):
            return given
        if not given.is_dir():
            message = f"{key}: there is no file or folder {given}"
            raise SettingsError(message)
    names = (manifest.tokenizer,) if manifest and given is None else TOKENIZER_NAMES[family]
    place = given or folder
    for name in names:
        if is_file(place / name, key):
            return place / name
    message = f"{key}: {place} holds no {' or '.join(names)}"
    raise (ManifestError if manifest else SettingsError)(message)


def languages(key: str, folder: Path, manifest: Manifest | None, family: Family) -> tuple[str, ...]:
    """Return the language codes of an NLLB model: the manifest's, else those among its vocabulary.

    Raises:
        SettingsError: A folder without a manifest has no vocabulary that can be read, or one without languages.
    """
    if family != "nllb":
        return ()
    if manifest is not None:
        return manifest.languages
    codes = language_codes(_vocabulary(key, folder))
    if not codes:
        message = f"{key}.model_type: {folder / VOCABULARY_FILE} holds no language code, so this is not an NLLB model"
        raise SettingsError(message)
    return codes


def language_codes(vocabulary: Iterable[str]) -> tuple[str, ...]:
    """Return the tokens of a vocabulary that are language codes of NLLB's form."""
    return tuple(filter(_LANGUAGE_TOKEN.fullmatch, vocabulary))


def parse_vocabulary(text: bytes) -> list[str]:
    """Return the tokens of a converted model, one a row, from the file that CTranslate2 4 writes.

    Raises:
        ValueError: It is no list of tokens.
    """
    try:
        tokens = json.loads(text)
    except (ValueError, RecursionError) as error:
        message = f"not readable as JSON: {error}"
        raise ValueError(message) from None
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        message = "not a list of tokens"
        raise ValueError(message)
    return tokens


def _vocabulary(key: str, folder: Path) -> Sequence[str]:
    path = folder / VOCABULARY_FILE
    try:
        return parse_vocabulary(path.read_bytes())
    except (OSError, ValueError) as error:
        message = f"{key}.path: {path}: {getattr(error, 'strerror', None) or error}"
        raise SettingsError(message) from None


def revision(folder: Path, manifest: Manifest | None) -> str:
    """Return what tells this model file from another: the manifest's hash, else its size and time."""
    if manifest is not None:
        return manifest.files[MODEL_FILE].sha256[:12]
    stat = (folder / MODEL_FILE).stat()
    return f"{stat.st_size:x}-{stat.st_mtime_ns:x}"
