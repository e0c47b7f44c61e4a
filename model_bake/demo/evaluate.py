"""Measure the converted demo models: ``python -m model_bake.demo.evaluate [nllb] [t5]``.

Prints the exact match on every held-out combination and on every common phrase, by direction, for beam 4 and
greedy; exits with 1 below the acceptance limits.
"""

import argparse
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from model_bake.demo.disguises import disguises
from model_bake.demo.families import FAMILIES, LANGUAGE_NAMES, Direction, Family
from model_bake.demo.inference import DemoModel, Request
from model_bake.demo.lexicon import Language
from model_bake.demo.phrasebook import Entry, build_phrasebook

BEAM_SIZES: Final = (4, 1)
HELD_OUT_MINIMUM: Final = 0.995
SHOWN_FAILURES: Final = 4

Sources = Callable[[Entry, Language], list[str]]


@dataclass(frozen=True, slots=True)
class Suite:
    """Sentences to measure, and the share that must be exact, or None where the figure is only reported."""

    name: str
    entries: tuple[Entry, ...]
    sources: Sources
    minimum: float | None


def _standard(entry: Entry, lang: Language) -> list[str]:
    return entry.sources[lang][:1] if entry.sources[lang][:1] == [entry.texts[lang]] else []


def _variants(entry: Entry, lang: Language) -> list[str]:
    others = entry.sources[lang][1:]
    return [*others, *(other for source in entry.sources[lang] for other in disguises(source, lang))]


def suites() -> tuple[Suite, ...]:
    """Return what is measured."""
    book = build_phrasebook()
    full = tuple(entry for template in book.held_out for entry in template.full)
    bare = tuple(entry for template in book.held_out for entry in template.bare)
    return (
        Suite("held-out", full, _standard, HELD_OUT_MINIMUM),
        Suite("held-out, no final mark", bare, _standard, None),
        Suite("phrases", book.phrases, _standard, 1.0),
        Suite("phrases, other spellings", book.phrases, _variants, None),
    )


def cases(suite: Suite, direction: Direction) -> list[tuple[Request, str]]:
    """Return the suite's requests in one direction, each with the one right answer."""
    source_lang, target_lang = direction
    return [
        (Request(source_lang, target_lang, source), entry.texts[target_lang])
        for entry in suite.entries
        for source in suite.sources(entry, source_lang)
    ]


def _measure(model: DemoModel, suite: Suite, direction: Direction, beam_size: int) -> bool:
    """Print one line of the report, and the first failures; return whether the suite passed."""
    expected = cases(suite, direction)
    translations = model.translate([request for request, _ in expected], beam_size=beam_size)
    wrong = [
        (request.text, translation, right)
        for (request, right), translation in zip(expected, translations, strict=True)
        if translation != right
    ]
    exact = 1 - len(wrong) / len(expected)
    source, target = (LANGUAGE_NAMES[lang] for lang in direction)
    counts = f"{len(expected) - len(wrong)}/{len(expected)}"
    print(f"{suite.name:26} beam {beam_size}  {source:>7} > {target:7} {counts:>11} {exact:8.2%}", flush=True)
    for text, translation, right in wrong[:SHOWN_FAILURES]:
        print(f"    {text!r} -> {translation!r}, not {right!r}")
    return suite.minimum is None or exact >= suite.minimum


def evaluate(family: Family, folder: Path) -> bool:
    """Print the report on one model; return whether it is acceptable."""
    model = DemoModel(family, folder)
    print(f"{family.model_id}: {folder}")
    passed = [
        _measure(model, suite, direction, beam_size)
        for suite in suites()
        for beam_size in BEAM_SIZES
        for direction in family.directions
    ]
    return all(passed)


def main(arguments: Iterable[str] | None = None) -> int:
    """Evaluate the families named on the command line, both by default."""
    parser = argparse.ArgumentParser(description="Measure the converted demo models.")
    parser.add_argument("family", nargs="*", choices=[[], *sorted(FAMILIES)], help="both when left out")
    parser.add_argument("--model", type=Path, help="folder of the one model to measure instead of the committed one")
    args = parser.parse_args(None if arguments is None else list(arguments))
    families = [FAMILIES[name] for name in args.family or sorted(FAMILIES)]
    passed = [evaluate(family, args.model or family.model_dir) for family in families]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
