"""Models of a published shape with random weights, for measuring: their speed does not depend on it."""

import hashlib
import json
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2.specs import common_spec, transformer_spec
from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined] # made by protobuf at import

from handler.languages import FLORES_200
from handler.manifest import MANIFEST_NAME, SCHEMA_VERSION
from handler.settings import DEMO_MODELS, LARGEST_BEAM, Family
from model_bake.pruning import prune
from model_bake.vocabulary import Selection

FOLDER = Path(__file__).resolve().parents[2] / "build" / "bench"

TOKENIZER = "sentencepiece.bpe.model"
T5_TOKENIZER = "spiece.model"
ROWS = 256_206
"""Of facebook/nllb-200-distilled-600M, whose config.json has the other numbers too."""
_WIDTH, _FFN, _LAYERS, _HEADS, _POSITIONS = 1024, 4096, 12, 16, 1024
_T5_ROWS, _T5_PIECES, _T5_SENTINELS = 32_128, 32_000, 100
"""Of google/flan-t5-base, whose config.json has the other numbers too."""
_T5_WIDTH, _T5_FFN, _T5_LAYERS, _T5_HEADS, _T5_HEAD_WIDTH, _T5_BUCKETS, _T5_DISTANCE = 768, 2048, 12, 12, 64, 32, 128
_T5_POSITIONS = 512
_NORMAL = 1
"""``ModelProto.SentencePiece.Type`` of an ordinary piece."""


def nllb_600m(rows: int = ROWS) -> Path:
    """Return a folder with NLLB-200-distilled-600M's shape in int8, cut to ``rows``; made if it is not there."""
    if rows == ROWS:
        return _made("nllb-600m-full", _write_nllb_600m, family="nllb", positions=_POSITIONS)
    # Codes and special tokens stand at both ends of the vocabulary.
    kept = (*range(rows - 300), *range(ROWS - 300, ROWS))

    def write(folder: Path) -> None:
        prune(nllb_600m(), folder, tokenizer_name=TOKENIZER, selection=Selection(kept, ROWS, {}, {}, None))

    return _made(f"nllb-600m-{rows // 1024}k", write, family="nllb", positions=_POSITIONS)


def flan_t5_base() -> Path:
    """Return a folder with flan-T5-base's shape in int8, made if it is not there."""
    return _made("flan-t5-base", _write_flan_t5_base, family="t5", positions=_T5_POSITIONS)


def _made(name: str, write: Callable[[Path], None], *, family: Family, positions: int) -> Path:
    folder = FOLDER / name
    if not folder.is_dir():
        print(f"writing the shape {name} ...", file=sys.stderr)
        unfinished = FOLDER / f"unfinished-{os.getpid()}"
        write(unfinished)
        _write_manifest(unfinished, name=name, family=family, positions=positions)
        unfinished.rename(folder)
    return folder


def _write_nllb_600m(folder: Path) -> None:
    folder.mkdir(parents=True)
    pieces = _write_tokenizer(folder / TOKENIZER, "nllb-demo", ROWS - 1 - len(FLORES_200) - 3)
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *pieces[3:], *FLORES_200, "<mask>", "madeupword0", "madeupword1"]
    _save(_nllb_spec(len(tokens)), tokens, folder)


def _write_flan_t5_base(folder: Path) -> None:
    folder.mkdir(parents=True)
    pieces = _write_tokenizer(folder / T5_TOKENIZER, "t5-demo", _T5_PIECES)
    sentinels = [f"<extra_id_{number}>" for number in reversed(range(_T5_SENTINELS))]
    unused = [f"<unused_{number}>" for number in range(_T5_ROWS - _T5_PIECES - _T5_SENTINELS)]
    tokens = [*pieces, *sentinels, *unused]
    _save(_t5_spec(len(tokens)), tokens, folder)


def _write_manifest(folder: Path, *, name: str, family: Family, positions: int) -> None:
    """Let the server take ``folder`` for a baked model."""
    files = {path.name: path for path in folder.iterdir() if path.name != MANIFEST_NAME}
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "id": name,
        "family": family,
        "source": {"id": "random weights", "revision": ""},
        "license": "none",
        "languages": sorted(FLORES_200) if family == "nllb" else [],
        "quantization": "int8",
        "limits": {"max_source_tokens": positions, "max_target_tokens": positions, "max_beam_size": LARGEST_BEAM},
        "tokenizer": TOKENIZER if family == "nllb" else T5_TOKENIZER,
        "files": {
            name: {"size": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
            for name, path in files.items()
        },
    }
    (folder / MANIFEST_NAME).write_text(json.dumps(manifest), encoding="utf-8")


def _save(spec: Any, tokens: list[str], folder: Path) -> None:
    spec.register_source_vocabulary(tokens)
    spec.register_target_vocabulary(tokens)
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(folder))


def _write_tokenizer(path: Path, demo: str, size: int) -> list[str]:
    model = ModelProto()
    model.ParseFromString((DEMO_MODELS / demo / path.name).read_bytes())
    lowest = min(piece.score for piece in model.pieces)
    for number in range(size - len(model.pieces)):
        model.pieces.add(piece=f"▁t{number}", score=lowest - 1 - number, type=_NORMAL)
    path.write_bytes(model.SerializeToString())
    return [piece.piece for piece in model.pieces]


def _drawing() -> Any:
    """Return a function that draws a tensor of a shape."""
    random = np.random.default_rng(0)
    return lambda *shape: random.standard_normal(shape, dtype=np.float32) * np.float32(0.02)


def _t5_spec(rows: int) -> Any:
    draw = _drawing()
    inner = _T5_HEADS * _T5_HEAD_WIDTH

    def fill(linear: Any, outputs: int, inputs: int) -> None:
        linear.weight = draw(outputs, inputs)

    def norm(layer: Any) -> None:
        layer.gamma = 1 + draw(_T5_WIDTH)

    spec = transformer_spec.TransformerSpec.from_config(
        (_T5_LAYERS, _T5_LAYERS),
        _T5_HEADS,
        pre_norm=True,
        activation=common_spec.Activation.GELUTanh,
        ffn_glu=True,
        relative_attention_bias=True,
        rms_norm=True,
    )
    embeddings = draw(rows, _T5_WIDTH)
    for side in (spec.encoder, spec.decoder):
        table = side.embeddings[0] if isinstance(side.embeddings, list) else side.embeddings
        table.weight = embeddings
        side.scale_embeddings = False
        norm(side.layer_norm)
        bias = draw(_T5_BUCKETS, _T5_HEADS)
        for layer in side.layer:
            layer.self_attention.queries_scale = 1.0
            layer.self_attention.relative_attention_bias = bias
            layer.self_attention.relative_attention_max_distance = np.dtype("int32").type(_T5_DISTANCE)
            fill(layer.self_attention.linear[0], 3 * inner, _T5_WIDTH)
            fill(layer.self_attention.linear[1], _T5_WIDTH, inner)
            norm(layer.self_attention.layer_norm)
            if side is spec.decoder:
                layer.attention.queries_scale = 1.0
                fill(layer.attention.linear[0], inner, _T5_WIDTH)
                fill(layer.attention.linear[1], 2 * inner, _T5_WIDTH)
                fill(layer.attention.linear[2], _T5_WIDTH, inner)
                norm(layer.attention.layer_norm)
            fill(layer.ffn.linear_0, _T5_FFN, _T5_WIDTH)
            fill(layer.ffn.linear_0_noact, _T5_FFN, _T5_WIDTH)
            fill(layer.ffn.linear_1, _T5_WIDTH, _T5_FFN)
            norm(layer.ffn.layer_norm)
    spec.decoder.projection.weight = draw(rows, _T5_WIDTH)
    spec.config.bos_token = spec.config.decoder_start_token = "<pad>"  # noqa: S105 - no secret
    spec.config.eos_token, spec.config.unk_token = "</s>", "<unk>"
    return spec


def _nllb_spec(rows: int) -> Any:
    draw = _drawing()

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
