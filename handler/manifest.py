"""Reads ``manifest.json``, which the bake wrote next to ``model.bin``, and checks the folder against it."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from handler.errors import ManifestError, shorten
from handler.settings import Family

MANIFEST_NAME = "manifest.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """Size in bytes and SHA-256 (hexadecimal) of one baked file."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a baked model is, where it came from and what it can take."""

    id: str
    family: Family
    demo: bool
    description: str
    source_id: str
    source_revision: str
    """The Hub's commit, else a hash of the source's files."""
    license: str
    languages: tuple[str, ...]
    """FLORES-200 codes the model was baked with; empty where the family has no language codes."""
    tokenizer: str
    """Name of the SentencePiece model in the folder."""
    max_source_tokens: int
    """Encoder positions, special tokens counted."""
    max_target_tokens: int
    max_beam_size: int
    """Widest beam the vocabulary allows."""
    normalize: bool
    """Whether the training data was normalised as NLLB's was; nothing says so of another family."""
    quantization: str
    """On disk, in CTranslate2's words."""
    files: Mapping[str, FileEntry]


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of a baked folder, or nothing for a folder that has none.

    Raises:
        ManifestError: The file is not a manifest of the version this server reads.
    """
    path = folder / MANIFEST_NAME
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        message = f"{path}: {error.strerror}"
        raise ManifestError(message) from None
    return parse_manifest(text, where=str(path))


def parse_manifest(text: bytes, *, where: str) -> Manifest:
    """Return the manifest that ``text`` holds.

    Raises:
        ManifestError: It is not a manifest of the version this server reads.
    """
    try:
        return _parse(json.loads(text))
    except KeyError as error:
        message = f"{where}: the key {error} is missing"
    except UnicodeDecodeError:
        message = f"{where}: not readable as JSON: not UTF-8"
    except json.JSONDecodeError as error:
        message = f"{where}: not readable as JSON: {error}"
    except RecursionError:
        message = f"{where}: not readable as JSON: nested too deeply"
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        message = f"{where}: {error}"
    raise ManifestError(message)


def _parse(data: Mapping[str, Any]) -> Manifest:
    for name in data["files"]:
        if "/" in name or name in {"", ".", ".."} or not name.isprintable():
            message = f"files lists {name!r}, which is not the name of a file beside the manifest"
            raise ValueError(message)
    if "model.bin" not in data["files"]:
        message = "files does not list model.bin"
        raise ValueError(message)
    if data["schema_version"] != SCHEMA_VERSION:
        message = f"schema_version is {data['schema_version']!r}; this server reads {SCHEMA_VERSION}"
        raise ValueError(message)
    if data["tokenizer"] not in data["files"]:
        message = f"tokenizer is {data['tokenizer']!r}, which files does not list"
        raise ValueError(message)
    if data["family"] not in get_args(Family):
        message = f"family is {data['family']!r}; allowed: {', '.join(get_args(Family))}"
        raise ValueError(message)
    if not data["id"] or not all(isinstance(value, str) for value in (data["id"], *data["languages"])):
        message = f"id and languages are strings, not {shorten(str(data['id']))} and {shorten(str(data['languages']))}"
        raise ValueError(message)
    for name, value in data["limits"].items():
        if type(value) is not int or value < 1:
            message = f"limits.{name} is {value!r}; it is a positive number"
            raise ValueError(message)
    return Manifest(
        id=str(data["id"]),
        family=cast("Family", data["family"]),
        demo=bool(data.get("demo", False)),
        description=str(data.get("description", "")),
        source_id=str(data["source"]["id"]),
        source_revision=str(data["source"]["revision"]),
        license=str(data["license"]),
        languages=tuple(data["languages"]),
        tokenizer=str(data["tokenizer"]),
        max_source_tokens=int(data["limits"]["max_source_tokens"]),
        max_target_tokens=int(data["limits"]["max_target_tokens"]),
        max_beam_size=int(data["limits"]["max_beam_size"]),
        normalize=bool(data.get("normalize", True)),
        quantization=str(data["quantization"]),
        files={name: FileEntry(size=entry["size"], sha256=entry["sha256"]) for name, entry in data["files"].items()},
    )


def check_files(folder: Path, manifest: Manifest, *, verify: Literal["size", "sha256"]) -> None:
    """Compare the files of ``folder`` with the manifest: their sizes, or their contents as well.

    Raises:
        ManifestError: A file is missing or is not the one that was baked.
    """

    def size(name: str) -> int | None:
        try:
            return (folder / name).stat().st_size
        except OSError:
            return None

    check_sizes(manifest, size, where=str(folder))
    if verify == "size":
        return
    for name, entry in manifest.files.items():
        path = folder / name
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != entry.sha256:
            message = f"{path}: SHA-256 {digest}, and the manifest says {entry.sha256}"
            raise ManifestError(message)


def check_sizes(manifest: Manifest, size: Callable[[str], int | None], *, where: str) -> None:
    """Compare the sizes of a folder's files with the manifest.

    Args:
        manifest: What was baked.
        size: Returns how many bytes the file of a name has, nothing if there is none.
        where: Names the folder.

    Raises:
        ManifestError: A file is missing or of another size.
    """
    for name, entry in manifest.files.items():
        found = size(name)
        if found is None:
            message = f"{where}/{name}: the manifest lists this file and it is missing"
            raise ManifestError(message)
        if found != entry.size:
            message = f"{where}/{name}: {found} bytes, and the manifest says {entry.size}"
            raise ManifestError(message)
