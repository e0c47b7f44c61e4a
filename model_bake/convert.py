"""A loaded checkpoint to a CTranslate2 folder, by CTranslate2's own converter."""

import json
import shutil
from pathlib import Path
from typing import Any

from ctranslate2.converters import TransformersConverter

from handler.model_folder import VOCABULARY_FILE
from model_bake.checkpoint import Checkpoint
from model_bake.errors import CheckpointError
from model_bake.m2m100 import flores_code, rename_languages
from model_bake.progress import Progress
from model_bake.quantization import Quantization
from model_bake.transformers_model import LoadedModel


class _Converter(TransformersConverter):
    """The converter, given a model that is loaded already."""

    def __init__(self, folder: Path, loaded: LoadedModel, progress: Progress, size: int) -> None:
        super().__init__(str(folder))
        self._loaded = loaded
        self._progress = progress
        self._size = size

    def load_model(self, *_: Any, **__: Any) -> Any:  # noqa: ANN401 - transformers has no types
        """Return the model that was loaded."""
        return self._loaded.model

    def load_tokenizer(self, *_: Any, **__: Any) -> Any:  # noqa: ANN401 - transformers has no types
        """Return the tokenizer that was loaded."""
        return self._loaded.tokenizer

    def convert_to(self, output: Path, quantization: Quantization) -> None:
        """Do what ``convert`` does, each step shown."""
        with self._progress.step("convert", self._size) as advance:
            spec = self._load()
            spec.validate()
            advance(self._size)
        before = {name: (variable.dtype, variable.num_bytes()) for name, variable in spec.variables().items()}

        def quantized() -> int:
            now = spec.variables()
            return sum(
                size for name, (dtype, size) in before.items() if isinstance(now[name], str) or now[name].dtype != dtype
            )

        total = sum(size for _, size in before.values())
        with self._progress.watch("quantise", total, quantized):
            spec.optimize(quantization=quantization)
        output.mkdir()
        path = output / "model.bin"
        expected = sum(v.num_bytes() for v in spec.variables().values() if not isinstance(v, str))
        with self._progress.watch("write", expected, lambda: path.stat().st_size if path.exists() else 0):
            spec.save(str(output))


def convert(
    loaded: LoadedModel,
    folder: Path,
    checkpoint: Checkpoint,
    output: Path,
    *,
    quantization: Quantization,
    progress: Progress,
) -> None:
    """Write ``output``: model, vocabulary, configuration and SentencePiece model.

    The loaded model is spent afterwards: the converter quantises its weights where they lie.

    Raises:
        CheckpointError: The converter refuses the model, or its vocabulary is not the tokenizer's.
    """
    converter = _Converter(folder, loaded, progress, checkpoint.weights_size)
    try:
        converter.convert_to(output, quantization)
    except (NotImplementedError, ValueError, KeyError, AttributeError) as error:
        message = f"{folder}: CTranslate2's converter refuses the model: {error}"
        raise CheckpointError(message) from None
    shutil.copyfile(folder / checkpoint.tokenizer, output / checkpoint.tokenizer)
    rename_languages(output / VOCABULARY_FILE)
    _check_rows(output / VOCABULARY_FILE, loaded)


def _check_rows(path: Path, loaded: LoadedModel) -> None:
    """Hold every row of the written vocabulary to the id that the checkpoint's tokenizer gives its token."""
    tokens = json.loads(path.read_bytes())
    ids = loaded.tokenizer.get_vocab()
    ids |= {
        token: loaded.tokenizer.convert_tokens_to_ids(token) for token in loaded.tokenizer.additional_special_tokens
    }
    for token, row in ids.items():
        written = tokens[row] if row < len(tokens) else "nothing"
        if written != (flores_code(token) or token):
            message = f"row {row} of the converted vocabulary is {written!r}, and the tokenizer has {token!r} there"
            raise CheckpointError(message)
