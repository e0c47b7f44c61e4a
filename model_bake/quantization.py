"""How weights are stored on disk, in CTranslate2's words."""

from typing import Literal, get_args

Quantization = Literal["int8", "int8_float16", "int8_bfloat16", "int16", "float16", "bfloat16", "float32"]
QUANTIZATIONS: tuple[Quantization, ...] = get_args(Quantization)
DEFAULT: Quantization = "int8"


def weight_bytes(quantization: Quantization) -> int:
    """Return the bytes of one weight of a matrix."""
    if quantization.startswith("int8"):
        return 1
    return 4 if quantization == "float32" else 2
