"""The scripts that languages are written in, as Unicode has them: which pieces of a vocabulary a text can use."""

import re
from collections.abc import Iterable

import regex

from model_bake.errors import VocabularyError

_SEVERAL = {"Hans": "Hani", "Hant": "Hani Bopo", "Jpan": "Hira Kana Hani"}
"""ISO 15924 codes for several scripts together, or for a variant of one: Unicode has no property of that name."""

_ALSO = {"sat_Beng": "Olck"}
"""FLORES-200 lists Santali as ``sat_Olck``, the script it is written in; only NLLB's tokenizer says ``sat_Beng``."""

_NEUTRAL = ("Zyyy", "Zinh")
"""Common and Inherited: digits, punctuation, symbols, and marks that combine with any letter."""

_CODE = re.compile(r"[a-z]{3}_([A-Z][a-z]{3})")


def scripts(language: str) -> tuple[str, ...]:
    """Return the ISO 15924 codes of the scripts that a FLORES-200 code names.

    Raises:
        VocabularyError: The code names no script that Unicode knows.
    """
    code = _CODE.fullmatch(language)
    names = (*_SEVERAL.get(code[1], code[1]).split(), *_ALSO.get(language, "").split()) if code else ()
    try:
        _pattern(names)
    except regex.error:
        names = ()
    if not names:
        message = f"language {language[:40]!r}: names no script that Unicode knows; a code looks like eng_Latn"
        raise VocabularyError(message)
    return names


def text_in(languages: Iterable[str]) -> regex.Pattern[str]:
    """Return a pattern of text whose every character is of a language's script or of none: digits, punctuation.

    By Script_Extensions (https://www.unicode.org/reports/tr24/), where the Japanese mark of a long vowel is not common.

    Raises:
        VocabularyError: A code names no script that Unicode knows.
    """
    return _pattern([name for language in languages for name in scripts(language)])


def _pattern(names: Iterable[str]) -> regex.Pattern[str]:
    return regex.compile("[" + "".join(rf"\p{{Script_Extensions={name}}}" for name in (*names, *_NEUTRAL)) + "]*+")
