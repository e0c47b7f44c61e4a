"""Begins to load the models of a cold start before the settings are read, while everything else is imported.

CTranslate2 loads weights without Python's lock, and the imports of the web framework take as long as the weights of a
small model: side by side they take as long as the longer of the two. What will be loaded is guessed from the
environment, by its plainest form: ``MODEL_PATH`` names baked folders, nothing else does. The settings decide, later and
alone: a guess that proves wrong is dropped, a model that was not guessed is loaded then.
"""

from __future__ import annotations

import json
import os

from handler import ahead
from handler.cpus import MOST_THREADS, batch_threads
from handler.read_ahead import read_ahead

TYPE_CHECKING = False
# As typing has it, without typing: its import takes milliseconds.
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MODEL_FILE, _MANIFEST = "model.bin", "manifest.json"


def preload_weights(environ: Mapping[str, str], *, folder: str = ".") -> list[str]:
    """Begin to load the weights that the settings will most likely ask for; return the paths of their tokenizers.

    Returns at once and never fails: what is wrong, the settings and the catalogue say in words meant for people.

    Args:
        environ: The environment.
        folder: The working directory, where a ``config.toml`` would decide.
    """
    path = environ.get("MODEL_PATH")
    named = any(name.upper().startswith(("CONFIG_FILE", "FLASH_ATTENTION", "MODELS")) for name in environ)
    if not path or named or environ.get("LOAD", "startup") != "startup":
        return []
    if os.path.exists(os.path.join(folder, "config.toml")):
        return []
    try:
        inter_threads = int(environ.get("INTER_THREADS") or 1)
        intra_threads = int(environ.get("INTRA_THREADS") or 0)
        device_indices = tuple(int(index) for index in (environ.get("DEVICE_INDICES") or "0").split(","))
        found = list(_baked(path))
        threads = [
            intra_threads or batch_threads(os.path.join(model, _MODEL_FILE), inter_threads=inter_threads)
            for model, _, _ in found
        ]
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        return []
    if inter_threads < 1 or intra_threads < 0 or inter_threads * intra_threads > MOST_THREADS:
        return []
    for model, _, _ in found:
        read_ahead(os.path.join(model, _MODEL_FILE))
    # Imported when the reads are under way, and by this thread: imports in several threads wait for each other.
    from handler.weights import open_translator  # noqa: PLC0415

    for (model, family, _), model_threads in zip(found, threads, strict=True):
        ahead.begin(
            open_translator,
            model,
            family=family,
            device=environ.get("DEVICE") or "auto",
            device_indices=device_indices,
            compute_type=environ.get("COMPUTE_TYPE") or "default",
            flash_attention=False,
            inter_threads=inter_threads,
            intra_threads=model_threads,
        )
    return [tokenizer for _, _, tokenizer in found]


def preload_tokenizers(paths: list[str]) -> None:
    """Begin to load the SentencePiece models at ``paths``; returns at once."""
    from handler.pieces import open_processor  # noqa: PLC0415 - as above

    for path in paths:
        ahead.begin(open_processor, path)


def _baked(path: str) -> Iterator[tuple[str, str, str]]:
    """Yield the folder, family and SentencePiece model of each baked model at ``path`` or in its folders."""
    if os.path.exists(os.path.join(path, _MODEL_FILE)):
        folders = [path]
    else:
        folders = [os.path.join(path, name) for name in sorted(os.listdir(path))]
    for folder in folders:
        if os.path.exists(os.path.join(folder, _MODEL_FILE)):
            with open(os.path.join(folder, _MANIFEST), "rb") as file:
                manifest = json.load(file)
            yield folder, manifest["family"], os.path.join(folder, manifest["tokenizer"])
