"""Sentences as NLLB was trained to read them, and nothing lost on the way."""
# ruff: noqa: RUF001 - quotes, dashes and letters that look like others are the point

import time
import unicodedata
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from handler.catalog import build_catalog
from handler.decoding_options import DecodingOptions
from handler.engine import Engine
from handler.loader import load_engine
from handler.normalizer import normalize
from handler.segmenter import segment
from handler.settings import DEMO_MODELS, Family, ModelSettings, Settings
from handler.source import Source, SourceEncoder
from handler.tokenizer import NllbTokenizer, Tokenizer

NLLB = NllbTokenizer(DEMO_MODELS / "nllb-demo" / "sentencepiece.bpe.model")
MARKS = "ab1é中م()（）.!?:;,%'`\"„“”–—´‘’‚…«»\xa0\u202f\u00ad\u200b\u200c\u200d\u200f\ufeff\x00\t \u3000\u0301"
TEXTS = st.one_of(
    st.text(),
    st.text(st.characters(exclude_categories=[])),  # lone surrogates too
    st.text(st.sampled_from(MARKS)),
)

MOSES = {
    "“Hello,” she said.": '"Hello," she said.',
    "„Guten Morgen“, sagte er.": '"Guten Morgen", sagte er.',
    "it’s ‘fine’ ‚so‘ d´accord `x`": "it's 'fine' 'so' d'accord 'x'",
    "pages 5–10 — or more…": "pages 5-10 - or more...",
    "one—two": "one - two",
    "«Привет», сказала она.": '"Привет", сказала она.',
    "«\xa0Bonjour\xa0», dit-il\xa0!": '"Bonjour", dit-il!',
    "Pourquoi\xa0? Parce que\xa0: voilà\xa0;": "Pourquoi? Parce que: voilà;",
    "Attention : voilà ; oui !": "Attention: voilà; oui !",
    "50 % et 50\xa0%": "50% et 50%",
    "a(b)c ( d ) .": "a (b) c (d).",
    "(a) (b), ((c))d": "(a) (b), ((c)) d",
    "  two  spaces\xa0 ": "two spaces",
    "ﬁne ① 𝓕𝔯𝔞𝔫𝔠𝔢𝔰𝔠𝔞": "fine 1 Francesca",
}
"""What sacremoses 0.0.53 and NFKC make of them, with the English rules on quotes and commas and on numbers left out."""

OTHERWISE = {
    "‘‘so’’ ''so''": '"so" "so"',  # Moses puts spaces around the second kind
    "10\xa0000 km": "10 000 km",  # Moses: 10.000, which is ten
    "« Bonjour\u202f», dit-il\u202f!": '" Bonjour", dit-il!',  # Moses does not know the narrow space
    "dit\xa0«\xa0Bonjour\xa0»\xa0et": 'dit "Bonjour" et',  # Moses: dit"Bonjour"et
    "(\xa0so\xa0)": "(so)",  # Moses: ( so )
    "be\u00adhind the\u2060re": "behind there",  # stopes: be hind the re
    "\ufeffשלום\u200f!": "שלום!",  # stopes: a space for the mark of direction
}
"""Where it is done otherwise; why is in the decision record."""

KEPT = {
    "zho_Hans": ("你好，世界！（很）好：“是”。「书」《名》、", '你好,世界!(很)好:"是"。「书」《名》、'),
    "jpn_Jpan": ("「はい」、そうです。", "「はい」、そうです。"),
    "tha_Thai": ("สวัสดี ๆ ฯลฯ", "สวัสดี ๆ ฯลฯ"),
    "arb_Arab": ("مرحبا، كيف حالك؟ نعم؛", "مرحبا، كيف حالك؟ نعم؛"),
    "pes_Arab": ("می\u200cخواهم", "می\u200cخواهم"),
    "sin_Sinh": ("ශ්\u200dරී ලංකා", "ශ්\u200dරී ලංකා"),
    "hin_Deva": ("यह क्या है। क्\u200dष", "यह क्या है। क्\u200dष"),
    "khm_Khmr": ("ភាសា\u200bខ្មែរ។", "ភាសា ខ្មែរ។"),
    "hye_Armn": ("Ինչպե՞ս ես։", "Ինչպե՞ս ես։"),
    "amh_Ethi": ("ሰላም፣ እንዴት ነህ፧", "ሰላም፣ እንዴት ነህ፧"),
    "ell_Grek": ("Τι κάνεις;", "Τι κάνεις;"),
    "vie_Latn": ("Việt e\u0302\u0323", "Việt ệ"),
    "mri_Latn": ("ʻōlelo", "ʻōlelo"),
}
"""Punctuation and joiners of other scripts: only what NFKC unifies changes, as it did in training."""


@pytest.mark.parametrize(("text", "expected"), [*MOSES.items(), *OTHERWISE.items()])
def test_punctuation_and_spaces_are_those_of_the_training_data(text: str, expected: str) -> None:
    """Each rule by an example of it."""
    assert normalize(text) == expected


@pytest.mark.parametrize(("text", "expected"), KEPT.values(), ids=KEPT)
def test_other_scripts_keep_their_marks_and_joiners(text: str, expected: str) -> None:
    """Moses' rules are English, and so are the marks they know."""
    assert normalize(text) == expected


def _letters(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(character for character in decomposed if unicodedata.category(character)[0] in "LN")


@given(TEXTS)
@example("\u037a")
@example("\u3164")
@example("e\u00ad\u0301")
def test_every_letter_and_digit_stays(text: str) -> None:
    """Whatever is given, nothing is raised, and a sentence with letters is not emptied."""
    normalized = normalize(text)

    assert _letters(normalized) == _letters(text)
    assert normalized.strip() or not any(map(str.isalpha, text))


@given(TEXTS)
def test_no_control_character_is_left(text: str) -> None:
    """Nor any kind of white space but the space."""
    for character in normalize(text):
        assert unicodedata.category(character) != "Cc"
        assert character == " " or not character.isspace()


@given(TEXTS.map(lambda text: unicodedata.normalize("NFKC", text)))
def test_what_is_normalised_stays_as_it_is(text: str) -> None:
    """If the text was in NFKC: else that comes last, as in training, and may make what a rule applies to."""
    once = normalize(text)

    assert normalize(once) == once


@pytest.mark.parametrize(
    "text",
    ["e" + "\u0301\u0323" * 50_000, "a" + "\xa0" * 100_000 + "b", "(" * 100_000, "a: " * 33_000, "\xab\xa0" * 50_000],
    ids=["combining characters", "no-break spaces", "brackets", "colons", "guillemets"],
)
def test_time_grows_with_the_length(text: str) -> None:
    """A body may hold a sentence of a million characters; by the square, each of these takes seconds to minutes."""
    start = time.process_time()

    normalize(text)

    assert time.process_time() - start < 1


@pytest.mark.parametrize("length", [250, 256, 257, 600])
def test_a_long_sentence_is_composed_between_words(length: int) -> None:
    """Where it is taken apart for NFKC shows nowhere."""
    text = "e\u0302\u0323 " * length

    assert normalize(text) == unicodedata.normalize("NFKC", text).strip()


@given(st.text(), st.sampled_from(["</s>", "fra_Latn", "＜/s＞", "ｆｒａ＿Ｌａｔｎ", "<\u00adunk>", "<\u2060pad>"]))
def test_no_text_becomes_a_control_token(text: str, typed: str) -> None:
    """Also what looks like one only when it is normalised."""
    tokens = _source(f"{text}{typed}").sentences

    for sentence in tokens:
        assert (sentence[0], sentence[-1]) == ("eng_Latn", "</s>")
        assert not {"<s>", "</s>", "<pad>", "<mask>", "fra_Latn", "eng_Latn"} & set(sentence[1:-1])


class _Recorder:
    """A tokenizer of one token a character, which knows what it was given."""

    def __init__(self) -> None:
        self.given: list[str] = []

    def encode(self, text: str, source_lang: str) -> list[str]:
        self.given.append(text)
        return [source_lang, *text, "</s>"]

    def decode(self, tokens: Sequence[str]) -> str:
        return "".join(tokens)


def _source(
    text: str, *, tokenizer: Tokenizer = NLLB, family: Family = "nllb", most: int = 256, normalize: bool = True
) -> Source:
    encoder = SourceEncoder(tokenizer, family=family, max_source_tokens=most, normalize=normalize)
    return encoder.encode(text, "eng_Latn", "fra_Latn")


@given(TEXTS)
def test_gaps_are_those_of_the_text_as_it_was_written(text: str) -> None:
    """Only what the model reads is normalised: no-break spaces and line breaks between sentences stay."""
    gaps = [piece.text for piece in segment(text, "eng_Latn") if not piece.translate]

    parts = [part for part in _source(text, tokenizer=_Recorder(), most=1 << 20).parts if isinstance(part, str)]

    assert [part for part in parts if part != " "] == [gap for gap in gaps if gap != " "]


def test_a_sentence_is_read_normalised_and_its_surroundings_are_not() -> None:
    """By example."""
    source = _source("\xa0“One.”\xa0\u2028\u2013 ‘Two’…\n", tokenizer=_Recorder())

    assert ["".join(sentence[1:-1]) for sentence in source.sentences] == ['"One."', "'Two'..."]
    assert source.parts == ["\xa0", 0, "\xa0\u2028\u2013 ", 1, "\n"]


@pytest.mark.parametrize("most", [12, 13, 40])
def test_a_long_sentence_is_cut_by_what_the_model_will_read(most: int) -> None:
    """An ellipsis is three characters to the model, and a soft hyphen none."""
    text = "well… so… be\u00ad\u00adhind… “here”… and… there…"

    source = _source(text, tokenizer=_Recorder(), most=most)

    assert all(len(sentence) <= most for sentence in source.sentences)
    pieces = [part if isinstance(part, str) else "".join(source.sentences[part][1:-1]) for part in source.parts]
    assert "".join(pieces) == 'well... so... behind... "here"... and... there...'
    assert source.tokens == sum(map(len, source.sentences))


def test_a_sentence_that_fits_only_when_it_is_normalised_is_whole() -> None:
    """Length counts after normalisation."""
    text = "un\u00adbe\u00adliev\u00adable"

    assert len(_source(text, tokenizer=_Recorder(), most=14).sentences) == 1
    assert len(_source(text, tokenizer=_Recorder(), most=13).sentences) == 2
    assert len(_source(text, tokenizer=_Recorder(), most=14, normalize=False).sentences) == 2


def test_t5_reads_what_was_written() -> None:
    """Its tokenizer is all the preparation it was trained with."""
    recorder = _Recorder()

    _source("translate: “One”… (two)\xa0!", tokenizer=recorder, family="t5")

    assert recorder.given == ["translate: “One”… (two)\xa0!"]


def test_a_curly_and_a_straight_quote_are_one_to_the_model(nllb: Engine) -> None:
    """Same tokens, same answer."""
    answers = [
        nllb.translate(text, source_lang="eng_Latn", target_lang="fra_Latn", options=DecodingOptions())
        for text in ("I don’t un\u00adder\u00adstand.", "I don't understand.")
    ]

    assert answers[0].choices == answers[1].choices
    assert answers[0].prompt_tokens == answers[1].prompt_tokens


def test_an_operator_may_switch_it_off() -> None:
    """For all models, or for one."""
    table = ModelSettings(path=DEMO_MODELS / "nllb-demo", normalize=False)
    off = build_catalog(Settings(models={"off": table}))
    engine, _ = load_engine(off.models["off"])
    text = "un\u00adder\u00adstand"

    answer = engine.translate(text, source_lang="eng_Latn", target_lang="fra_Latn", options=DecodingOptions())

    assert answer.prompt_tokens == len(NLLB.encode(text, "eng_Latn"))
    assert not build_catalog(Settings(normalize=False)).models["nllb-demo"].normalize
    assert build_catalog(Settings()).models["nllb-demo"].normalize
