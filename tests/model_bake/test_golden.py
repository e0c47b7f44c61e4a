"""The text that models are verified with, and what is made of it."""

import pytest

from handler.detector import detect_language
from handler.languages import FLORES_200
from model_bake.golden import GOLDEN, MOST_REQUESTS, T5_PROMPTS, GoldenRequest, golden_requests

UNSPACED = {"jpn_Jpan", "tha_Thai", "zho_Hans", "zho_Hant"}
QUESTION_MARKS = {
    "arb_Arab": "؟",
    "ell_Grek": ";",
    "jpn_Jpan": "か。",
    "pes_Arab": "؟",
    "tha_Thai": "",
    "urd_Arab": "؟",
}
CURLY_QUOTES = "\u2018\u2019\u201c\u201d\u201e"
TAGS = ["<2de>", "<2en>", "<2ja>", "<2zu>"]


def spoken_in(requests: list[GoldenRequest]) -> set[str]:
    """Return the languages that are source or target of a request."""
    return {code for request in requests for code in (request.source_lang, request.target_lang)}


@pytest.mark.parametrize("code", GOLDEN)
def test_sentences_are_short_and_of_three_kinds(code: str) -> None:
    """A number, a question, a name; and no quotation mark that NLLB's vocabulary lacks."""
    number, question, name = GOLDEN[code]

    assert any(char.isdecimal() for char in number)
    assert question.endswith(QUESTION_MARKS.get(code, ("?", "\uff1f")))
    assert len({number, question, name}) == 3
    for sentence in GOLDEN[code]:
        assert not set(CURLY_QUOTES) & set(sentence)
        assert code in UNSPACED or 6 <= len(sentence.split()) <= 15


@pytest.mark.parametrize("code", GOLDEN)
def test_sentences_are_in_the_language_they_stand_for(code: str) -> None:
    """The server's detector agrees, among all languages there are."""
    assert code in FLORES_200
    assert [detect_language(sentence, deployed=FLORES_200) for sentence in GOLDEN[code]] == [code] * 3


@pytest.mark.parametrize(
    ("languages", "covered"),
    [
        (["eng_Latn"], 1),
        (["eng_Latn", "fra_Latn"], 2),
        (["deu_Latn", "eng_Latn", "fra_Latn", "spa_Latn"], 4),
        (["eng_Latn", "ace_Arab", "ace_Latn", "zul_Latn"], 4),
        (["ace_Arab", "zul_Latn"], 2),
        (sorted(GOLDEN)[:32], 32),
        (sorted(FLORES_200), 32),
    ],
    ids=["one", "two", "four", "one with sentences", "none with sentences", "as many as fit", "all"],
)
def test_requests_reach_as_many_languages_as_they_can(languages: list[str], covered: int) -> None:
    """Sixteen requests have thirty-two ends, and none of them is wasted while a language is left."""
    requests = golden_requests("nllb", languages)

    assert len(requests) == len(set(requests)) <= MOST_REQUESTS
    assert len(spoken_in(requests)) == covered
    assert spoken_in(requests) <= set(languages)
    assert requests == golden_requests("nllb", [*languages, *languages])


def test_four_languages_are_tried_in_every_direction() -> None:
    """While requests are left, they go to pairs that had none."""
    languages = ["deu_Latn", "eng_Latn", "fra_Latn", "spa_Latn"]

    directions = {(request.source_lang, request.target_lang) for request in golden_requests("nllb", languages)}

    assert directions == {(source, target) for source in languages for target in languages if source != target}


def test_text_is_in_the_source_language() -> None:
    """A language without sentences is translated into, never from."""
    requests = golden_requests("nllb", ["eng_Latn", "ace_Arab", "jpn_Jpan"])

    assert all(request.text in GOLDEN[request.source_lang] for request in requests)


def test_one_language_is_its_own_target() -> None:
    """A model of one language can still be compared with its checkpoint."""
    requests = golden_requests("nllb", ["fra_Latn"])

    assert requests == [GoldenRequest(text, "fra_Latn", "fra_Latn") for text in GOLDEN["fra_Latn"]]


def test_english_stands_in_for_languages_without_sentences() -> None:
    """The first deployed code is what it is said to be in."""
    requests = golden_requests("nllb", ["zul_Latn", "ace_Arab"])

    assert {request.text for request in requests} == set(GOLDEN["eng_Latn"])
    assert {(request.source_lang, request.target_lang) for request in requests} == {("zul_Latn", "ace_Arab")}


def test_nothing_to_verify_is_an_error() -> None:
    """No request at all would be a verification that cannot fail."""
    with pytest.raises(ValueError, match="no language"):
        golden_requests("nllb", [])


def test_t5_is_given_its_prompts() -> None:
    """They say themselves what is wanted, so there are no languages."""
    requests = golden_requests("t5", [])

    assert requests == [GoldenRequest(prompt, "", "") for prompt in T5_PROMPTS]
    assert sum("<extra_id_0>" in request.text for request in requests) == 1


def test_t5_cut_to_languages_is_asked_in_its_own_words_for_them() -> None:
    """Every other prompt is English, and needs pieces that may have gone."""
    requests = golden_requests("t5", ["deu_Latn", "rus_Cyrl"])

    heads = {request.text.partition(":")[0] for request in requests}
    assert heads == {"translate German to Russian", "translate Russian to German"}
    assert all(request.source_lang == request.target_lang == "" for request in requests)


@pytest.mark.parametrize(
    ("languages", "tags"),
    [
        (["deu_Latn", "jpn_Jpan"], {"<2de>", "<2ja>"}),
        (["zul_Latn"], {"<2zu>"}),
        (["ace_Arab"], set(TAGS)),
        ([], set(TAGS)),
    ],
    ids=["deployed", "without sentences", "none of the deployed", "nothing deployed"],
)
def test_madlad_is_asked_for_the_deployed_languages(languages: list[str], tags: set[str]) -> None:
    """Its prompt is a tag and a sentence; with no tag of a deployed language, any tag will do."""
    requests = golden_requests("t5", languages, tags=set(TAGS))

    assert {request.text.partition(" ")[0] for request in requests} == tags
    assert len(requests) == len(set(requests)) <= MOST_REQUESTS
    assert requests == golden_requests("t5", languages, tags=TAGS[::-1])


def test_madlad_translates_from_another_language() -> None:
    """A sentence that is in the language of its tag already would show little."""
    requests = golden_requests("t5", ["deu_Latn", "eng_Latn"], tags=TAGS)

    german, english = GOLDEN["deu_Latn"], GOLDEN["eng_Latn"]
    assert {request.text for request in requests} == {f"<2de> {text}" for text in english} | {
        f"<2en> {text}" for text in german
    }


def test_languages_that_have_sentences_come_first_among_many_tags() -> None:
    """MADLAD has over four hundred, and its first in the alphabet are of languages nobody here can read."""
    tags = [f"<2{language}>" for language in "aa ab ace ach ada adh ady af agr ahk ak alt alz de fr".split()]

    requests = golden_requests("t5", [], tags=tags)

    assert [request.text.partition(" ")[0] for request in requests][:3] == ["<2af>", "<2de>", "<2fr>"]
