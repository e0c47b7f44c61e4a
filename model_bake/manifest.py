"""Writes ``manifest.json``, which the server reads and checks; see ``handler.manifest``."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from handler.manifest import MANIFEST_NAME, SCHEMA_VERSION
from handler.settings import LARGEST_BEAM
from model_bake.checkpoint import Checkpoint
from model_bake.quantization import Quantization

_TOOLS = ("ctranslate2", "sentencepiece")
_CHECKPOINT_TOOLS = ("torch", "transformers")


def write_manifest(
    folder: Path,
    *,
    name: str,
    checkpoint: Checkpoint,
    source: Mapping[str, str],
    languages: Sequence[str],
    quantization: Quantization,
    positions: int,
    vocabulary: Mapping[str, Any],
) -> None:
    """Describe the files of ``folder`` in its ``manifest.json``. Nothing in it depends on the time or the machine.

    Args:
        folder: Holds the model; what stands in it is listed with size and hash.
        name: The id the model is served under.
        checkpoint: What was baked.
        source: ``id``: the Hub's id, the URL, or the folder's name; ``revision``: the Hub's commit, else a hash of
            the files. What an earlier bake has written of them, of the tools and of the vocabulary comes first.
        languages: FLORES-200 codes; for T5 those it was pruned to, else those its card names.
        quantization: On disk.
        positions: Of the encoder and the decoder each, special tokens counted.
        vocabulary: How many rows there are, and how those that went were chosen.
    """
    names = _TOOLS + (_CHECKPOINT_TOOLS if checkpoint.form == "transformers" else ())
    # Without the build's own label: torch 2.13.0+cpu and 2.13.0 make the same model.
    tools = {tool: version(tool).partition("+")[0] for tool in names}
    before = checkpoint.origin.get("vocabulary", {})
    files = sorted(path for path in folder.iterdir() if path.name != MANIFEST_NAME)
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "id": name,
        "family": checkpoint.family,
        "architecture": checkpoint.architecture,
        "demo": checkpoint.card.demo,
        "description": checkpoint.card.description,
        "source": dict(checkpoint.origin.get("source", source)),
        "license": checkpoint.card.license,
        "languages": sorted(languages),
        "quantization": quantization,
        "vocabulary": dict(before if before.get("rows") == vocabulary["rows"] else vocabulary),
        "limits": {
            "max_source_tokens": positions,
            "max_target_tokens": positions,
            # A search draws two candidates for each beam, https://github.com/OpenNMT/CTranslate2: beam_search.cc.
            "max_beam_size": min(LARGEST_BEAM, vocabulary["rows"] // 2),
        },
        "tokenizer": checkpoint.tokenizer,
        **({} if checkpoint.normalize else {"normalize": False}),
        "tools": dict(checkpoint.origin.get("tools", tools)),
        "files": {path.name: {"size": path.stat().st_size, "sha256": _sha256(path)} for path in files},
    }
    text = json.dumps(manifest, ensure_ascii=False, indent=2)
    (folder / MANIFEST_NAME).write_text(f"{text}\n", encoding="utf-8", errors="backslashreplace")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
