"""Text as sentences to translate and the gaps between them, which stay as they are.

NLLB is trained on single sentences and drops words from longer text. Whatever is done here, joining the segments gives
the text back, so replacing the sentences by their translations keeps line breaks, lists and indentation.

Lines are independent: a sentence that was wrapped over several lines is translated line by line and keeps its breaks.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from itertools import accumulate, groupby, pairwise
from operator import itemgetter
from typing import NamedTuple

import sentencex


class Segment(NamedTuple):
    """A stretch of the text, and whether it is to be translated or kept as it is."""

    text: str
    translate: bool


_DEFAULT = "en"
"""The rules sentencex itself falls back to: initials, common titles and the sentence marks of every script."""

_RULES: dict[str, str] = {
    **dict.fromkeys(("ces", "slk"), "cs"),
    **dict.fromkeys(("deu", "ltz"), "de"),
    **dict.fromkeys(("spa", "ast", "ayr", "cat", "grn", "oci", "quy"), "es"),
    **dict.fromkeys(("ita", "fur", "lij", "lmo", "scn", "vec"), "it"),
    **dict.fromkeys(("nld", "lim"), "nl"),
    **dict.fromkeys(("pol", "szl"), "pl"),
    **dict.fromkeys(("por", "glg", "kea"), "pt"),
    **dict.fromkeys(("rus", "bak", "bel", "bul", "kaz", "tat", "ukr"), "ru"),
}
_RULES |= {"dan": "da", "ell": "el", "fin": "fi", "hye": "hy", "tam": "ta"}
"""FLORES-200 language to the rules of sentencex 1.0 that differ from its default.

Codes are not passed on unseen: ``als`` is Albanian in FLORES-200 and Alemannic in sentencex. French is absent because
its rules there know no abbreviation at all ("Dr.", "St."), where the default gets them right.
"""

_WINDOW = 512
"""Characters given to sentencex at once: its time grows with the square of the length (80,000 of Chinese take 2 s)."""

_STAND_INS: dict[int, str] = {
    # sentencex panics on a letter, a space of several bytes and a full stop.
    **dict.fromkeys((0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000), " "),
    # It refuses what UTF-8 cannot hold.
    **dict.fromkeys(range(0xD800, 0xE000), "\N{REPLACEMENT CHARACTER}"),
    # It does not know the Khmer sentence marks.
    **dict.fromkeys((0x17D4, 0x17D5), "\N{IDEOGRAPHIC FULL STOP}"),
}
"""What sentencex gets to see instead, one character for one, so that positions hold."""

_FENCE = re.compile(r" {0,3}(?P<run>`{3,}(?=[^`]*$)|~{3,})")
"""Opening line of a code block: https://spec.commonmark.org/0.31.2/#fenced-code-blocks."""

_ROMAN = r"(?=[IVX]{2})X{0,3}(?:IX|IV|V?I{0,3})"
"""II to XXXIX without V and X: alone, a capital may be an initial."""

_BULLETS = (
    r"-+*\u00b7\u2013\u2014\u2022\u2023\u2043\u2192\u2219\u25a0\u25a1\u25aa\u25ab\u25c6\u25c7\u25cb\u25cf\u25e6"
    r"\u2605\u2610\u2611\u2705\u2713\u2714\u27a2\u27a4\u30fb\u2460-\u2473"
)
"""Bullets, dashes, arrows, stars, boxes, ticks and numbers in circles, for a character class."""

_MARKS = re.compile(
    rf"""\A\s*+(?:(?:
        >                                          # quote
        | \#{{1,6}}(?=\s)                          # heading
        | [{_BULLETS}]\ufe0f?(?=\s)
        | \(?(?:\d{{1,3}}|[^\W\d_])\)(?=\s)        # a) or (1)
        | \d{{1,3}}(?:\.\d{{1,2}}){{0,4}}\.(?=\s)  # 1. or 1.2.
        # 1.2 before a capital or a letter that has none: "3.5 million", "12.30" and "1.500" are numbers
        | \d{{1,2}}(?:\.(?:[1-9]|1\d)){{1,4}}
          (?=\s++["'(\[*\u00a1\u00ab\u00bf\u201c-\u201e]?+[^\W\d_a-z\u00df-\u00f6\u00f8-\u00ff\u03ac-\u03ce\u0430-\u045f])
        | (?:{_ROMAN}\.|\(?{_ROMAN}\))(?=\s++\S)   # II. or (IV), with something to count
        | \[(?:[ xX]|\d{{1,3}})\](?=\s)            # task or [1]
    )\s*+)*+""",
    re.VERBOSE,
)
"""Indentation, quote, heading and list marks at the start of a line, in any order and depth."""

_LABEL = re.compile(rf"\s*+([A-Z]|{_ROMAN})\.\s++(?=\S)")
"""A capital or a Roman number at the start of a line, as of a list."""

_ROMANS = [tens + ones for tens in ("", "X", "XX", "XXX") for ones in ("", *"I II III IV V VI VII VIII IX".split())][1:]
_AFTER = {*pairwise("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), *pairwise(_ROMANS)}
"""Labels that follow each other in a list."""

_CLAUSE_END = re.compile(
    r"""[.!?;:,\u2013\u2014\u2026\u037e\u0387\u055d\u0589\u060c\u061b\u061f\u06d4\u0964\u0965\u104a\u104b\u1363-\u1368]
        ["'\u2019\u201d\u00bb)\]]*(?=\s)
        | [\u3001\u3002\uff01\uff0c\uff1a\uff1b\uff1f\uff64\u0f0d\u0f0e\u17d4\u17d5]""",
    re.VERBOSE,
)
"""Where a long sentence is best cut: marks followed by white space, and those of scripts that write none."""

_FIRST_GUESS = 256
"""Characters that a piece of a long sentence is first tried with; any number works, a near one saves calls."""


def segment(text: str, language: str | None = None) -> list[Segment]:
    """Split ``text`` into single sentences and the gaps around them.

    Gaps are white space, line breaks of every kind, marks of lists, quotes and headings, bars of tables, fenced code
    blocks (one that is never closed ends with the text, as in Markdown) and whatever has no letter in it: rules,
    numbers, emoji.

    Args:
        text: Anything; joining the segments gives it back.
        language: FLORES-200 code whose abbreviations do not end a sentence; unknown codes get the general rules.
    """
    rules = _RULES.get((language or "")[:3], _DEFAULT)
    segments: list[Segment] = []
    for translate, pieces in groupby(_pieces(text, rules), key=itemgetter(1)):
        if translate:
            segments += pieces
        elif gap := "".join(piece.text for piece in pieces):
            segments.append(Segment(gap, translate=False))
    return segments


def cut(sentence: str, fits: Callable[[str], bool]) -> list[Segment]:
    """Cut a sentence that is too long at the best white space, so that each piece to translate fits.

    Pieces are as long as they can be, ending after a clause if one ends in their second half, else at white space,
    else between two characters. A character that does not fit by itself is kept as it is.

    Args:
        sentence: Anything; joining the segments gives it back.
        fits: Whether a piece is short enough; called about log(length) times a piece, on up to twice its length.
    """
    pieces: list[Segment] = []
    start, guess = 0, _FIRST_GUESS
    while start < len(sentence):
        limit = _longest(sentence, start, guess, fits)
        end = _best_end(sentence, start, limit)
        # A piece can need more tokens than a longer one that begins with it.
        while not (fitting := fits(sentence[start:end].strip())) and limit - start > 1:
            limit = start + (limit - start) // 2
            end = _best_end(sentence, start, limit)
        guess = end - start
        pieces += _framed(sentence[start:end]) if fitting else [Segment(sentence[start:end], translate=False)]
        start = end
    return [piece for piece in pieces if piece.text]


def _pieces(text: str, rules: str) -> Iterator[Segment]:
    """Yield sentences and gaps in order, neighbouring gaps apart."""
    fence = ""
    lines = text.splitlines(keepends=True)
    listed = _listed(lines)
    for number, line in enumerate(lines):
        if fence:
            yield Segment(line, translate=False)
            closing = line.strip()
            if len(closing) >= len(fence) and closing == fence[0] * len(closing):
                fence = ""
        elif opening := _FENCE.match(line):
            fence = opening["run"]
            yield Segment(line, translate=False)
        elif not _has_letter(line):
            yield Segment(line, translate=False)
        else:
            start = len(line) - len((_LABEL if number in listed else _MARKS).sub("", line, count=1))
            yield Segment(line[:start], translate=False)
            end = max(start, len(line.rstrip()))
            for cell_end in _cell_ends(line, start, end):
                for sentence_end in _sentence_ends(line, start, cell_end, rules):
                    yield from _framed(line[start:sentence_end])
                    start = sentence_end
                yield Segment(line[cell_end : cell_end + 1] if cell_end < end else "", translate=False)
                start = cell_end + 1
            yield Segment(line[end:], translate=False)


def _listed(lines: list[str]) -> set[int]:
    """Return the numbers of the lines that are items A., B., C. or I., II., III. of a list.

    "A. Smith" is somebody, unless the next line of that form begins with "B.": a capital alone proves no list.
    """
    labels = [(number, match[1]) for number, line in enumerate(lines) if (match := _LABEL.match(line))]
    listed: set[int] = set()
    before = ""
    for (number, label), (_, following) in pairwise([*labels, (len(lines), "")]):
        begins = (label, following) in {("A", "B"), ("I", "II")}
        before = label if begins or (before, label) in _AFTER else ""
        if before:
            listed.add(number)
    return listed


def _cell_ends(line: str, start: int, end: int) -> Iterator[int]:
    """Yield where the cells of a table's row end, each at its bar; another line is one cell."""
    if line.startswith("|", start):
        for index in range(start, end):
            if line[index] == "|":
                yield index
    yield end


def _framed(piece: str) -> Iterator[Segment]:
    """Yield ``piece`` with the white space around it apart; without a letter it is a gap as a whole."""
    start = len(piece) - len(piece.lstrip())
    end = max(start, len(piece.rstrip()))
    yield Segment(piece[:start], translate=False)
    yield Segment(piece[start:end], translate=_has_letter(piece))
    yield Segment(piece[end:], translate=False)


def _has_letter(text: str) -> bool:
    return any(map(str.isalpha, text))


def _sentence_ends(line: str, start: int, end: int, rules: str) -> Iterator[int]:
    """Yield where the sentences of ``line[start:end]`` end; the last is ``end``."""
    for stop in _raw_ends(line[:end].translate(_STAND_INS), start, rules):
        if _is_end(line, start, stop):
            yield stop
            start = stop
    if start < end:
        yield end


def _raw_ends(line: str, start: int, rules: str) -> Iterator[int]:
    """Yield the ends that sentencex finds, the end of the line excepted."""
    while len(line) - start > _WINDOW:
        *complete, _ = accumulate(map(len, sentencex.segment(rules, line[start : start + _WINDOW])), initial=start)
        complete = complete[1:]
        yield from complete
        # Without an end the sentence goes on in the next window, which is best begun between two words.
        start = complete[-1] if complete else line.rfind(" ", start + 1, start + _WINDOW) + 1 or start + _WINDOW
    *complete, _ = accumulate(map(len, sentencex.segment(rules, line[start:])), initial=start)
    yield from complete[1:]


def _is_end(line: str, start: int, stop: int) -> bool:
    """Whether the sentence that began at ``start`` is over, or sentencex took an initial or a file name for its end."""
    end = stop
    while end > start and line[end - 1].isspace():
        end -= 1
    if end == stop and not line[stop].isspace():
        return line[end - 1] not in ".!?"  # "Node.JS"; the marks of other scripts need no white space
    letter = end - len("M.")
    if letter < start or line[end - 1] != "." or not line[letter].isalpha():
        return True
    # "M. Dupont", and the second letter of "т. д. и"
    return letter > start and not (line[letter - 1].isspace() and line[stop].islower())


def _longest(sentence: str, start: int, guess: int, fits: Callable[[str], bool]) -> int:
    """Return the end of the longest piece from ``start`` that fits, by galloping and bisection; at least one on."""
    fitting, size = start, guess
    while fits(sentence[start : (end := min(start + size, len(sentence)))]):
        fitting = end
        if end == len(sentence):
            return end
        size *= 2
    while end - fitting > 1:
        middle = (fitting + end) // 2
        if fits(sentence[start:middle]):
            fitting = middle
        else:
            end = middle
    return max(fitting, start + 1)


def _best_end(sentence: str, start: int, limit: int) -> int:
    """Return where to end a piece that may reach from ``start`` to ``limit``; always after ``start``."""
    if limit == len(sentence):
        return limit
    # The white space after a mark is not part of the piece, so it may lie beyond the limit.
    window = sentence[start : limit + 1]
    ends = [match.end() for match in _CLAUSE_END.finditer(window, len(window) // 2) if start + match.end() <= limit]
    if ends:
        return start + ends[-1]
    backwards = range(limit, start, -1)
    spaces = (end for end in backwards if sentence[end].isspace())
    characters = (end for end in backwards if not _is_joined(sentence[end - 1], sentence[end]))
    return next(spaces, None) or next(characters, limit)


def _is_joined(before: str, after: str) -> bool:
    """Whether two neighbours are seen as one character: marks, emoji sequences, surrogate pairs."""
    return (
        unicodedata.category(after)[0] == "M"
        or unicodedata.combining(before) == 9  # noqa: PLR2004 -- virama, which joins consonants
        or "\N{ZERO WIDTH JOINER}" in {before, after}
        or "\N{EMOJI MODIFIER FITZPATRICK TYPE-1-2}" <= after <= "\N{EMOJI MODIFIER FITZPATRICK TYPE-6}"
        or ("\ud800" <= before <= "\udbff" and "\udc00" <= after <= "\udfff")
    )
