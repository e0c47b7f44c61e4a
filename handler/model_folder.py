"""What stands in a folder with a converted model, wherever that is: found and checked, nothing loaded."""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from handler.errors import ManifestError, SettingsError, shorten
from handler.manifest import Manifest, check_files, read_manifest
from handler.settings import Family, KeyPath, Verify

MODEL_FILE = "model.bin"
CONFIG_FILE = "config.json"
VOCABULARY_FILE = "shared_vocabulary.json"
TOKENIZER_NAMES = {
    "nllb": ("sentencepiece.bpe.model", "sentencepiece.model"),
    "t5": ("spiece.model", "sentencepiece.model"),
}
"""Where the Hub's checkpoints keep their SentencePiece model."""

_LANGUAGE_TOKEN = re.compile(r"[a-z]{3}_[A-Z][a-z]{3}")


class ModelFolder(Protocol):
    """A folder with a converted model. What is wrong with it is a SettingsError or a ManifestError."""

    @property
    def path(self) -> Path:
        """Return where the files are when a model is loaded."""

    @property
    def remote(self) -> bool:
        """Whether the files come over a network."""

    def __str__(self) -> str:
        """Return what messages call it."""

    def holds(self, name: str) -> bool:
        """Tell whether there is a file of this name."""

    def read(self, name: str) -> bytes:
        """Return a small file."""

    def manifest(self) -> Manifest | None:
        """Return what the bake wrote, or nothing for a folder that was not baked."""

    def folders(self) -> Sequence["ModelFolder"]:
        """Return the folders in it, by name; they may hold anything."""

    def check(self, manifest: Manifest) -> None:
        """Compare the files with the manifest, as far as that can be done before they are here."""

    def modified_s(self) -> float:
        """Return when the model file was written, in Unix seconds."""

    def revision(self) -> str:
        """Return what tells one model file from another where no manifest does."""

    def fetch(self) -> None:
        """Bring the files to ``path``, if they are not there.

        Raises:
            DownloadError: They cannot be had, are not what was published, or cannot be kept.
        """


class LocalFolder:
    """A folder of this machine."""

    remote = False

    def __init__(self, path: Path, *, key: KeyPath, verify: Verify) -> None:
        """Name the folder.

        Args:
            path: Where it is.
            key: The setting that names it, for messages.
            verify: What is compared with the manifest.
        """
        self.path = path
        self._key = key
        self._verify = verify

    def __str__(self) -> str:
        return str(self.path)

    def holds(self, name: str) -> bool:
        """Tell whether there is a file of this name."""
        return is_file(self.path / name, self._key)

    def read(self, name: str) -> bytes:
        """Return a small file."""
        path = self.path / name
        try:
            return path.read_bytes()
        except OSError as error:
            message = f"{path}: {error.strerror}"
            raise SettingsError(message, key=self._key) from None

    def manifest(self) -> Manifest | None:
        """Return what the bake wrote, or nothing for a folder that was not baked."""
        return read_manifest(self.path)

    def folders(self) -> Sequence[ModelFolder]:
        """Return the folders in it, by name; they may hold anything."""
        try:
            paths = sorted(self.path.iterdir())
        except OSError as error:
            message = f"{shorten(str(self))} is not a folder that can be read: {error.strerror}"
            raise SettingsError(message, key=self._key) from None
        return [LocalFolder(path, key=self._key, verify=self._verify) for path in paths]

    def check(self, manifest: Manifest) -> None:
        """Compare the files with the manifest."""
        check_files(self.path, manifest, verify=self._verify)

    def modified_s(self) -> float:
        """Return when the model file was written, in Unix seconds."""
        return (self.path / MODEL_FILE).stat().st_mtime

    def revision(self) -> str:
        """Return the size and the time of the model file."""
        stat = (self.path / MODEL_FILE).stat()
        return f"{stat.st_size:x}-{stat.st_mtime_ns:x}"

    def fetch(self) -> None:
        """Do nothing: the files are here."""


def is_file(path: Path, key: KeyPath) -> bool:
    """Tell whether ``path`` is a file.

    Raises:
        SettingsError: Nobody can tell, because a folder may not be read or the name is too long.
    """
    try:
        return path.is_file()
    except OSError as error:
        message = f"{shorten(str(path))}: {error.strerror}"
        raise SettingsError(message, key=key) from None


def baked_folders(root: ModelFolder) -> dict[str, ModelFolder]:
    """Return the baked folders below ``root``, or ``root`` itself, by the id in their manifests.

    Raises:
        SettingsError: ``root`` is no folder, or holds no models, or one without a manifest, or two of one id.
        ManifestError: A manifest cannot be read.
    """
    key = ("model_path",)
    found: dict[str, ModelFolder] = {}
    for folder in [root] if root.holds(MODEL_FILE) else root.folders():
        if not folder.holds(MODEL_FILE):
            continue
        manifest = folder.manifest()
        if manifest is None:
            message = (
                f"{folder} has no manifest.json; bake it, or name it in config.toml with "
                '[models.NAME] path, model_type = "nllb" | "t5"'
            )
            raise SettingsError(message, key=key)
        if manifest.id in found:
            message = f"{folder} and {found[manifest.id]} both hold the model {shorten(manifest.id)}"
            raise SettingsError(message, key=key)
        found[manifest.id] = folder
    if not found:
        message = f"{root} holds no {MODEL_FILE}, and neither do its folders"
        raise SettingsError(message, key=key)
    return found


def tokenizer_file(
    key: KeyPath, folder: ModelFolder, given: Path | None, manifest: Manifest | None, family: Family
) -> Path:
    """Return the SentencePiece model: the file or folder that was ``given``, else the one beside the model.

    Raises:
        SettingsError: It is not there.
        ManifestError: The manifest names one that is not there.
    """
    key = (*key, "tokenizer_path")
    names = (manifest.tokenizer,) if manifest and given is None else TOKENIZER_NAMES[family]
    if given is None:
        found = next((folder.path / name for name in names if folder.holds(name)), None)
    elif is_file(given, key):
        found = given
    elif given.is_dir():
        found = next((given / name for name in names if is_file(given / name, key)), None)
    else:
        message = f"there is no file or folder {given}"
        raise SettingsError(message, key=key)
    if found is None:
        message = f"{given or folder} holds no {' or '.join(names)}"
        if manifest and given is None:
            raise ManifestError(message)
        raise SettingsError(message, key=key)
    return found


def languages(key: KeyPath, folder: ModelFolder, manifest: Manifest | None, family: Family) -> tuple[str, ...]:
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
        message = f"{folder}/{VOCABULARY_FILE} holds no language code, so this is not an NLLB model"
        raise SettingsError(message, key=(*key, "model_type"))
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


def _vocabulary(key: KeyPath, folder: ModelFolder) -> Sequence[str]:
    text = folder.read(VOCABULARY_FILE)
    try:
        return parse_vocabulary(text)
    except ValueError as error:
        message = f"{folder}/{VOCABULARY_FILE}: {error}"
        raise SettingsError(message, key=(*key, "path")) from None


def revision(folder: ModelFolder, manifest: Manifest | None) -> str:
    """Return what tells this model file from another: the manifest's hash, else what the folder knows."""
    return folder.revision() if manifest is None else manifest.files[MODEL_FILE].sha256[:12]
