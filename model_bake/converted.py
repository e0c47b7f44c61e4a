"""A folder that CTranslate2's converter has written before: what its weights are."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_bake.errors import CheckpointError
from model_bake.model_file import read_model
from model_bake.quantization import Quantization

_LINEAR = "encoder/layer_0/self_attention/linear_0/weight"
"""A matrix every encoder has, and so the type of all of them."""
_NORM = "encoder/layer_norm/gamma"
"""A vector that is never quantised to integers: it tells the type of the rest."""
_POSITIONS = "encoder/position_encodings/encodings"
_ROWS = "decoder/embeddings/weight"
_EXPONENT = 0x7F80
_INT8: dict[str, Quantization] = {"float32": "int8", "float16": "int8_float16", "bfloat16": "int8_bfloat16"}
_WHOLE: dict[str, Quantization] = {
    "int16": "int16",
    "float16": "float16",
    "bfloat16": "bfloat16",
    "float32": "float32",
}


@dataclass(frozen=True, slots=True)
class Description:
    """What a ``model.bin`` tells of itself."""

    quantization: Quantization
    rows: tuple[int, ...]
    """Of the decoder's embeddings, which a vocabulary has to fit."""
    positions: int | None
    """Of the encoder; T5 has relative positions and so no limit of its own."""


def describe(path: Path) -> Description:
    """Read the types and shapes of the weights in ``path``, and look whether all of them are finite.

    Raises:
        CheckpointError: It is not the model of an encoder and a decoder, or damaged.
    """
    model = read_model(path)
    if missing := sorted(set(model.aliases.values()) - model.variables.keys()):
        message = f"{path}: an alias stands for {missing[0]!r}, which is not there"
        raise CheckpointError(message)
    variables = model.variables | {name: model.variables[owner] for name, owner in model.aliases.items()}
    if _LINEAR not in variables or _NORM not in variables or _ROWS not in variables:
        message = f"{path}: not an encoder with a decoder; NLLB and T5 models are"
        raise CheckpointError(message)
    weight, rest = variables[_LINEAR].dtype, variables[_NORM].dtype
    quantization = _INT8.get(rest) if weight == "int8" else _WHOLE.get(weight)
    if quantization is None:
        message = f"{path}: weights of type {weight} beside {rest} are no quantisation of CTranslate2's"
        raise CheckpointError(message)
    for name, variable in model.variables.items():
        if not all(_is_finite(block) for block, _ in variable.blocks()):
            message = f"{path}: {name} holds values that are not finite, so the weights are damaged"
            raise CheckpointError(message)
    positions = variables.get(_POSITIONS)
    return Description(quantization, variables[_ROWS].shape[:1], positions.shape[0] if positions else None)


def _is_finite(block: NDArray[Any]) -> bool:
    if block.dtype == np.uint16:  # bfloat16: the exponent of what is not finite is all ones
        return not bool(((block & _EXPONENT) == _EXPONENT).any())
    return block.dtype.kind != "f" or bool(np.isfinite(block).all())
