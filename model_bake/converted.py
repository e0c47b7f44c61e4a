"""A folder that CTranslate2's converter has written before: what its weights are."""

from dataclasses import dataclass
from pathlib import Path

from model_bake.errors import CheckpointError
from model_bake.model_file import read_model
from model_bake.quantization import Quantization

_LINEAR = "encoder/layer_0/self_attention/linear_0/weight"
"""A matrix every encoder has, and so the type of all of them."""
_NORM = "encoder/layer_norm/gamma"
"""A vector that is never quantised to integers: it tells the type of the rest."""
_POSITIONS = "encoder/position_encodings/encodings"
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
    positions: int | None
    """Of the encoder; T5 has relative positions and so no limit of its own."""


def describe(path: Path) -> Description:
    """Read the types and shapes of the weights in ``path``, and none of the weights.

    Raises:
        CheckpointError: It is not the model of an encoder and a decoder, or damaged.
    """
    model = read_model(path)
    variables = model.variables | {name: model.variables[owner] for name, owner in model.aliases.items()}
    if _LINEAR not in variables or _NORM not in variables or not any(name.startswith("decoder/") for name in variables):
        message = f"{path}: not an encoder with a decoder; NLLB and T5 models are"
        raise CheckpointError(message)
    weight, rest = variables[_LINEAR].dtype, variables[_NORM].dtype
    quantization = _INT8.get(rest) if weight == "int8" else _WHOLE.get(weight)
    if quantization is None:
        message = f"{path}: weights of type {weight} beside {rest} are no quantisation of CTranslate2's"
        raise CheckpointError(message)
    positions = variables.get(_POSITIONS)
    return Description(quantization, positions.shape[0] if positions else None)
