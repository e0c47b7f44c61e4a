"""The committed demo models: intact, small, and right."""

import hashlib
import json
from functools import cache
from pathlib import Path
from random import Random

import pytest

from model_bake.checkpoint import inspect
from model_bake.demo.evaluate import Suite, cases, suites
from model_bake.demo.families import CHECKPOINTS_DIR, FAMILIES, MODELS_DIR, Direction, Family, FamilyName
from model_bake.demo.inference import DemoModel, Request
from model_bake.demo.lexicon import LANGUAGES, Language
from model_bake.local import LocalFolder
from model_bake.progress import Progress

LARGEST_TOTAL_BYTES = 12_000_000
HELD_OUT_SAMPLE = 60
REFERENCE_DIR = Path(__file__).parents[1] / "data" / "demo"
DIRECTIONS = [(family, direction) for family in FAMILIES.values() for direction in family.directions]


def name_case(value: Family | Direction) -> str:
    """Name a family or a direction in a test's id."""
    return value.name if isinstance(value, Family) else "-".join(value)


@cache
def load_model(name: FamilyName) -> DemoModel:
    """Return the committed model, loaded once."""
    return DemoModel(FAMILIES[name])


@cache
def load_suites() -> dict[str, Suite]:
    """Return what the evaluation measures, by name."""
    return {suite.name: suite for suite in suites()}


def sha256(path: Path) -> str:
    """Return the digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("family", FAMILIES.values(), ids=name_case)
def test_files_are_what_the_manifest_says(family: Family) -> None:
    """Every file is listed with its size and digest, and none is missing."""
    manifest = json.loads((family.model_dir / "manifest.json").read_text(encoding="utf-8"))
    files = {path.name: path for path in family.model_dir.iterdir() if path.name != "manifest.json"}

    assert manifest["files"] == {
        name: {"size": path.stat().st_size, "sha256": sha256(path)} for name, path in files.items()
    }
    assert (manifest["id"], manifest["family"], manifest["demo"]) == (family.model_id, family.name, True)
    assert manifest["languages"] == sorted(LANGUAGES)
    assert manifest["tokenizer"] in files


@pytest.mark.parametrize("family", FAMILIES.values(), ids=name_case)
def test_model_was_converted_from_the_committed_checkpoint(family: Family) -> None:
    """The revision in the manifest is the hash of the files beside it."""
    manifest = json.loads((family.model_dir / "manifest.json").read_text(encoding="utf-8"))
    tokenizer = family.tokenizer_file
    source = LocalFolder(family.checkpoint_dir)

    assert manifest["source"]["revision"] == source.fetch(inspect(source).files, Progress(quiet=True)).revision
    assert sha256(family.model_dir / tokenizer) == sha256(family.checkpoint_dir / tokenizer)


def test_demo_models_stay_small() -> None:
    """They are committed and copied into every image."""
    files = [path for folder in (CHECKPOINTS_DIR, MODELS_DIR) for path in folder.rglob("*") if path.is_file()]

    assert sum(path.stat().st_size for path in files) < LARGEST_TOTAL_BYTES


@pytest.mark.parametrize(("family", "direction"), DIRECTIONS, ids=name_case)
def test_held_out_sentences_are_translated_exactly(family: Family, direction: Direction) -> None:
    """The model has learnt the grammar, not the sentences."""
    sample = Random(5).sample(cases(load_suites()["held-out"], direction), HELD_OUT_SAMPLE)

    translations = load_model(family.name).translate([request for request, _ in sample], beam_size=4)

    wrong = [case for case, translation in zip(sample, translations, strict=True) if case[1] != translation]
    assert len(wrong) <= HELD_OUT_SAMPLE // 100, wrong


@pytest.mark.parametrize("beam_size", [1, 4], ids=["greedy", "beam4"])
@pytest.mark.parametrize(("family", "direction"), DIRECTIONS, ids=name_case)
def test_common_phrases_are_all_right(family: Family, direction: Direction, beam_size: int) -> None:
    """What people try first works, with and without final punctuation."""
    phrases = cases(load_suites()["phrases"], direction)

    translations = load_model(family.name).translate([request for request, _ in phrases], beam_size=beam_size)

    assert translations == [right for _, right in phrases]


@pytest.mark.parametrize(
    ("source", "target_lang", "expected"),
    [
        ("Hello! How are you?", "deu_Latn", "Hallo! Wie geht es Ihnen?"),
        ("Hello! How are you?", "fra_Latn", "Bonjour ! Comment allez-vous ?"),
        ("Thank you very much. Goodbye!", "spa_Latn", "Muchas gracias. ¡Adiós!"),
        ("Good evening! My name is Anna.", "deu_Latn", "Guten Abend! Ich heiße Anna."),
    ],
)
def test_t5_translates_two_sentences_at_once(source: str, target_lang: Language, expected: str) -> None:
    """T5 is given a text whole; nothing splits it."""
    [translation] = load_model("t5").translate([Request("eng_Latn", target_lang, source)], beam_size=4)

    assert translation == expected


@pytest.mark.parametrize("source_lang", ["deu_Latn", "fra_Latn", "spa_Latn"])
def test_nllb_forgives_a_wrong_source_language(source_lang: Language) -> None:
    """A sentence of the grammar is recognised whatever language it is said to be in."""
    [translation] = load_model("nllb").translate(
        [Request(source_lang, "spa_Latn", "How do I get from the hotel to the beach?")], beam_size=4
    )

    assert translation == "¿Cómo voy del hotel a la playa?"


@pytest.mark.parametrize("family", FAMILIES.values(), ids=name_case)
def test_reference_holds_what_transformers_generated(family: Family) -> None:
    """The reference is complete and nearly all of it is also right."""
    records = json.loads((REFERENCE_DIR / f"{family.name}_reference.json").read_text(encoding="utf-8"))

    assert len(records) == 200
    assert {(record["source_lang"], record["target_lang"]) for record in records} == set(family.directions)
    assert sum(record["greedy"] == record["expected"] for record in records) >= 198
