"""User text as the server tokenizes it and as transformers does where it is told that text is text."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest
from checkpoints import BAKE_PYTHON, Kind, write_checkpoint
from odd_text import CONTROL_TOKENS, LANGUAGE_CODES, NO_SENTINELS, SENTINELS, odd_texts

from handler.settings import Family
from handler.tokenizer import load_tokenizer
from model_bake.demo.families import CHECKPOINTS_DIR

pytestmark = pytest.mark.skipif(not BAKE_PYTHON.exists(), reason="needs torch and transformers")

TEXTS = 1000
SOURCE_LANG = "eng_Latn"
TYPED = (*CONTROL_TOKENS, *LANGUAGE_CODES)
PROGRAM = """
import json, sys
from transformers import AutoTokenizer
folder, split = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=False, split_special_tokens=split == "split")
for line in sys.stdin:
    text, tokens = json.loads(line)
    print(json.dumps([tokenizer(text).input_ids, tokenizer.convert_tokens_to_ids(tokens)]))
"""


def check(checkpoint: Path, family: Family, texts: Sequence[str], *, split: bool) -> None:
    """Hold the server's tokens of each text to the ids that transformers has for it.

    Args:
        checkpoint: Folder of the checkpoint.
        family: Of its model.
        texts: What a user may type.
        split: Whether transformers is to read special tokens in a text as text.
    """
    name = "sentencepiece.bpe.model" if family == "nllb" else "spiece.model"
    tokenizer = load_tokenizer(family, checkpoint / name)
    lines = [json.dumps([text, tokenizer.encode(text, SOURCE_LANG)]) for text in texts]
    done = subprocess.run(
        [BAKE_PYTHON, "-c", PROGRAM, checkpoint, "split" if split else "keep"],
        input="\n".join(lines),
        env={"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(texts)
    assert [(text, theirs) for text, (theirs, ours) in zip(texts, answers, strict=True) if ours != theirs] == []


@pytest.mark.parametrize("kind", ["demo", "nllb"])
def test_nllb_reads_what_a_user_types_as_transformers_reads_text(kind: str, tmp_path: Path) -> None:
    """Control tokens, language codes and sentinels are text, among odd characters."""
    checkpoint = CHECKPOINTS_DIR / "nllb-demo" if kind == "demo" else write_checkpoint("nllb", tmp_path)

    check(checkpoint, "nllb", odd_texts(TEXTS, typed=(*TYPED, *SENTINELS, *NO_SENTINELS)), split=True)


@pytest.mark.parametrize("kind", ["demo", "flan", "mt5"])
@pytest.mark.parametrize(
    ("typed", "split"),
    [((*TYPED, *NO_SENTINELS), True), ((*SENTINELS, *NO_SENTINELS), False)],
    ids=["control tokens", "sentinels"],
)
def test_t5_reads_what_a_user_types_as_transformers_reads_text(
    kind: Kind | Literal["demo"], typed: Sequence[str], tmp_path: Path, *, split: bool
) -> None:
    """Control tokens are text; sentinels are what T5 was trained with."""
    checkpoint = CHECKPOINTS_DIR / "t5-demo" if kind == "demo" else write_checkpoint(kind, tmp_path)

    check(checkpoint, "t5", odd_texts(TEXTS, typed=typed), split=split)
