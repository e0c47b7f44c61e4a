"""Models of a published shape with random weights, for measuring: their speed does not depend on it."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2.specs import common_spec, transformer_spec
from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined] # made by protobuf at import

from handler.languages import FLORES_200
from handler.settings import DEMO_MODELS

TOKENIZER = "sentencepiece.bpe.model"
ROWS = 256_206
"""Of facebook/nllb-200-distilled-600M, whose config.json has the other numbers too."""
_WIDTH, _FFN, _LAYERS, _HEADS, _POSITIONS = 1024, 4096, 12, 16, 1024
_NORMAL = 1
"""``ModelProto.SentencePiece.Type`` of an ordinary piece."""


def write_nllb_600m(folder: Path) -> None:
    """Write NLLB-200-distilled-600M's shape in int8, with a tokenizer that fits: the demo model's, filled up."""
    folder.mkdir(parents=True)
    pieces = _write_tokenizer(folder / TOKENIZER, ROWS - 1 - len(FLORES_200) - 3)
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *pieces[3:], *FLORES_200, "<mask>", "madeupword0", "madeupword1"]
    spec = _nllb_spec(len(tokens))
    spec.register_source_vocabulary(tokens)
    spec.register_target_vocabulary(tokens)
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(folder))


def _write_tokenizer(path: Path, size: int) -> list[str]:
    model = ModelProto()
    model.ParseFromString((DEMO_MODELS / "nllb-demo" / TOKENIZER).read_bytes())
    lowest = min(piece.score for piece in model.pieces)
    for number in range(size - len(model.pieces)):
        model.pieces.add(piece=f"▁t{number}", score=lowest - 1 - number, type=_NORMAL)
    path.write_bytes(model.SerializeToString())
    return [piece.piece for piece in model.pieces]


def _nllb_spec(rows: int) -> Any:
    random = np.random.default_rng(0)

    def draw(*shape: int) -> Any:
        return random.standard_normal(shape, dtype=np.float32) * np.float32(0.02)

    def fill(linear: Any, outputs: int, inputs: int) -> None:
        linear.weight, linear.bias = draw(outputs, inputs), draw(outputs)

    def norm(layer: Any) -> None:
        layer.gamma, layer.beta = 1 + draw(_WIDTH), draw(_WIDTH)

    spec = transformer_spec.TransformerSpec.from_config(
        (_LAYERS, _LAYERS), _HEADS, pre_norm=True, activation=common_spec.Activation.RELU
    )
    embeddings, positions = draw(rows, _WIDTH), _sinusoids()
    for side in (spec.encoder, spec.decoder):
        table = side.embeddings[0] if isinstance(side.embeddings, list) else side.embeddings
        table.weight = embeddings
        side.scale_embeddings = math.sqrt(_WIDTH)
        side.position_encodings.encodings = positions
        norm(side.layer_norm)
        for layer in side.layer:
            fill(layer.self_attention.linear[0], 3 * _WIDTH, _WIDTH)
            fill(layer.self_attention.linear[1], _WIDTH, _WIDTH)
            norm(layer.self_attention.layer_norm)
            if side is spec.decoder:
                fill(layer.attention.linear[0], _WIDTH, _WIDTH)
                fill(layer.attention.linear[1], 2 * _WIDTH, _WIDTH)
                fill(layer.attention.linear[2], _WIDTH, _WIDTH)
                norm(layer.attention.layer_norm)
            fill(layer.ffn.linear_0, _FFN, _WIDTH)
            fill(layer.ffn.linear_1, _WIDTH, _FFN)
            norm(layer.ffn.layer_norm)
    spec.decoder.projection.weight = embeddings
    spec.config.bos_token, spec.config.eos_token, spec.config.unk_token = "<s>", "</s>", "<unk>"
    spec.config.decoder_start_token = "</s>"  # noqa: S105 - no secret
    return spec


def _sinusoids() -> Any:
    """Return the encodings of M2M100's positions: sines, then cosines, of wavelengths up to 10,000."""
    half = _WIDTH // 2
    frequencies = np.exp(np.arange(half) * -(math.log(10_000) / (half - 1)))
    angles = np.arange(2, _POSITIONS + 2)[:, None] * frequencies
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)
