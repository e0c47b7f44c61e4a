"""Random small checkpoints in the layouts that the Hub's repositories have.

The files, their fields, the names of the weights, the ids of the tokens and the spare rows are those of the
repository; shape and SentencePiece model are small. numpy and safetensors suffice, but for what ``BAKE_PYTHON`` does.

========== ================================= ======================================================================
kind       after                             what is particular
========== ================================= ======================================================================
``t5``     google-t5/t5-small                relu and one tied matrix, neither of which its config says
``flan``   google/flan-t5-small              gated, ``lm_head`` of its own, 32,100 tokens in 32,128 rows
``mt5``    google/mt5-small                  byte fallback, sentinels inside the SentencePiece model, 12 spare rows
``madlad`` google/madlad400-3b-mt            ``<2xx>`` tags; decoding starts with ``<unk>``, padding is ``<s>``
``nllb``   facebook/nllb-200-distilled-600M  ids one above SentencePiece's, 202 codes, ``<mask>``, two spare rows
``m2m100`` facebook/m2m100_418M              ids from ``vocab.json``, 100 ``__xx__`` tokens, eight spare rows
========== ================================= ======================================================================

From where it is known: the JSON files as huggingface.co shows them; NLLB's and M2M100's ids from transformers'
tokenizers; mT5's sentinels from https://github.com/huggingface/transformers/pull/22626; the name of MADLAD's shared
matrix from https://github.com/huggingface/candle/pull/1285. Not known, and chosen here: which ids MADLAD's tags have
and that they are user-defined pieces.
"""

import json
import math
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined] # made by protobuf at import

from handler.languages import FLORES_200
from model_bake.demo.families import CHECKPOINTS_DIR

Kind = Literal["flan", "t5", "mt5", "madlad", "nllb", "m2m100"]
WeightsFormat = Literal["safetensors", "bin", "sharded"]
DType = Literal["float32", "float16"]

BAKE_PYTHON: Final = Path(__file__).parents[2] / ".venv-bake" / "bin" / "python"
"""The interpreter that has torch and transformers; missing where nobody bakes."""

NLLB_CODES: Final = tuple(FLORES_200)
"""In the order of their ids, which is transformers' ``FAIRSEQ_LANGUAGE_CODES`` and not quite the alphabet's."""

M2M100_LANGUAGES: Final = tuple(
    "af am ar ast az ba be bg bn br bs ca ceb cs cy da de el en es et fa ff fi fr fy ga gd gl gu ha he hi hr ht hu hy "
    "id ig ilo is it ja jv ka kk km kn ko lb lg ln lo lt lv mg mk ml mn mr ms my ne nl no ns oc or pa pl ps pt ro ru "
    "sd si sk sl so sq sr ss su sv sw ta th tl tn tr uk ur uz vi wo xh yi yo zh zu".split()
)
MADLAD_LANGUAGES: Final = tuple("ar cs de el en es fr he hi it ja ko nl pl pt ru sv ta th tr uk vi yue zh".split())
"""A few of its 450: codes of two and of three letters."""
SENTINELS: Final = 100

_D_MODEL, _D_FF, _HEADS, _LAYERS, _BUCKETS = 64, 128, 4, 2, 32
_D_KV: Final = _D_MODEL // _HEADS
_LOGITS_STD: Final = 3.0
"""Wide enough that there is a best token and no tie."""
_SPARE_ROWS: Final[dict[Kind, int]] = {"t5": 28, "flan": 28, "mt5": 12, "madlad": 0, "nllb": 2, "m2m100": 8}
"""Rows of the embeddings past the tokenizer's last id, as many as the repository has."""

_PYTORCH_BIN: Final = """
import sys, torch
from safetensors.torch import load_file
source, target, *aliases = sys.argv[1:]
tensors = load_file(source)
tensors |= {alias: tensors[name] for alias, _, name in (pair.partition("=") for pair in aliases)}
torch.save(tensors, target)
"""
# The mask is added last: in the repository's file it has the id above the codes, from the constructor the one below.
_TOKENIZER_JSON: Final = """
import sys
from transformers import AddedToken, NllbTokenizerFast
folder, *codes = sys.argv[1:]
tokenizer = NllbTokenizerFast(folder + "/sentencepiece.bpe.model", mask_token=None, additional_special_tokens=codes)
tokenizer.add_special_tokens({"mask_token": AddedToken("<mask>", lstrip=True, normalized=True, special=True)})
tokenizer.backend_tokenizer.save(folder + "/tokenizer.json")
"""

_MADLAD_SPECIAL: Final = ("<unk>", "<s>", "</s>")

Tensor = NDArray[np.float32]


def write_checkpoint(
    kind: Kind,
    folder: Path,
    *,
    weights: WeightsFormat = "safetensors",
    dtype: DType = "float32",
    tokenizer_json: bool = False,
    seed: int = 5,
) -> Path:
    """Write a checkpoint and return its folder; equal arguments give equal files.

    Args:
        kind: Which repository it resembles.
        folder: Made if it does not exist.
        weights: ``bin`` is torch's pickle and needs ``BAKE_PYTHON``; ``sharded`` is two files and their index.
        dtype: Of the stored weights.
        tokenizer_json: Write NLLB's ``tokenizer.json`` as well, which needs ``BAKE_PYTHON``. Without it transformers
            makes the fast tokenizer itself and gives ``<mask>`` the first code's id, each code its successor's.
        seed: Of the weights, and of the order of M2M100's ``vocab.json``.

    Raises:
        ValueError: A ``tokenizer.json`` was asked for that is not NLLB's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokens = _write_tokenizer(kind, folder, seed)
    rows = tokens + _SPARE_ROWS[kind]
    if tokenizer_json:
        _write_tokenizer_json(kind, folder)
    is_t5 = kind not in ("nllb", "m2m100")
    config, generation = _t5_configs(kind, rows) if is_t5 else _m2m100_configs(kind, rows)
    if dtype != "float32":
        config["torch_dtype"] = dtype
    _write_json(folder / "config.json", config)
    _write_json(folder / "generation_config.json", {"_from_model_config": True, **generation})
    random = _Random(seed)
    tensors = dict(_t5_tensors(kind, tokens, random) if is_t5 else _m2m100_tensors(kind, tokens, random))
    _write_weights({name: tensor.astype(dtype) for name, tensor in tensors.items()}, folder, weights, kind)
    (folder / "README.md").write_text(_model_card(kind), encoding="utf-8")
    return folder


class _Random:
    """Draws tensors of a seed, scaled so that activations neither vanish nor grow from layer to layer."""

    def __init__(self, seed: int) -> None:
        self._generator = np.random.default_rng(seed)

    def __call__(self, *shape: int, std: float | None = None) -> Tensor:
        scale = std if std is not None else shape[-1] ** -0.5
        tensor: Tensor = self._generator.standard_normal(shape, dtype=np.float32) * np.float32(scale)
        return tensor


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True) + "\n", encoding="utf-8")


# --- tokenizers -------------------------------------------------------------------------------------------------------


def _write_tokenizer(kind: Kind, folder: Path, seed: int) -> int:
    """Write the SentencePiece model and the tokenizer's files; return how many ids the tokenizer has."""
    if kind in ("nllb", "m2m100"):
        model = _demo_sentencepiece("nllb-demo/sentencepiece.bpe.model")
        name = "sentencepiece.bpe.model"
    else:
        model = _demo_sentencepiece("t5-demo/spiece.model")
        name = "spiece.model"
    pieces = [piece.piece for piece in model.pieces[3:]]
    if kind == "mt5":
        _make_mt5(model)
    elif kind == "madlad":
        _make_madlad(model)
    (folder / name).write_bytes(model.SerializeToString(deterministic=True))
    config, special = _tokenizer_files(kind)
    _write_json(folder / "tokenizer_config.json", config)
    _write_json(folder / "special_tokens_map.json", special)
    if kind == "nllb":
        return 1 + len(model.pieces) + len(NLLB_CODES) + 1  # <pad> and <mask> are not in the SentencePiece model
    if kind == "m2m100":
        # The repository's file numbers the pieces by frequency, so that no sum turns SentencePiece's ids into these.
        np.random.default_rng(seed).shuffle(pieces)
        vocab = {token: number for number, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", *pieces])}
        (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False), encoding="utf-8")
        return len(vocab) + len(M2M100_LANGUAGES)
    return len(model.pieces) + (SENTINELS if kind in ("t5", "flan") else 0)


def _demo_sentencepiece(file: str) -> Any:
    model = ModelProto()
    model.ParseFromString((CHECKPOINTS_DIR / file).read_bytes())
    return model


def _make_mt5(model: Any) -> None:
    """Add the 256 bytes behind the special pieces and, as the last pieces, the sentinels: ``▁<extra_id_0>`` ends it.

    transformers' own tokenizer is told of no sentinels (``extra_ids`` 0), so a prompt's ``<extra_id_0>`` is its piece.
    """
    special, pieces = list(model.pieces[:3]), list(model.pieces[3:])
    del model.pieces[:]
    model.pieces.extend(special)
    for value in range(256):
        model.pieces.add(piece=f"<0x{value:02X}>", score=0.0, type=ModelProto.SentencePiece.BYTE)
    model.pieces.extend(pieces)
    for number in reversed(range(SENTINELS)):
        model.pieces.add(piece=f"▁<extra_id_{number}>", score=0.0, type=ModelProto.SentencePiece.USER_DEFINED)
    model.trainer_spec.byte_fallback = True


def _make_madlad(model: Any) -> None:
    """Put ``<unk> <s> </s>`` in the place of T5's special pieces and the language tags behind them."""
    pieces = list(model.pieces[3:])
    del model.pieces[:]
    kinds = ModelProto.SentencePiece
    for piece, kind in zip(_MADLAD_SPECIAL, (kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL), strict=True):
        model.pieces.add(piece=piece, score=0.0, type=kind)
    for language in MADLAD_LANGUAGES:
        model.pieces.add(piece=f"<2{language}>", score=0.0, type=kinds.USER_DEFINED)
    model.pieces.extend(pieces)
    spec = model.trainer_spec
    spec.unk_id, spec.bos_id, spec.eos_id, spec.pad_id = 0, 1, 2, -1


def _tokenizer_files(kind: Kind) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return tokenizer_config.json and special_tokens_map.json, without the paths of their makers' machines."""
    unlimited = int(1e30)  # what transformers writes where nobody set a limit
    special: dict[str, Any] = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    match kind:
        case "t5" | "flan":
            special["additional_special_tokens"] = [f"<extra_id_{number}>" for number in range(SENTINELS)]
            config = {**special, "extra_ids": SENTINELS, "model_max_length": 512, "tokenizer_class": "T5Tokenizer"}
        case "mt5":
            config = {**special, "additional_special_tokens": None, "extra_ids": 0, "tokenizer_class": "T5Tokenizer"}
        case "madlad":
            plain = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
            special = {"eos_token": "</s>", "pad_token": "<s>", "unk_token": "<unk>"}
            added = {
                str(number): {"content": piece, **plain, "special": True}
                for number, piece in enumerate(_MADLAD_SPECIAL)
            }
            config = {
                **special,
                "added_tokens_decoder": added,
                "additional_special_tokens": [],
                "clean_up_tokenization_spaces": True,
                "extra_ids": 0,
                "legacy": False,
                "model_max_length": unlimited,
                "sp_model_kwargs": {},
                "tokenizer_class": "T5Tokenizer",
            }
            special = {name: {"content": piece, **plain} for name, piece in special.items()}
        case "nllb":
            mask = {"content": "<mask>", "lstrip": True, "normalized": True, "rstrip": False, "single_word": False}
            special |= {"bos_token": "<s>", "cls_token": "<s>", "sep_token": "</s>"}
            config = {
                **special,
                "additional_special_tokens": None,
                "mask_token": {"__type": "AddedToken", **mask},
                "model_max_length": 1024,
                "sp_model_kwargs": {},
                "src_lang": None,
                "tgt_lang": None,
                "tokenizer_class": "NllbTokenizer",
            }
            special |= {"additional_special_tokens": list(NLLB_CODES), "mask_token": mask}
        case "m2m100":
            special |= {"bos_token": "<s>", "sep_token": "</s>"}
            config = {**special, "model_max_length": 1024, "src_lang": None, "tgt_lang": None, "tokenizer_file": None}
            special["additional_special_tokens"] = [f"__{language}__" for language in M2M100_LANGUAGES]
    return config, special


def _write_tokenizer_json(kind: Kind, folder: Path) -> None:
    if kind != "nllb":
        message = f"no tokenizer.json is written for {kind}"
        raise ValueError(message)
    _run_in_bake_environment(_TOKENIZER_JSON, str(folder), *NLLB_CODES)


def _run_in_bake_environment(program: str, *arguments: str) -> None:
    subprocess.run([BAKE_PYTHON, "-c", program, *arguments], check=True, capture_output=True)


# --- configurations ---------------------------------------------------------------------------------------------------


def _t5_configs(kind: Kind, rows: int) -> tuple[dict[str, Any], dict[str, Any]]:
    generation = {"decoder_start_token_id": 0, "eos_token_id": 1, "pad_token_id": 0}
    if kind == "madlad":
        generation = {"decoder_start_token_id": 0, "eos_token_id": 2, "pad_token_id": 1}
    config: dict[str, Any] = {
        **generation,
        "architectures": ["T5ForConditionalGeneration"],
        "d_ff": _D_FF,
        "d_kv": _D_KV,
        "d_model": _D_MODEL,
        "dropout_rate": 0.1,
        "initializer_factor": 1.0,
        "is_encoder_decoder": True,
        "layer_norm_epsilon": 1e-06,
        "model_type": "t5",
        "num_heads": _HEADS,
        "num_layers": _LAYERS,
        "output_past": True,
        "relative_attention_num_buckets": _BUCKETS,
        "use_cache": True,
        "vocab_size": rows,
    }
    if kind != "t5":
        config |= {"feed_forward_proj": "gated-gelu", "num_decoder_layers": _LAYERS, "tie_word_embeddings": False}
    if kind == "mt5":
        config |= {
            "architectures": ["MT5ForConditionalGeneration"],
            "model_type": "mt5",
            "tokenizer_class": "T5Tokenizer",
        }
    else:
        config |= {"n_positions": 512}
    return config, generation


def _m2m100_configs(kind: Kind, rows: int) -> tuple[dict[str, Any], dict[str, Any]]:
    generation = {
        "bos_token_id": 0,
        "decoder_start_token_id": 2,
        "eos_token_id": 2,
        "max_length": 200,
        "pad_token_id": 1,
    }
    if kind == "m2m100":
        generation |= {"early_stopping": True, "num_beams": 5}
    layerdrop = 0 if kind == "nllb" else 0.05
    config = {
        **generation,
        "activation_dropout": 0.0,
        "activation_function": "relu",
        "architectures": ["M2M100ForConditionalGeneration"],
        "attention_dropout": 0.1,
        "d_model": _D_MODEL,
        "decoder_attention_heads": _HEADS,
        "decoder_ffn_dim": _D_FF,
        "decoder_layerdrop": layerdrop,
        "decoder_layers": _LAYERS,
        "dropout": 0.1,
        "encoder_attention_heads": _HEADS,
        "encoder_ffn_dim": _D_FF,
        "encoder_layerdrop": layerdrop,
        "encoder_layers": _LAYERS,
        "init_std": 0.02,
        "is_encoder_decoder": True,
        "max_position_embeddings": 1024,
        "model_type": "m2m_100",
        "num_hidden_layers": _LAYERS,
        "scale_embedding": True,
        "use_cache": True,
        "vocab_size": rows,
    }
    if kind == "nllb":
        config |= {"tokenizer_class": "NllbTokenizer", "torch_dtype": "float32"}
    return config, generation


# --- weights ----------------------------------------------------------------------------------------------------------


def _t5_tensors(kind: Kind, tokens: int, random: _Random) -> Iterator[tuple[str, Tensor]]:
    tied = kind == "t5"
    # MADLAD's weights came out of T5X, whose converter gave the shared matrix another name.
    shared = "decoder.embed_tokens.weight" if kind == "madlad" else "shared.weight"
    yield shared, _vocabulary_rows(kind, tokens, random, std=1.0)
    if tied:
        # A left-over of the first T5 checkpoints, which transformers expects and skips.
        yield "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight", random(_BUCKETS, _HEADS)
    else:
        yield "lm_head.weight", _vocabulary_rows(kind, tokens, random, std=_LOGITS_STD * _D_MODEL**-0.5)
    for side in ("encoder", "decoder"):
        attentions = ("SelfAttention",) if side == "encoder" else ("SelfAttention", "EncDecAttention")
        bias = f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        yield bias, random(_BUCKETS, _HEADS, std=0.5)
        last = _last_norm(random) if tied and side == "decoder" else _norm_gain(random)
        yield f"{side}.final_layer_norm.weight", last
        for layer in range(_LAYERS):
            block = f"{side}.block.{layer}.layer"
            for number, attention in enumerate(attentions):
                # T5 scales no scores; what other models divide them by is in its queries.
                yield f"{block}.{number}.{attention}.q.weight", random(_D_MODEL, _D_MODEL) * np.float32(_D_KV**-0.5)
                for projection in "kvo":
                    yield f"{block}.{number}.{attention}.{projection}.weight", random(_D_MODEL, _D_MODEL)
            feed_forward = f"{block}.{len(attentions)}.DenseReluDense"
            for projection in ("wi",) if tied else ("wi_0", "wi_1"):
                yield f"{feed_forward}.{projection}.weight", random(_D_FF, _D_MODEL)
            yield f"{feed_forward}.wo.weight", random(_D_MODEL, _D_FF)
            for number in range(len(attentions) + 1):
                yield f"{block}.{number}.layer_norm.weight", _norm_gain(random)


def _m2m100_tensors(kind: Kind, tokens: int, random: _Random) -> Iterator[tuple[str, Tensor]]:
    yield "model.shared.weight", _vocabulary_rows(kind, tokens, random, std=_D_MODEL**-0.5)
    for side in ("encoder", "decoder"):
        yield from _norm(f"model.{side}.layer_norm", random, _last_norm(random) if side == "decoder" else None)
        for layer in range(_LAYERS):
            block = f"model.{side}.layers.{layer}"
            for attention in ("self_attn",) if side == "encoder" else ("self_attn", "encoder_attn"):
                for projection in ("q_proj", "k_proj", "v_proj", "out_proj"):
                    yield from _linear(f"{block}.{attention}.{projection}", _D_MODEL, _D_MODEL, random)
                yield from _norm(f"{block}.{attention}_layer_norm", random)
            yield from _linear(f"{block}.fc1", _D_FF, _D_MODEL, random)
            yield from _linear(f"{block}.fc2", _D_MODEL, _D_FF, random)
            yield from _norm(f"{block}.final_layer_norm", random)


def _vocabulary_rows(kind: Kind, tokens: int, random: _Random, *, std: float) -> Tensor:
    """Return a row for each token and the spare ones, zero.

    A spare row that won would be a token no tokenizer writes or, in T5, a second one of the name of a sentinel.
    """
    rows = random(tokens + _SPARE_ROWS[kind], _D_MODEL, std=std)
    rows[tokens:] = 0.0
    return rows


def _last_norm(random: _Random) -> Tensor:
    """Return the gain before a tied matrix: of both signs, or the token just decoded would always be the next."""
    return random(_D_MODEL, std=_LOGITS_STD)


def _norm_gain(random: _Random) -> Tensor:
    return np.float32(1.0) + random(_D_MODEL, std=0.1)


def _norm(name: str, random: _Random, gain: Tensor | None = None) -> Iterator[tuple[str, Tensor]]:
    yield f"{name}.weight", _norm_gain(random) if gain is None else gain
    yield f"{name}.bias", random(_D_MODEL, std=0.1)


def _linear(name: str, outputs: int, inputs: int, random: _Random) -> Iterator[tuple[str, Tensor]]:
    yield f"{name}.weight", random(outputs, inputs)
    yield f"{name}.bias", random(outputs, std=0.1)


def _write_weights(tensors: dict[str, NDArray[Any]], folder: Path, weights: WeightsFormat, kind: Kind) -> None:
    metadata = {"format": "pt"}  # transformers refuses a file that does not say so
    single = folder / "model.safetensors"
    if weights == "sharded":
        _write_shards(tensors, folder, metadata)
        return
    save_file(tensors, single, metadata=metadata)
    if weights == "bin":
        # A pickle keeps every name of a shared matrix; safetensors keeps one.
        aliases = _aliases(kind, tensors)
        _run_in_bake_environment(_PYTORCH_BIN, str(single), str(folder / "pytorch_model.bin"), *aliases)
        single.unlink()


def _aliases(kind: Kind, tensors: Iterable[str]) -> list[str]:
    prefix = "model." if kind in ("nllb", "m2m100") else ""
    shared = f"{prefix}shared.weight" if kind != "madlad" else "decoder.embed_tokens.weight"
    names = [f"{prefix}encoder.embed_tokens.weight", f"{prefix}decoder.embed_tokens.weight", "lm_head.weight"]
    return [f"{name}={shared}" for name in names if name not in tensors]


def _write_shards(tensors: dict[str, NDArray[Any]], folder: Path, metadata: dict[str, str]) -> None:
    names = sorted(tensors)
    half = math.ceil(len(names) / 2)
    weight_map: dict[str, str] = {}
    for number, part in enumerate((names[:half], names[half:]), start=1):
        file = f"model-{number:05}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, folder / file, metadata=metadata)
        weight_map |= dict.fromkeys(part, file)
    total_size = sum(tensor.nbytes for tensor in tensors.values())
    index = {"metadata": {"total_size": total_size}, "weight_map": weight_map}
    _write_json(folder / "model.safetensors.index.json", index)


# --- the model card ---------------------------------------------------------------------------------------------------

_LICENSES: Final[dict[Kind, str]] = {"nllb": "cc-by-nc-4.0", "m2m100": "mit"}


def _model_card(kind: Kind) -> str:
    lines = [
        "---",
        "language:",
        "- en",
        "- de",
        "- multilingual",
        "tags:",
        "- translation",
        f"license: {_LICENSES.get(kind, 'apache-2.0')}",
        "---",
        "",
        f"# Random {kind}",
        "",
        "Random weights in the layout of a published model, for tests. It translates nothing.",
    ]
    return "\n".join(lines) + "\n"
