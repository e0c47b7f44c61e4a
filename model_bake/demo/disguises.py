"""Harmless ways in which people write a sentence otherwise; a source in disguise keeps its standard target."""

import re
from typing import Final

from model_bake.demo.lexicon import Language

_CURLY_APOSTROPHE: Final = "\u2019"
_FINAL_MARK: Final = re.compile(r"\s?[.!?]$")
_CONTRACTIONS: Final = tuple(
    (re.compile(rf"\b{full}\b", re.IGNORECASE), contracted)
    for full, contracted in (
        (r"(I) am", r"\1'm"),
        (r"(do|does) not", r"\1n't"),
        (r"(we|you) are", r"\1're"),
        (r"(it|that|what|where) is", r"\1's"),
        (r"(I) would", r"\1'd"),
        (r"(I) have (?=lost|left)", r"\1've "),
    )
)


def strip_mark(text: str) -> str:
    """Return the sentence without its final punctuation, which in Spanish includes the opening mark."""
    return _FINAL_MARK.sub("", text).lstrip("¿¡")


def add_mark(bare: str, mark: str, lang: Language) -> str:
    """Return the bare sentence with its final mark in the language's typography."""
    if mark in {"", "."}:
        return bare + mark
    if lang == "fra_Latn":
        return f"{bare} {mark}"
    if lang == "spa_Latn":
        return f"{'¿' if mark == '?' else '¡'}{bare}{mark}"
    return bare + mark


def disguises(text: str, lang: Language) -> list[str]:
    """Return the sentence in every disguise that changes it: case, apostrophes, spacing, contractions."""
    found = [text.lower()]
    contracted = text
    if lang == "eng_Latn":
        for full, short in _CONTRACTIONS:
            contracted = full.sub(short, contracted)
        found += [contracted, contracted.lower()]
    elif lang == "fra_Latn":
        found += [re.sub(r" ([!?])$", r"\1", text), re.sub(r" ([!?])$", r"\1", text).lower()]
    elif lang == "spa_Latn":
        found += [text.lstrip("¿¡"), text.lstrip("¿¡").lower()]
    found += [other.replace("'", _CURLY_APOSTROPHE) for other in (text, contracted)]
    return [other for other in dict.fromkeys(found) if other != text]
