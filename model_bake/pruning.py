"""Cut a converted model's vocabulary down to a selection of its rows."""

import json
import shutil
from collections.abc import Container
from dataclasses import replace
from pathlib import Path

import numpy as np

from handler.model_folder import MODEL_FILE, VOCABULARY_FILE
from model_bake.errors import CheckpointError, OutputError
from model_bake.model_file import ModelFile, read_model, write_model
from model_bake.progress import Advance
from model_bake.vocabulary import NORMAL, UNUSED, Selection, read_sentencepiece, read_tokens

_MATRICES = ("encoder/embeddings_0", "decoder/embeddings", "decoder/projection")
"""The layers with a row for each token; tied ones are aliases of one of them."""


def prune(
    source: Path,
    target: Path,
    *,
    tokenizer_name: str,
    selection: Selection,
    advance: Advance = lambda _: None,
) -> None:
    """Write the model of ``source``, with the selected rows alone, to the new folder ``target``.

    No piece leaves the SentencePiece model: those without a row are marked unused, which is how SentencePiece restricts
    a vocabulary (``SetVocabulary``), so that the server need not know. Other files are copied as they are; a manifest
    among them is to be written anew.

    Args:
        source: A folder with a converted model.
        target: Does not exist yet.
        tokenizer_name: Name of the SentencePiece model in ``source``.
        selection: The rows to keep.
        advance: Is told the bytes of ``source``'s ``model.bin`` that are done.

    Raises:
        CheckpointError: The files of ``source`` cannot be used, or do not fit each other.
        OutputError: ``target`` cannot be written.
    """
    tokens = read_tokens(source)
    kept = [tokens[row] for row in selection.rows]
    model = _pruned(source / MODEL_FILE, len(tokens), selection)
    tokenizer = _restricted(source / tokenizer_name, set(kept))
    try:
        target.mkdir(parents=True)
        write_model(model, target / MODEL_FILE, advance)
        # As ctranslate2/specs/model_spec.py writes it.
        (target / VOCABULARY_FILE).write_text(json.dumps(kept, indent=2), encoding="utf-8")
        (target / tokenizer_name).write_bytes(tokenizer)
        for path in source.iterdir():
            if path.name not in {MODEL_FILE, VOCABULARY_FILE, tokenizer_name}:
                shutil.copyfile(path, target / path.name)
    except OSError as error:
        message = f"{target}: {error.strerror}"
        raise OutputError(message) from None


def _pruned(path: Path, total: int, selection: Selection) -> ModelFile:
    """Return the model at ``path`` with the selected rows alone, which are copied when it is written."""
    rows = np.array(selection.rows, np.intp)
    model = read_model(path)
    variables = dict(model.variables)
    for layer in _MATRICES:
        name = f"{layer}/weight"
        if name not in variables and name not in model.aliases:
            message = f"{path}: has no {name}, so it is no model of an encoder and a decoder"
            raise CheckpointError(message)
        if name in variables and variables[name].shape[:1] != (total,):
            message = f"{path}: {name} has the shape {variables[name].shape}, and {VOCABULARY_FILE} {total} tokens"
            raise CheckpointError(message)
        for part in (name, f"{name}_scale", f"{layer}/bias"):
            # int8 has a scale for each row, int16 one for all.
            if part in variables and variables[part].shape[:1] == (total,):
                variables[part] = replace(variables[part], rows=rows)
    return replace(model, variables=variables)


def _restricted(path: Path, kept: Container[str]) -> bytes:
    """Return the SentencePiece model with every ordinary piece marked unused that is not ``kept``."""
    model = read_sentencepiece(path)
    for piece in model.pieces:
        if piece.type == NORMAL and piece.piece not in kept:
            piece.type = UNUSED
    content: bytes = model.SerializeToString(deterministic=True)
    return content
