"""A bake that went wrong is caught: each test damages the conversion in one way, and nothing is published."""

import subprocess
from pathlib import Path

import pytest
from bakery import DEMO, ROOT, Bake, command, environment
from checkpoints import BAKE_PYTHON

MUTANT = """
import json, sys
import model_bake.convert
from model_bake.__main__ import main

def edit(path, change):
    data = json.loads(path.read_bytes())
    change(data)
    path.write_text(json.dumps(data))

def swap(tokens, one, other):
    i, j = tokens.index(one), tokens.index(other)
    tokens[i], tokens[j] = tokens[j], tokens[i]

convert, rename = model_bake.convert.convert, model_bake.convert.rename_languages

def damaged_rows(path):
    rename(path)
    {rows}

def damaged(loaded, folder, checkpoint, output, **options):
    convert(loaded, folder, checkpoint, output, **options)
    config, vocabulary = output / "config.json", output / "shared_vocabulary.json"
    {folder}

model_bake.convert.convert, model_bake.convert.rename_languages = damaged, damaged_rows
sys.exit(main(sys.argv[1:]))
"""


def bake(model: str, output: Path, *options: str, rows: str = "pass", folder: str = "pass") -> Bake:
    """Bake a demo checkpoint with a conversion that is damaged by the given lines of Python."""
    arguments = command(DEMO / "checkpoints" / model, output, *options)[3:]
    done = subprocess.run(
        [str(BAKE_PYTHON), "-c", MUTANT.format(rows=rows, folder=folder), *arguments],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Bake(done.returncode, done.stdout, done.stderr)


def test_an_undamaged_conversion_passes(tmp_path: Path) -> None:
    """So that the others fail for their damage alone."""
    assert bake("nllb-demo", tmp_path / "baked", "--quiet").code == 0


@pytest.mark.parametrize(
    ("model", "damage", "part"),
    [
        ("nllb-demo", {"rows": 'edit(path, lambda tokens: swap(tokens, "fra_Latn", "spa_Latn"))'}, "fra_Latn"),
        ("nllb-demo", {"rows": "edit(path, lambda tokens: swap(tokens, tokens[900], tokens[901]))"}, "row 900"),
        ("nllb-demo", {"folder": 'edit(config, lambda data: data.update(eos_token="<s>"))'}, "is sure"),
        ("t5-demo", {"folder": 'edit(config, lambda data: data.update(decoder_start_token="<unk>"))'}, "transformers"),
        ("t5-demo", {"folder": 'edit(vocabulary, lambda tokens: swap(tokens, "▁to", "▁the"))'}, "transformers"),
        (
            "nllb-demo",
            {"folder": '(output / checkpoint.tokenizer).write_bytes((output / "model.bin").read_bytes())'},
            "the server cannot serve",
        ),
    ],
    ids=["codes", "rows", "end", "start", "pieces", "tokenizer"],
)
def test_a_conversion_that_went_wrong_is_not_published(
    tmp_path: Path, model: str, damage: dict[str, str], part: str
) -> None:
    """int8, where answers need not be transformers' to the letter."""
    line = bake(model, tmp_path / "out" / "baked", **damage).refusal()

    assert part in line, line
    assert not (tmp_path / "out").exists()


def test_the_limit_is_the_operators_where_one_is_given(tmp_path: Path) -> None:
    """int8 differs by about a hundredth; a limit below that refuses it, and the line names the option."""
    line = bake("t5-demo", tmp_path / "out" / "baked", "--max-deviation", "0.001").refusal()

    assert "log-probabilities" in line
    assert "--max-deviation" in line
