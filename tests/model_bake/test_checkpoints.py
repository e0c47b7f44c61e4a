"""The random checkpoints: complete, consistent in themselves, the same every time."""

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from checkpoints import (
    BAKE_PYTHON,
    M2M100_LANGUAGES,
    MADLAD_LANGUAGES,
    NLLB_CODES,
    SENTINELS,
    DType,
    Kind,
    WeightsFormat,
    write_checkpoint,
)
from safetensors.numpy import load_file
from sentencepiece import SentencePieceProcessor

KINDS: tuple[Kind, ...] = get_args(Kind)
NLLB_FAMILY: tuple[Kind, ...] = ("nllb", "m2m100")
T5_FAMILY: tuple[Kind, ...] = ("t5", "flan", "mt5", "madlad")
SHARDS = {
    "model.safetensors.index.json",
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
}
needs_bake_environment = pytest.mark.skipif(not BAKE_PYTHON.exists(), reason="needs torch and transformers")


def read_json(path: Path) -> Any:
    """Return what a JSON file holds."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_all(folder: Path) -> dict[str, bytes]:
    """Return every file's content by its name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def load_tokenizer(folder: Path) -> SentencePieceProcessor:
    """Return the folder's SentencePiece model."""
    [path] = folder.glob("*.model")
    return SentencePieceProcessor(model_file=str(path))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("weights", "files"),
    [("safetensors", {"model.safetensors"}), ("sharded", SHARDS)],
    ids=["safetensors", "sharded"],
)
def test_folder_holds_what_the_repository_does(
    kind: Kind, weights: WeightsFormat, files: set[str], tmp_path: Path
) -> None:
    """Weights, configurations, tokenizer and model card, and nothing besides."""
    folder = write_checkpoint(kind, tmp_path / "made" / kind, weights=weights)

    tokenizer = {"spiece.model"} if kind in T5_FAMILY else {"sentencepiece.bpe.model"}
    if kind == "m2m100":
        tokenizer |= {"vocab.json"}
    assert {path.name for path in folder.iterdir()} == files | tokenizer | {
        "README.md",
        "config.json",
        "generation_config.json",
        "special_tokens_map.json",
        "tokenizer_config.json",
    }


@pytest.mark.parametrize("dtype", get_args(DType))
@pytest.mark.parametrize("kind", KINDS)
def test_weights_fit_the_configuration(kind: Kind, dtype: DType, tmp_path: Path) -> None:
    """One row for each id, of the width and type that config.json says."""
    folder = write_checkpoint(kind, tmp_path, dtype=dtype)

    config = read_json(folder / "config.json")
    tensors = load_file(folder / "model.safetensors")
    rows = {name: tensor for name, tensor in tensors.items() if tensor.shape[0] == config["vocab_size"]}
    assert all(tensor.shape == (config["vocab_size"], config["d_model"]) for tensor in rows.values())
    assert len(rows) == (1 if config.get("tie_word_embeddings", True) else 2)
    assert {tensor.dtype for tensor in tensors.values()} == {np.dtype(dtype)}
    assert config.get("torch_dtype", "float32") == dtype
    assert all(np.isfinite(tensor).all() for tensor in tensors.values())


@pytest.mark.parametrize(
    ("kind", "spare"), [("t5", 28), ("flan", 28), ("mt5", 12), ("madlad", 0), ("nllb", 2), ("m2m100", 8)]
)
def test_rows_past_the_tokenizer_are_zero(kind: Kind, spare: int, tmp_path: Path) -> None:
    """They cannot be the best token, which no tokenizer could write."""
    folder = write_checkpoint(kind, tmp_path)

    size = read_json(folder / "config.json")["vocab_size"]
    for tensor in load_file(folder / "model.safetensors").values():
        if tensor.shape[0] == size:
            assert not tensor[size - spare :].any()
            assert tensor[: size - spare].any(axis=1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_shards_hold_the_same_weights(kind: Kind, tmp_path: Path) -> None:
    """The index names every tensor once, in the file that has it."""
    whole = load_file(write_checkpoint(kind, tmp_path / "whole") / "model.safetensors")
    folder = write_checkpoint(kind, tmp_path / "sharded", weights="sharded")

    index = read_json(folder / "model.safetensors.index.json")
    shards = {file: load_file(folder / file) for file in sorted(set(index["weight_map"].values()))}
    assert len(shards) == 2
    assert {name: file for file, shard in shards.items() for name in shard} == index["weight_map"]
    assert index["metadata"]["total_size"] == sum(tensor.nbytes for tensor in whole.values())
    for name, file in index["weight_map"].items():
        np.testing.assert_array_equal(shards[file][name], whole[name])


@pytest.mark.parametrize("kind", KINDS)
def test_equal_arguments_give_equal_files(kind: Kind, tmp_path: Path) -> None:
    """Another seed changes the weights and, of M2M100, the order of its dictionary."""
    first, second = (read_all(write_checkpoint(kind, tmp_path / name)) for name in ("first", "second"))
    other = read_all(write_checkpoint(kind, tmp_path / "other", seed=6))

    assert first == second
    changed = {"model.safetensors"} | ({"vocab.json"} if kind == "m2m100" else set())
    assert {name for name in first if first[name] != other[name]} == changed


@pytest.mark.parametrize(
    ("kind", "architecture", "start", "pad"),
    [
        ("t5", "T5ForConditionalGeneration", "<pad>", "<pad>"),
        ("flan", "T5ForConditionalGeneration", "<pad>", "<pad>"),
        ("mt5", "MT5ForConditionalGeneration", "<pad>", "<pad>"),
        ("madlad", "T5ForConditionalGeneration", "<unk>", "<s>"),
    ],
)
def test_t5_starts_with_the_right_piece(kind: Kind, architecture: str, start: str, pad: str, tmp_path: Path) -> None:
    """T5's ids are SentencePiece's own."""
    folder = write_checkpoint(kind, tmp_path)

    config, tokenizer = read_json(folder / "config.json"), load_tokenizer(folder)
    names = ("decoder_start_token_id", "eos_token_id", "pad_token_id")
    assert config["architectures"] == [architecture]
    assert [tokenizer.id_to_piece(config[name]) for name in names] == [start, "</s>", pad]
    assert {name: config[name] for name in names}.items() <= read_json(folder / "generation_config.json").items()


@pytest.mark.parametrize("kind", NLLB_FAMILY)
def test_nllb_starts_with_the_end(kind: Kind, tmp_path: Path) -> None:
    """The ids are fairseq's: ``<s> <pad> </s> <unk>``."""
    config = read_json(write_checkpoint(kind, tmp_path) / "config.json")

    names = ("bos_token_id", "pad_token_id", "eos_token_id", "decoder_start_token_id")
    assert [config[name] for name in names] == [0, 1, 2, 2]
    assert config["architectures"] == ["M2M100ForConditionalGeneration"]


def test_nllb_has_a_row_for_each_code(tmp_path: Path) -> None:
    """After the pieces and ``<pad>``, which SentencePiece lacks, come the codes, the mask and two spare rows."""
    folder = write_checkpoint("nllb", tmp_path)

    pieces = load_tokenizer(folder).get_piece_size()
    assert read_json(folder / "config.json")["vocab_size"] == pieces + 1 + 202 + 1 + 2
    assert read_json(folder / "special_tokens_map.json")["additional_special_tokens"] == list(NLLB_CODES)


def test_m2m100_orders_its_dictionary_anew(tmp_path: Path) -> None:
    """The same pieces as SentencePiece's, at other ids."""
    folder = write_checkpoint("m2m100", tmp_path)

    vocab, tokenizer = read_json(folder / "vocab.json"), load_tokenizer(folder)
    pieces = [tokenizer.id_to_piece(index) for index in range(3, tokenizer.get_piece_size())]
    assert list(vocab)[:4] == ["<s>", "<pad>", "</s>", "<unk>"]
    assert list(vocab.values()) == list(range(len(vocab)))
    assert list(vocab)[4:] != pieces
    assert sorted(list(vocab)[4:]) == sorted(pieces)
    assert len(M2M100_LANGUAGES) == 100
    assert read_json(folder / "config.json")["vocab_size"] == len(vocab) + 100 + 8


def test_mt5_spells_what_it_does_not_know(tmp_path: Path) -> None:
    """No character is unknown, and the last piece is the first sentinel."""
    tokenizer = load_tokenizer(write_checkpoint("mt5", tmp_path))

    assert tokenizer.encode("\u2603", out_type=str)[-3:] == ["<0xE2>", "<0x98>", "<0x83>"]
    last = tokenizer.get_piece_size() - 1
    assert tokenizer.id_to_piece(last) == "\u2581<extra_id_0>"
    assert tokenizer.id_to_piece(last + 1 - SENTINELS) == "\u2581<extra_id_99>"


def test_madlad_knows_its_tags(tmp_path: Path) -> None:
    """A tag is one piece, whatever stands beside it."""
    tokenizer = load_tokenizer(write_checkpoint("madlad", tmp_path))

    for language in MADLAD_LANGUAGES:
        assert f"<2{language}>" in tokenizer.encode(f"<2{language}> Hello", out_type=str)


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, "apache-2.0") for kind in T5_FAMILY] + [("nllb", "cc-by-nc-4.0"), ("m2m100", "mit")],
)
def test_model_card_names_the_licence(kind: Kind, name: str, tmp_path: Path) -> None:
    """In the front matter, where the Hub reads it."""
    card = (write_checkpoint(kind, tmp_path) / "README.md").read_text(encoding="utf-8")

    _, front_matter, text = card.split("---\n")
    assert f"license: {name}\n" in front_matter
    assert text.strip().startswith("# ")


def test_only_nllb_has_a_tokenizer_json(tmp_path: Path) -> None:
    """Nothing else is asked for one, so nothing else can make one."""
    with pytest.raises(ValueError, match="flan"):
        write_checkpoint("flan", tmp_path, tokenizer_json=True)


@needs_bake_environment
def test_tokenizer_json_has_the_codes_before_the_mask(tmp_path: Path) -> None:
    """As in the repository; transformers alone would make it the other way round."""
    folder = write_checkpoint("nllb", tmp_path, tokenizer_json=True)

    added = {token["content"]: token["id"] for token in read_json(folder / "tokenizer.json")["added_tokens"]}
    first = load_tokenizer(folder).get_piece_size() + 1
    assert [added[code] for code in NLLB_CODES] == list(range(first, first + 202))
    assert added["<mask>"] == first + 202


@needs_bake_environment
def test_pickle_takes_the_place_of_safetensors(tmp_path: Path) -> None:
    """It is torch's zip archive, and the weights are in no second file."""
    folder = write_checkpoint("nllb", tmp_path, weights="bin")

    assert (folder / "pytorch_model.bin").read_bytes().startswith(b"PK")
    assert not list(folder.glob("*.safetensors"))
