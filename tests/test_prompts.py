"""Messages to prompts: which convention names the languages, and what is left as source text."""

from typing import Any

import pytest

from handler.errors import InvalidRequestError, MissingTargetLanguageError, UnsupportedLanguageError
from handler.prompts import Named, Prompt, nllb_prompt, parse_suffix, t5_prompt
from handler.schemas import ChatCompletionRequest

DEPLOYED = frozenset({"deu_Latn", "eng_Latn", "fra_Latn", "spa_Latn"})
GERMAN = "Wo ist der Bahnhof?"


def _request(content: object, *, system: str | None = None, **fields: Any) -> ChatCompletionRequest:
    messages: list[dict[str, object]] = [] if system is None else [{"role": "system", "content": system}]
    messages.append({"role": "user", "content": content})
    return ChatCompletionRequest.model_validate({"messages": messages, **fields})


def _prompt(
    request: ChatCompletionRequest,
    *,
    suffix: Named | None = None,
    source: str = "eng_Latn",
    target: str | None = None,
) -> Prompt:
    return nllb_prompt(request, suffix=suffix, default_source=source, default_target=target, deployed=DEPLOYED)


PART = {"type": "text", "text": "Hi", "source_lang_code": "es", "target_lang_code": "de"}
KWARGS = {"source_lang_code": "fr", "target_lang_code": "es"}
SUFFIX = Named("deu_Latn", "fra_Latn", "model", "model")
INSTRUCTED = "Translate from French to German: Hi"
SYSTEM = "You translate German to Spanish."


@pytest.mark.parametrize(
    ("prompt", "languages"),
    [
        (_prompt(_request([PART], source_lang="fr", target_lang="en"), suffix=SUFFIX), ("fra_Latn", "eng_Latn")),
        (_prompt(_request([PART], chat_template_kwargs=KWARGS), suffix=SUFFIX), ("spa_Latn", "deu_Latn")),
        (_prompt(_request(INSTRUCTED, chat_template_kwargs=KWARGS), suffix=SUFFIX), ("fra_Latn", "spa_Latn")),
        (_prompt(_request(INSTRUCTED, system=SYSTEM), suffix=SUFFIX), ("deu_Latn", "fra_Latn")),
        (_prompt(_request(INSTRUCTED, system=SYSTEM), target="eng_Latn"), ("fra_Latn", "deu_Latn")),
        (_prompt(_request("Hi", system=SYSTEM), target="eng_Latn"), ("deu_Latn", "spa_Latn")),
        (_prompt(_request("Hi", system="Be brief."), target="fra_Latn"), ("eng_Latn", "fra_Latn")),
        (_prompt(_request(INSTRUCTED, target_lang="es")), ("fra_Latn", "spa_Latn")),
    ],
    ids=["body", "part", "kwargs", "suffix", "user", "system", "configured", "source and target from two"],
)
def test_the_first_convention_that_names_a_language_wins(prompt: Prompt, languages: tuple[str, str]) -> None:
    """Whichever comes later is not asked; the instruction is no text in any case."""
    assert (prompt.source_lang, prompt.target_lang) == languages
    assert prompt.text == "Hi"


def test_a_target_is_never_guessed() -> None:
    """Nobody names one: an error that says how to."""
    with pytest.raises(MissingTargetLanguageError, match="target_lang"):
        _prompt(_request("Hello", source_lang="eng_Latn"))


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (_request("Hi", target_lang="klingon"), "target_lang"),
        (_request("Hi", target_lang="fr", source_lang="xx-Yyyy"), "source_lang"),
        (_request("Hi", chat_template_kwargs={"target_lang_code": "zu"}), "chat_template_kwargs.target_lang_code"),
        (_request([{**PART, "target_lang_code": "zu"}]), "messages[0].content[0].target_lang_code"),
        (_request("Translate to Klingon: Hi"), "messages"),
        (_request("Translate to Zulu: Hi"), "messages"),
    ],
    ids=["target", "source", "kwargs", "part", "unknown in an instruction", "undeployed in an instruction"],
)
def test_an_unknown_language_is_an_error_at_its_field(request_: ChatCompletionRequest, param: str) -> None:
    """With the codes that would have worked."""
    with pytest.raises(UnsupportedLanguageError, match="nearest are") as caught:
        _prompt(request_)

    assert caught.value.param == param


@pytest.mark.parametrize("name", ["source_lang_code", "target_lang_code"])
def test_parts_in_different_languages_are_an_error(name: str) -> None:
    """They are one text; translating all of them as one of the languages would be wrong for the others."""
    other = {**PART, name: "fr"}

    with pytest.raises(InvalidRequestError, match=f"'{name}' is '.*' and 'fr'") as caught:
        _prompt(_request([PART, other, {"type": "text", "text": "x"}]))

    assert caught.value.param == "messages[0].content"


def test_words_like_an_instruction_are_text_where_the_target_is_known_and_theirs_is_not() -> None:
    """Somebody translates a sentence about Klingon."""
    prompt = _prompt(_request("Translate to Klingon: Hi", target_lang="fr"))

    assert prompt == Prompt("Translate to Klingon: Hi", "eng_Latn", "fra_Latn")


@pytest.mark.parametrize(
    ("request_", "source", "expected"),
    [
        (_request(GERMAN, target_lang="fr", source_lang="auto"), "eng_Latn", "deu_Latn"),
        (_request(GERMAN, target_lang="fr", source_lang=" AUTO "), "eng_Latn", "deu_Latn"),
        (_request(GERMAN, target_lang="fr"), "auto", "deu_Latn"),
        (_request(GERMAN, target_lang="fr"), "spa_Latn", "spa_Latn"),
        (_request("12:30", target_lang="fr"), "auto", "eng_Latn"),
    ],
    ids=["asked for", "any case", "configured", "configured otherwise", "nothing to tell it by"],
)
def test_the_source_language_is_detected_on_request(
    request_: ChatCompletionRequest, source: str, expected: str
) -> None:
    """By the request or by the configuration, which never fails for it."""
    assert _prompt(request_, source=source).source_lang == expected


def test_what_cannot_be_detected_is_an_error_for_a_client_that_asked() -> None:
    """It learns that it has to say."""
    with pytest.raises(InvalidRequestError) as caught:
        _prompt(_request("12:30", target_lang="fr", source_lang="auto"))

    assert caught.value.param == "source_lang"


def test_without_english_another_deployed_language_stands_in() -> None:
    """A model of two languages has no English to fall back on."""
    request = _request("12:30", target_lang="fr")

    prompt = nllb_prompt(request, default_source="auto", default_target=None, deployed={"fra_Latn", "deu_Latn"})

    assert prompt.source_lang == "deu_Latn"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("One.", "One."),
        ([{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}], "One.\nTwo."),
        ([{"type": "text", "text": ""}], ""),
        ("", ""),
    ],
    ids=["string", "parts", "empty part", "empty"],
)
def test_the_text_is_the_last_user_messages(content: object, text: str) -> None:
    """Parts are joined with a line break; other roles are left out."""
    messages = [
        {"role": "user", "content": "Earlier."},
        {"role": "assistant", "content": "Plus tôt."},
        {"role": "user", "content": content},
        {"role": "tool", "content": "Nothing."},
        {"role": "assistant", "content": None},
    ]
    request = ChatCompletionRequest.model_validate({"messages": messages, "target_lang": "fr"})

    assert _prompt(request).text == text
    assert t5_prompt(request).text == text


@pytest.mark.parametrize(
    "content", [None, [], [{"type": "refusal", "refusal": "No."}]], ids=["null", "no parts", "refusal"]
)
def test_a_user_message_without_text_is_an_error(content: object) -> None:
    """There is nothing to translate, and nobody meant to say nothing."""
    with pytest.raises(InvalidRequestError, match="no text"):
        _prompt(_request(content, target_lang="fr"))


def test_a_conversation_without_a_user_is_an_error() -> None:
    """A system message alone is no text."""
    request = ChatCompletionRequest.model_validate({"messages": [{"role": "system", "content": "x"}]})

    with pytest.raises(InvalidRequestError, match="'user'"):
        t5_prompt(request)


def test_t5_gets_system_and_developer_messages_as_its_prefix() -> None:
    """In their order, a space between."""
    messages = [
        {"role": "system", "content": "translate English to German:\n"},
        {"role": "developer", "content": [{"type": "text", "text": "formally:"}]},
        {"role": "user", "content": "Hi"},
    ]

    assert t5_prompt(ChatCompletionRequest.model_validate({"messages": messages})).text == (
        "translate English to German: formally: Hi"
    )


@pytest.mark.parametrize(
    ("suffix", "source", "target"),
    [
        ("fra_Latn", None, "fra_Latn"),
        ("eng_Latn-fra_Latn", "eng_Latn", "fra_Latn"),
        ("en-fr", "en", "fr"),
        ("zh-TW-pt-BR", "zh-TW", "pt-BR"),
        ("auto-fr", "auto", "fr"),
        ("zh-TW", None, "zh-TW"),
        ("zh-tw", None, "zh-tw"),
        ("fr-CA", None, "fr-CA"),
        ("fr-ca", "fr", "ca"),
        ("en-zh-TW", "en", "zh-TW"),
        ("en-zh-tw", "en", "zh-tw"),
        ("pt-BR", None, "pt-BR"),
        ("en-pt-BR", "en", "pt-BR"),
        ("en-pt-br", "en", "pt-br"),
        ("en-fr-CA", "en", "fr-CA"),
        ("en-US-fr", "en-US", "fr"),
        ("zh-Hant", None, "zh-Hant"),
        ("zh-Hant-en", "zh-Hant", "en"),
        ("en-us-fr-fr", "en-us", "fr-fr"),
        ("auto-FR", "auto", "FR"),
        ("EN-FR", "EN", "FR"),
    ],
)
def test_a_suffix_names_the_target_or_both(suffix: str, source: str | None, target: str) -> None:
    """A hyphen may be part of a language."""
    named = parse_suffix(suffix)

    assert named is not None
    assert (named.source, named.target) == (source, target)


@pytest.mark.parametrize("suffix", ["en-fr-de", "EN-FR-DE", "en-fr-ca", "eng-fra-deu", "auto-fr-de", "en-FR-CA"])
def test_a_suffix_that_could_be_read_in_several_ways_is_not_guessed_at(suffix: str) -> None:
    """From English into the French of Germany, or from the English of France into German: the client has to say."""
    assert parse_suffix(suffix) is None


@pytest.mark.parametrize("suffix", ["", "-", "latest", "en-", "-fr", "7b-q4"])
def test_other_suffixes_name_nothing(suffix: str) -> None:
    """Tags of model names are no languages."""
    assert parse_suffix(suffix) is None
