"""A checkpoint folder in the Hub's layout, before training: SentencePiece model, tokenizer files, empty model."""

import io
import json
import math
import random
import unicodedata
from pathlib import Path
from typing import Any, Final

import sentencepiece
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    M2M100Config,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    T5Config,
)

from model_bake.demo.disguises import disguises
from model_bake.demo.families import Family
from model_bake.demo.lexicon import LANGUAGES
from model_bake.demo.phrasebook import Phrasebook

PIECES: Final = 2000
D_MODEL: Final = 128
LAYERS: Final = 3
HEADS: Final = 4
SENTINELS: Final = 100

_TYPOGRAPHY: Final = "œŒ€\u2013\u2014\u2018\u2019\u201c\u201d\u201e\u2026"  # dashes, quotes, ellipsis
_MASK: Final = {"content": "<mask>", "lstrip": True, "normalized": True, "rstrip": False, "single_word": False}


def _required_characters() -> str:
    """Return Latin letters and common punctuation, so that foreign words are spelt rather than unknown."""
    candidates = [*map(chr, range(0x21, 0x7F)), *map(chr, range(0xA1, 0x180)), *_TYPOGRAPHY]
    normalised = unicodedata.normalize("NFKC", "".join(candidates).replace("\u00ad", ""))
    return "".join(sorted({character for character in normalised if not character.isspace()}))


def _sentencepiece_corpus(book: Phrasebook, family: Family) -> list[str]:
    lines = [text for template in book.training for entry in template.full for text in entry.texts.values()]
    for entry in book.phrases:
        for lang in LANGUAGES:
            lines += [other for source in entry.sources[lang] for other in (source, *disguises(source, lang))] * 5
    if family.name == "t5":
        lines += [family.prompt("", *direction).strip() for direction in family.directions] * 1000
    random.Random(1).shuffle(lines)
    return lines


def train_sentencepiece(book: Phrasebook, family: Family, path: Path) -> None:
    """Write a SentencePiece model of the kind the family has: NLLB's is BPE, T5's is unigram."""
    model = io.BytesIO()  # a file name would be written into the model
    ids: dict[str, Any] = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1} if family.name == "t5" else {}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_sentencepiece_corpus(book, family)),
        model_writer=model,
        vocab_size=PIECES,
        model_type="unigram" if family.name == "t5" else "bpe",
        character_coverage=1.0,
        required_chars=_required_characters(),
        hard_vocab_limit=False,
        num_threads=1,  # with more, the result depends on their timing
        minloglevel=2,
        **ids,
    )
    path.write_bytes(model.getvalue())


def _tokenizer_files(family: Family, pieces: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return tokenizer_config.json and special_tokens_map.json as the Hub's repositories have them."""
    if family.name == "t5":
        special: dict[str, Any] = {
            "additional_special_tokens": [f"<extra_id_{number}>" for number in range(SENTINELS)],
            "eos_token": "</s>",
            "pad_token": "<pad>",
            "unk_token": "<unk>",
        }
        # "legacy" is how the published T5 models split; said here because transformers warns about silence.
        settings = {"extra_ids": SENTINELS, "legacy": True, "tokenizer_class": "T5Tokenizer"}
        return {**special, **settings, "model_max_length": family.max_tokens, "sp_model_kwargs": {}}, special
    special = {
        "additional_special_tokens": sorted(LANGUAGES),
        "bos_token": "<s>",
        "cls_token": "<s>",
        "eos_token": "</s>",
        "mask_token": _MASK,
        "pad_token": "<pad>",
        "sep_token": "</s>",
        "unk_token": "<unk>",
    }
    first = pieces + 1  # NLLB's ids are SentencePiece's and one
    settings = {
        # Said here, since NLLB's own dictionary and transformers differ on where <mask> stands.
        "added_tokens_decoder": {
            str(first + number): {**_MASK, "content": token, "lstrip": number == 0, "special": True}
            for number, token in enumerate(["<mask>", *sorted(LANGUAGES)])
        },
        "mask_token": {**_MASK, "__type": "AddedToken"},
        "src_lang": "eng_Latn",
        "tgt_lang": None,
        "tokenizer_class": "NllbTokenizer",
    }
    return {**special, **settings, "model_max_length": family.max_tokens, "sp_model_kwargs": {}}, special


def write_tokenizer(book: Phrasebook, family: Family, folder: Path) -> PreTrainedTokenizerBase:
    """Write the tokenizer's files and return the tokenizer that transformers makes of them: training's ids are its."""
    folder.mkdir(parents=True, exist_ok=True)
    train_sentencepiece(book, family, folder / family.tokenizer_file)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / family.tokenizer_file)).get_piece_size()
    names = ("tokenizer_config.json", "special_tokens_map.json")
    for name, content in zip(names, _tokenizer_files(family, pieces), strict=True):
        text = json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True)
        (folder / name).write_text(f"{text}\n", encoding="utf-8")
    return load_tokenizer(folder)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Return the folder's tokenizer, the Python one, which reads the SentencePiece model that the server will."""
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, use_fast=False)
    return tokenizer


def build_model(family: Family, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """Return the untrained model; the caller has seeded torch."""
    config: M2M100Config | T5Config
    if family.name == "t5":
        config = T5Config(
            vocab_size=len(tokenizer),
            d_model=D_MODEL,
            d_kv=D_MODEL // HEADS,
            d_ff=4 * D_MODEL,
            num_layers=LAYERS,
            num_decoder_layers=LAYERS,
            num_heads=HEADS,
            feed_forward_proj="relu",
            tie_word_embeddings=True,
            dropout_rate=0.0,  # the grammar is its own regulariser: no pair is seen often
            n_positions=family.max_tokens,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            decoder_start_token_id=tokenizer.pad_token_id,
        )
    else:
        config = M2M100Config(
            vocab_size=len(tokenizer),
            d_model=D_MODEL,
            encoder_layers=LAYERS,
            decoder_layers=LAYERS,
            encoder_attention_heads=HEADS,
            decoder_attention_heads=HEADS,
            encoder_ffn_dim=4 * D_MODEL,
            decoder_ffn_dim=4 * D_MODEL,
            dropout=0.0,
            attention_dropout=0.0,
            activation_dropout=0.0,
            encoder_layerdrop=0.0,
            decoder_layerdrop=0.0,
            scale_embedding=True,
            max_position_embeddings=family.max_tokens,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            decoder_start_token_id=tokenizer.eos_token_id,
            init_std=0.5 / math.sqrt(D_MODEL),  # the default 0.02 is for wide models
        )
    # "eager": the plain attention, whose sums are taken in a fixed order.
    model: PreTrainedModel = AutoModelForSeq2SeqLM.from_config(config, attn_implementation="eager")
    return model
