"""Text as NLLB was trained to read it: plain quotes and dashes, no invisible characters, NFKC.

NLLB's own preparation put every sentence through Moses' punctuation rules for English, whatever its language, then
replaced unprintable characters, then applied NFKC. transformers' tokenizer leaves the first two out, so that a curly
quote reaches the model as <unk>.

Sources: ``SentenceSplitClean`` in facebookresearch/stopes (monolingual_line_processor.py), which calls
``MosesPunctNormalizer(lang="en")`` of sacremoses 0.0.53, a port of moses-smt/mosesdecoder's normalize-punctuation.perl.
What is left out or done otherwise, and why: docs/decisions/0008-normalisation.md.
"""

import re
from unicodedata import normalize as unicode_normalize

_PUNCTUATION = {
    "\u201e\u201c\u201d\u00ab\u00bb": '"',  # low and high double quotes, guillemets
    "\u2018\u2019\u201a\u00b4`": "'",  # single quotes, apostrophe, accents that stand for them
    "\u2013": "-",
    "\u2014": " - ",
    "\u2026": "...",
}
"""sacremoses' NORMALIZE_UNICODE, its pair of Penn rules and FRENCH_QUOTES, as far as they are about one character.

Nothing of Chinese, Japanese, Thai or Arabic punctuation is among them; NFKC makes full-width commas and brackets ASCII.
"""

_INVISIBLE = (
    *(0x00AD, 0x061C, 0xFEFF),  # soft hyphen, Arabic letter mark, byte order mark
    *range(0x200E, 0x2010),  # marks of direction
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2070),  # word joiner, invisible operators, isolates, deprecated format characters
    *range(0xFFF9, 0xFFFC),  # interlinear annotation
    *range(0xE0000, 0xE0080),  # tags
)
"""Format characters that are neither seen nor part any words: dropped, where stopes puts a space into the word.

ZERO WIDTH JOINER and NON-JOINER are not among them. Persian and the scripts of India spell with them, and what becomes
of them is written in the SentencePiece model: NLLB's reads both as a space, one trained to keep them gets them.
"""

_SPACES = (*range(0x20), *range(0x7F, 0xA0), 0x200B)
"""Control characters, and the ZERO WIDTH SPACE that Khmer, Lao, Thai and Burmese put between words."""

_CHARACTERS: dict[int, str] = {
    **{ord(character): plain for characters, plain in _PUNCTUATION.items() for character in characters},
    **dict.fromkeys(_INVISIBLE, ""),
    **dict.fromkeys(_SPACES, " "),
}

_NO_BREAK = re.compile(
    r"""(?<!\w)(\u00ab)[\xa0\u202f]++                              # inside French quotes
        | (?<![\xa0\u202f])[\xa0\u202f]++(?=\u00bb(?!\w)|[:;!?%])  # and before French marks""",
    re.VERBOSE,
)
"""FRENCH_QUOTES and HANDLE_PSEUDO_SPACES, for the narrow space that French is set with today too."""

_NO_SPACE = re.compile(
    r"""[ ](?:
        (?=[):;])                       # before a closing bracket, a colon, a semicolon
        | (?<=\([ ])                    # after an opening bracket
        | (?<=\)[ ])(?=[.!?,])          # between a closing bracket and a mark
        | (?<=\d[ ])(?=%)
        )""",
    re.VERBOSE,
)
_SPACE = re.compile(r"(?<=[^ (])(?=\()|(?<=\))(?=[^ ).!:?;,])")
"""EXTRA_WHITESPACE: where a single space goes, and where one comes (before an opening and after a closing bracket)."""

_STRETCH = re.compile(r".{1,256}(?=[ ]|\Z)|.{1,256}", re.DOTALL)
"""Characters put into NFKC at once, up to a space if there is one.

Its time grows with the square of a run of combining characters: a sentence of 32,000 would take a second.
"""


def normalize(text: str) -> str:
    """Return a sentence with the punctuation, spaces and forms of characters that NLLB was trained on.

    No letter is lost, and text stays text: what looks like a control token looks like one as before, and is none.

    Args:
        text: One sentence. White space of every kind becomes single spaces, and that around it goes.
    """
    if "\xa0" in text or "\u202f" in text:
        text = _NO_BREAK.sub(r"\1", text)
    plain = " ".join(text.translate(_CHARACTERS).replace("''", '"').split())
    plain = _NO_SPACE.sub("", plain)
    if "(" in plain or ")" in plain:
        plain = _SPACE.sub(" ", plain)
    return "".join(unicode_normalize("NFKC", stretch) for stretch in _STRETCH.findall(plain))
