"""Sentences, gaps and cuts: what is translated, and that nothing else changes."""
# ruff: noqa: RUF001 - the marks of many scripts are the point, and some look like Latin ones

import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from handler.segmenter import Segment, cut, segment

LINE_BREAKS = ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
SNIPPETS = [
    *LINE_BREAKS,
    *"aBÄжא你ก.!?;:,。！？…\"'()[]«»“”#*>-+`~| \t\x00\x1f",
    *("\xa0", "\u2009", "\u200b", "\u202f", "\u3000", "\u0301", "\ufeff", "क्", "ច។", "\U00020000"),
    *(
        "\ud83d",
        "\ude00",
        FAMILY,
        "مرحبا؟",
        "Dr. ",
        "e.g. ",
        "z.B. ",
        "[1]",
        "1. ",
        "a) ",
        "- ",
        "> ",
        "1.2 ",
        "1.2.3. ",
        "A. ",
        "B. ",
        "I. ",
        "II. ",
        "IV) ",
        "✔\ufe0f ",
        "① ",
        "```",
        "~~~\n",
        "---",
    ),
]
TEXTS = st.one_of(
    st.text(),
    st.text(st.characters(exclude_categories=[])),  # lone surrogates too
    st.lists(st.sampled_from(SNIPPETS), max_size=40).map("".join),
)
LANGUAGES = st.sampled_from(
    [
        None,
        "",
        "eng_Latn",
        "fra_Latn",
        "deu_Latn",
        "spa_Latn",
        "rus_Cyrl",
        "hye_Armn",
        "zho_Hans",
        "khm_Khmr",
        "als_Latn",
        "x",
    ]
)


def joined(segments: list[Segment]) -> str:
    """Return the text that ``segments`` came from."""
    return "".join(piece.text for piece in segments)


def sentences(text: str, language: str | None = None) -> list[str]:
    """Return what would be translated of ``text``."""
    return [piece.text for piece in segment(text, language) if piece.translate]


def at_most(limit: int) -> Callable[[str], bool]:
    """Return a ``fits`` that counts characters."""
    return lambda piece: len(piece) <= limit


@given(TEXTS, LANGUAGES)
@example("Plan B\u3000. Yes", "eng_Latn")  # alone, sentencex panics here
@example("\ud800. B", "eng_Latn")
@example("a) ", None)
@example("\n" * 16_000, None)
def test_joining_the_segments_gives_the_text_back(text: str, language: str | None) -> None:
    """No text of any kind loses, gains or changes a character."""
    assert joined(segment(text, language)) == text


@given(TEXTS, LANGUAGES)
def test_what_is_translated_is_on_one_line_has_a_letter_and_no_white_space_around(
    text: str, language: str | None
) -> None:
    """Sentences are clean, no segment is empty and gaps are never next to each other."""
    segments = segment(text, language)

    assert all(piece.text for piece in segments)
    assert all(first.translate or second.translate for first, second in pairwise(segments))
    for piece in segments:
        if piece.translate:
            assert piece.text == piece.text.strip()
            assert len(piece.text.splitlines()) == 1
            assert any(map(str.isalpha, piece.text))


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("eng_Latn", ["Dr. Smith went home.", "He slept."]),
        ("eng_Latn", ["I live in the U.S.", "It is big."]),
        ("eng_Latn", ["He came from the U.S. army.", "See e.g. the book."]),
        ("eng_Latn", ["J. R. R. Tolkien wrote it.", "No. 5 is alive."]),
        ("eng_Latn", ["Prices rose 3.5%.", "Visit www.example.com.", "Use Node.JS v1.2.3 now."]),
        ("eng_Latn", ['He said "Go home. Now."', "She left."]),
        ("eng_Latn", ["Wait... what?", "Wait… What?!", "Really!!"]),
        ("eng_Latn", ["(He left. She stayed.) Then it rained.", "A lot."]),
        ("eng_Latn", ["written without capitals.", "like this."]),
        ("deu_Latn", ["Das ist z.B. ein Haus.", "Am 3. Mai kam er um 3.5 Uhr."]),
        ("deu_Latn", ["„Geh.“", "Frau Dr. Roy kam bzw. ging."]),
        ("fra_Latn", ["M. Dupont est là.", "Il a vu M. Durand et le Dr. Roy.", "« Ça va ? »", "Oui\xa0!", "Non."]),
        ("spa_Latn", ["¿Dónde?", "¡Hola!", "El Sr. García llegó."]),
        ("spa_Latn", ["J. Smith vino.", "Se fue."]),
        ("rus_Cyrl", ["А. С. Пушкин жил в г. Москва.", "Он писал и т. д. и умер."]),
        ("ell_Grek", ["Τι κάνεις;", "Καλά."]),
        ("hin_Deva", ["नमस्ते।", "आप कैसे हैं?"]),
        ("arb_Arab", ["مرحبا.", "كيف حالك؟", "أنا بخير."]),
        ("urd_Arab", ["یہ ہے۔", "وہ ہے۔"]),
        ("amh_Ethi", ["ሰላም።", "እንዴት ነህ።"]),
        ("hye_Armn", ["Բարեւ։", "Ինչպես ես։"]),
        ("mya_Mymr", ["မင်္ဂလာပါ။", "နေကောင်းလား။"]),
        ("khm_Khmr", ["សួស្តី។", "អ្នកសុខសប្បាយទេ?"]),
        ("tha_Thai", ["สวัสดีครับ วันนี้อากาศดี"]),
        (None, ["Dr. Smith went home.", "He slept."]),
        ("als_Latn", ["Përshëndetje.", "Si je?"]),
    ],
    ids=str,
)
def test_sentences_end_where_the_language_ends_them(language: str | None, expected: list[str]) -> None:
    """Abbreviations, initials, numbers and file names go on; quotes and brackets belong to their sentence."""
    assert sentences(" ".join(expected), language) == expected


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("zho_Hans", ["你好。", "我很好！", "“你呢？”", "好的"]),
        ("jpn_Jpan", ["今日は。", "「元気ですか。」", "彼は言った。"]),
        ("khm_Khmr", ["សួស្តី។", "អ្នកសុខ។"]),
    ],
    ids=str,
)
def test_scripts_without_white_space_split_at_their_own_marks(language: str, expected: list[str]) -> None:
    """Nothing stands between the sentences, so there is no gap either."""
    assert segment("".join(expected), language) == [Segment(sentence, translate=True) for sentence in expected]


@pytest.mark.parametrize("line_break", LINE_BREAKS, ids=ascii)
def test_every_line_break_is_kept(line_break: str) -> None:
    """A wrapped sentence is translated line by line."""
    assert segment(f"one two{line_break}{line_break}three") == [
        Segment("one two", translate=True),
        Segment(line_break * 2, translate=False),
        Segment("three", translate=True),
    ]


@pytest.mark.parametrize(
    "marks",
    [
        "  ",
        "\t",
        "- ",
        "* ",
        "+ ",
        "• ",
        "– ",
        "1. ",
        "12) ",
        "a) ",
        "(b) ",
        "> ",
        ">> ",
        "# ",
        "###### ",
        "  > 1. - [x] ",
        *(f"{mark} " for mark in "·○■□▫➢➤→∙・◆◇★✓✔☐☑✅①⑩⑳"),
        "・\u3000",
        "☑\ufe0f ",
        "★ ★ ",
        "1.1 ",
        "1.1. ",
        "12.10.3 ",
        "1.2.3. ",
        "[1] ",
        "[12] ",
        "II. ",
        "IV. ",
        "VIII. ",
        "XXXIX. ",
        "IV) ",
        "(XIV) ",
        "- 1.1. → [2] ",
    ],
    ids=repr,
)
def test_marks_at_the_start_of_a_line_are_gaps(marks: str) -> None:
    """Indentation, lists, quotes and headings are not shown to the model."""
    assert segment(f"{marks}Buy milk. \n") == [
        Segment(marks, translate=False),
        Segment("Buy milk.", translate=True),
        Segment(" \n", translate=False),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "-5 degrees",
        "#hashtag",
        "**Bold** text",
        "2024. Then",
        "a.m. or p.m.",
        "Barcelona · Madrid",
        "·text",
        "・牛乳",
        "→there",
        "①one",
        "3.5 million people",
        "1.500 Menschen kamen",
        "12.30 Uhr",
        "24.12.26 Heiligabend",
        "1.2.3 is out",
        "192.168.178.1 answers",
        "1.1",
        "1.1 %  Growth",
        "2024.1 Then it rained",
        "[1]here",
        "[2024] Then it rained",
        "IV. ",
        "IIII. Four",
        "XL. Forty",
        "II.5 is a number",
        "A. Smith lives here",
        "V. Woolf wrote it",
    ],
    ids=repr,
)
def test_what_only_looks_like_a_mark_is_text(text: str) -> None:
    """A mark is followed by white space, a year is no list number, and a capital alone may be an initial."""
    assert segment(text)[0].text[0] == text[0]
    assert "".join(sentences(text)[-1:]) in {text.strip(), "Then", "Four", "Forty", ""}


@pytest.mark.parametrize("mark", "·・")
def test_a_dot_between_words_is_text(mark: str) -> None:
    """It is part of its sentence."""
    assert sentences(f"One {mark} two") == [f"One {mark} two"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A. Yes\nB. No", ["Yes", "No"]),
        ("Which one?\n  A. Yes\n\n  B. No\n  C. Perhaps", ["Which one?", "Yes", "No", "Perhaps"]),
        ("I. Yes\nII. No\nIII. Perhaps\nIV. Never\nV. Always", ["Yes", "No", "Perhaps", "Never", "Always"]),
        ("A. Yes\nB. No\nQ. Roo\nC. Reed", ["Yes", "No", "Q. Roo", "C. Reed"]),
        ("A. Smith\nC. Jones", ["A. Smith", "C. Jones"]),
        ("B. Smith\nC. Jones", ["B. Smith", "C. Jones"]),
        ("A. Smith\nWho is B. Jones", ["A. Smith", "Who is B. Jones"]),
        ("I. Newton\nV. Woolf", ["I. Newton", "V. Woolf"]),
        ("I. Newton\nJ. Watt", ["I. Newton", "J. Watt"]),
    ],
    ids=["two", "indented", "roman", "interrupted", "gap", "no A", "within a line", "initials", "initials in order"],
)
def test_capitals_are_marks_where_they_count(text: str, expected: list[str]) -> None:
    """Items in order prove a list; else "A. Smith" is somebody."""
    assert sentences(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", " ", "12:30", "***", "|---|", "---", "- ", "1.", "\U0001f389", "\u0301", "3.5 %\n\n€ 4", "a) "],
    ids=repr,
)
def test_text_without_a_word_is_one_gap(text: str) -> None:
    """There is nothing to translate, and models make words up."""
    assert segment(text) == ([Segment(text, translate=False)] if text else [])


def test_a_number_between_sentences_is_a_gap() -> None:
    """White space and number are one gap."""
    assert segment("One. 2. Three.") == [
        Segment("One.", translate=True),
        Segment(" 2. ", translate=False),
        Segment("Three.", translate=True),
    ]


@pytest.mark.parametrize(
    "block",
    [
        "```py\nprint('Hello. You')\n```\n",
        "  ~~~\nSome text.\n```\n~~~\n",
        "````\n```\nSome text.\n````\n",
        "```\nnever closed",
    ],
    ids=["info", "tildes", "longer", "open"],
)
def test_code_blocks_are_kept_as_they_are(block: str) -> None:
    """Code between fences is never translated."""
    assert segment("Look:\n" + block) == [Segment("Look:", translate=True), Segment("\n" + block, translate=False)]


def test_text_goes_on_after_a_code_block() -> None:
    """A closed fence, or a span in backticks on one line, hides nothing."""
    assert sentences("```\nx\n```\nAfter.\n```inline``` too.") == ["After.", "```inline``` too."]


def test_sentences_longer_than_what_is_looked_at_at_once_stay_whole() -> None:
    """The window's edge is no end, and the sentences behind it are found."""
    long = "word " * 300 + "end."
    unbroken = "x" * 2000 + "."

    assert sentences(f"{long} Short one. {unbroken} {long}") == [long, "Short one.", unbroken, long]


@pytest.mark.parametrize(
    ("sentence", "limit", "expected"),
    [
        ("short", 20, ["short"]),
        ("The quick fox, brown; jumped over dogs", 22, ["The quick fox, brown;", "jumped over dogs"]),
        ("one, two three four five six", 20, ["one, two three four", "five six"]),
        ("abcdefghij klmno", 10, ["abcdefghij", "klmno"]),
        ("一二三四五六，七八九十", 9, ["一二三四五六，", "七八九十"]),
        ("مرحبا بكم، كيف حالكم", 12, ["مرحبا بكم،", "كيف حالكم"]),
        ("a" * 25, 10, ["a" * 10, "a" * 10, "a" * 5]),
        ("e\u0301" * 6, 5, ["e\u0301" * 2] * 3),
        ("क्ष" * 4, 7, ["क्ष" * 2] * 2),
        (f"a{FAMILY}b", 5, ["a", "b"]),
        ("e" + "\u0301" * 9, 5, ["e" + "\u0301" * 4]),
    ],
    ids=[
        "fits",
        "clause",
        "late-clause",
        "space",
        "cjk",
        "arabic",
        "characters",
        "marks",
        "virama",
        "emoji",
        "endless",
    ],
)
def test_a_long_sentence_is_cut_at_the_best_place(sentence: str, limit: int, expected: list[str]) -> None:
    """Clauses come before words, words before characters, and characters stay whole where that is possible."""
    pieces = cut(sentence, at_most(limit))

    assert [piece.text for piece in pieces if piece.translate] == expected
    assert joined(pieces) == sentence


@given(TEXTS, st.integers(1, 12))
def test_cutting_drops_nothing_and_every_piece_fits(sentence: str, limit: int) -> None:
    """Bytes stand for tokens, so that one character may be too long by itself."""

    def fits(piece: str) -> bool:
        return len(piece.encode("utf-8", "surrogatepass")) <= limit

    pieces = cut(sentence, fits)

    assert joined(pieces) == sentence
    assert all(fits(piece.text) and piece.text == piece.text.strip() for piece in pieces if piece.translate)


@given(st.text("ab, .", max_size=200), st.sets(st.integers(0, 30)))
def test_cutting_ends_whatever_fits_says(sentence: str, lengths: set[int]) -> None:
    """Longer pieces may fit where shorter ones do not, or none at all."""
    pieces = cut(sentence, lambda piece: len(piece) in lengths)

    assert joined(pieces) == sentence
    assert all(len(piece.text) in lengths for piece in pieces if piece.translate)


@pytest.mark.parametrize(
    "sentence", ["word " * 20_000, "x" * 100_000, "。" * 100_000], ids=["words", "letters", "marks"]
)
def test_cutting_asks_seldom_and_about_short_pieces(sentence: str) -> None:
    """About log(length) calls a piece, so that a tokenizer behind ``fits`` stays cheap."""
    asked: list[int] = []

    def fits(piece: str) -> bool:
        asked.append(len(piece))
        return len(piece) <= 1000

    pieces = cut(sentence, fits)

    assert len(asked) <= 16 * len(pieces)
    assert max(asked) <= 2048


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "\n",
        "\r\n",
        ". ",
        "-",
        "- ",
        " ",
        ">",
        "1. ",
        "(a) ",
        "你好。",
        "「a。」",
        "'",
        "a.Bc",
        "a. ",
        "т. д. и ",
        "“a. ",
        "`",
        "```\n",
        "A. a\nB. b\n",
        "1.1 ",
        "1.1 A\n",
        "II. ",
        "→ ",
    ],
    ids=ascii,
)
def test_a_megabyte_of_anything_takes_seconds_at_most(unit: str) -> None:
    """Time grows with the length only; squared, most of these would take minutes."""
    text = unit * (1_000_000 // len(unit)) + "a"
    started = time.perf_counter()

    segments = segment(text, "rus_Cyrl")
    pieces = cut(text, at_most(900))

    assert time.perf_counter() - started < 20  # below 3 on an idle core
    assert joined(segments) == joined(pieces) == text


def test_importing_the_segmenter_is_cheap() -> None:
    """It is imported on every cold start."""
    heavy = {"fastapi", "pydantic", "numpy", "ctranslate2", "sentencepiece"}
    code = f"import sys, handler.segmenter; print(sorted({heavy!r} & set(sys.modules)))"

    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert out.stdout.strip() == "[]"


def test_the_bars_of_a_table_stay() -> None:
    """Each cell is text of its own; a bar in another line is part of its sentence."""
    table = "| Good morning. | Thank you. Bye. |\n|---|:-:|\n| Yes | |\nEither | or.\n"

    segments = segment(table, "eng_Latn")

    assert "".join(piece.text for piece in segments) == table
    assert [piece.text for piece in segments if piece.translate] == [
        "Good morning.",
        "Thank you.",
        "Bye.",
        "Yes",
        "Either | or.",
    ]
