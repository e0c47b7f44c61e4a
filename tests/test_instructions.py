"""Instructions in words: which messages are one, what languages they name, and which text is left."""

import sys
from collections.abc import Callable
from types import FrameType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from handler.errors import UnsupportedLanguageError
from handler.instructions import Instruction, parse_system_instruction, parse_user_instruction

TRANSLATE_GEMMA = (
    "You are a professional {0} to {1} translator. Your goal is to accurately convey the meaning and nuances of the "
    "original {2} text while adhering to {3} grammar, vocabulary, and cultural sensitivities.\nProduce only the {3} "
    "translation, without any additional explanations or commentary. Please translate the following {2} text into {3}:"
)
"""The prompt of TranslateGemma's model card."""

IMMERSIVE_TRANSLATE = """\
You are a professional French native translator who needs to fluently translate text into French.

## Translation Rules
1. Output only the translated content, without explanations or additional content
2. The returned translation must maintain exactly the same number of paragraphs and format as the original text
3. If the text contains HTML tags, consider where the tags should be placed in the translation
4. If input contains %%, use %% in your output
"""
"""The system prompt of the Immersive Translate extension, abridged."""

PERSONA = "You are a professional German native translator who needs to fluently translate text into German."
ASSISTANT = "You are a helpful assistant that translates English to German."

USER = {
    "Translate from English to French: Hello": ("eng_Latn", "fra_Latn", "Hello"),
    "Translate English to French: Hello": ("eng_Latn", "fra_Latn", "Hello"),
    "translate english to french:Hello": ("eng_Latn", "fra_Latn", "Hello"),
    "TRANSLATE TO FRENCH: Hello": (None, "fra_Latn", "Hello"),
    "Translate to French : Hello": (None, "fra_Latn", "Hello"),
    "Translate to French\uff1aHello": (None, "fra_Latn", "Hello"),
    "Translate to French:\n\nHello": (None, "fra_Latn", "Hello"),
    "Translate to French:\r\n\r\nHello\r\n": (None, "fra_Latn", "Hello\r\n"),
    "Translate to French:\n\n  - one\n  - two\n": (None, "fra_Latn", "  - one\n  - two\n"),
    "Translate to French\nHello": (None, "fra_Latn", "Hello"),
    "\n Translate to French: Hello ": (None, "fra_Latn", "Hello "),
    "Translate into French: at 12:30, note: two": (None, "fra_Latn", "at 12:30, note: two"),
    "Translate this to French: Hello": (None, "fra_Latn", "Hello"),
    "Translate it to English: ciao": (None, "eng_Latn", "ciao"),
    "Translate the following text into French: Hello": (None, "fra_Latn", "Hello"),
    "Translate the following sentence from English into French: Hello": ("eng_Latn", "fra_Latn", "Hello"),
    "Translate the following English text into French:\nHello": ("eng_Latn", "fra_Latn", "Hello"),
    "Translate the text in English to French: Hello": ("eng_Latn", "fra_Latn", "Hello"),
    "Translate to French from English: Hello": ("eng_Latn", "fra_Latn", "Hello"),
    "Translate into French the following text: Hello": (None, "fra_Latn", "Hello"),
    "Translate this in French: Hello": (None, "fra_Latn", "Hello"),
    "Translate from English: Hello": ("eng_Latn", None, "Hello"),
    "Please translate this message to French: Hello": (None, "fra_Latn", "Hello"),
    "Could you please translate this paragraph to French?\n\nHello": (None, "fra_Latn", "Hello"),
    "Translate the following segment into French, without additional explanation.\n\nHello.\nYou": (
        None,
        "fra_Latn",
        "Hello.\nYou",
    ),
    "Translate to French (output translation only):\n\nHello": (None, "fra_Latn", "Hello"),
    "Translate to French, please: Hello": (None, "fra_Latn", "Hello"),
    "Translate to natural French: Hello": (None, "fra_Latn", "Hello"),
    "Translate to French (formal): Hello": (None, "fra_Latn", "Hello"),
    'Translate to "French": "Hello"': (None, "fra_Latn", '"Hello"'),
    "Translate \u201cEnglish\u201d to \u00abFrench\u00bb: Hello": ("eng_Latn", "fra_Latn", "Hello"),
    "Translate **English** to **French**: **Hello**": ("eng_Latn", "fra_Latn", "**Hello**"),
    "translate en to fr: Hello": ("eng_Latn", "fra_Latn", "Hello"),
    "translate en->fr: Hello": ("eng_Latn", "fra_Latn", "Hello"),
    "Translate from eng_Latn to fra_Latn: Hello": ("eng_Latn", "fra_Latn", "Hello"),
    "Translate to zh-TW: Hello": (None, "zho_Hant", "Hello"),
    "Translate to Chinese (Traditional): Hello": (None, "zho_Hant", "Hello"),
    "Translate to Brazilian Portuguese: Hello": (None, "por_Latn", "Hello"),
    "Translate from Portuguese (pt-BR) to English (en): ol\u00e1": ("por_Latn", "eng_Latn", "ol\u00e1"),
    "Translate to French: Translate to German: Hello": (None, "fra_Latn", "Translate to German: Hello"),
    "You are a translation engine. Translate to German: one\n\ntwo": (None, "deu_Latn", "one\n\ntwo"),
    TRANSLATE_GEMMA.format("English (en)", "French (fr)", "English", "French") + "\n\n\nHello\n\nyou": (
        "eng_Latn",
        "fra_Latn",
        "Hello\n\nyou",
    ),
    TRANSLATE_GEMMA.format("English (en)", "Chinese (zh-TW)", "English", "Chinese") + "\n\n\nHello": (
        "eng_Latn",
        "zho_Hant",
        "Hello",
    ),
    f"{PERSONA}\n\nHello": (None, "deu_Latn", "Hello"),
    f"{PERSONA}\n\nTranslate to German:\n\nHello": (None, "deu_Latn", "Hello"),
    f"{PERSONA}\r\n \r\n  - one\r\n\r\ntwo\r\n": (None, "deu_Latn", "  - one\r\n\r\ntwo\r\n"),
    f"{ASSISTANT}\n\nHello": ("eng_Latn", "deu_Latn", "Hello"),
    f"\n{ASSISTANT.lower()} Be brief.\n\n\nHello": ("eng_Latn", "deu_Latn", "Hello"),
    f"{ASSISTANT}\n\nTranslate to German: Hello": ("eng_Latn", "deu_Latn", "Hello"),
    f"{ASSISTANT}\n\nTranslate to French: Hello": (None, "fra_Latn", "Hello"),
    f"{ASSISTANT}\n\nTranslate from Spanish: Hello": ("spa_Latn", "deu_Latn", "Hello"),
    f"{ASSISTANT}\n\nHello\n\nTranslate to French: Hi": (
        "eng_Latn",
        "deu_Latn",
        "Hello\n\nTranslate to French: Hi",
    ),
    f"{IMMERSIVE_TRANSLATE}\nTranslate to French:\n\nHello": (None, "fra_Latn", "Hello"),
    "Act as a French to English interpreter, who translates with care.\n\nBonjour": ("fra_Latn", "eng_Latn", "Bonjour"),
    "Translate the following source text to French, Output translation directly without any additional text.\n"
    "Source Text: Dear: you\nand me\n\nTranslated Text:": (None, "fra_Latn", "Dear: you\nand me"),
    "Translate the following text from Portuguese into English.\nPortuguese: Um grupo.\nEnglish:": (
        "por_Latn",
        "eng_Latn",
        "Um grupo.",
    ),
    "Translate this from Chinese to English:\r\nChinese: \u6211\r\nEnglish: ": ("zho_Hans", "eng_Latn", "\u6211"),
    "Translate to French:\nText: Hello": (None, "fra_Latn", "Text: Hello"),
    "Translate to French:\nText: \nTranslation:": (None, "fra_Latn", "Text: \nTranslation:"),
    "Translate to French:\nText: Hello\nNote:": (None, "fra_Latn", "Text: Hello\nNote:"),
    'Translate to French, output only the "translation": Hello': (None, "fra_Latn", "Hello"),
    "Translate to French:\nHello\nTranslation:": (None, "fra_Latn", "Hello\nTranslation:"),
    "\u628a\u4e0b\u9762\u7684\u6587\u672c\u7ffb\u8bd1\u6210\u6cd5\u8bed\uff0c"
    "\u4e0d\u8981\u989d\u5916\u89e3\u91ca\u3002\n\nHello": (None, "fra_Latn", "Hello"),
    "\u5c06\u4ee5\u4e0b\u6587\u672c\u7ffb\u8bd1\u4e3a\u82f1\u8bed\uff0c\u6ce8\u610f\u53ea\u9700\u8981"
    "\u8f93\u51fa\u7ffb\u8bd1\u540e\u7684\u7ed3\u679c\uff1a\n\n\u4f60\u597d": (None, "eng_Latn", "\u4f60\u597d"),
}

TEXT_ONLY = [
    "",
    "Hello",
    "Translate",
    "Translate to",
    "Translate to: Hello",
    "Translate the following text: Hello",
    "Translate to French",
    "Translate to French.",
    "Translate to French:",
    "Translate to French: \r\n ",
    "Translate to French. Hello",
    "Translate to the best of your ability.",
    "Translate to the best of your ability:\nHello",
    "Translate this letter for me, please.",
    "Translate this letter for me, please.\n\nDear Sir",
    "Translate to survive.\nThat is the motto",
    "Translate to English or die.\nHe laughed",
    "Translate to French, they told me.\nSo I did.",
    "Translate to Paris, he said.\nShe laughed",
    "Translate to French and back: a method",
    "Translate to me: she begged",
    "Translate to simple words: a guide",
    "Translate poems to French: a guide",
    "Translate the Bible into English: a history",
    "Translate the mission into action.\nIt is hard",
    "How to translate to French: a guide",
    "I translate to French: it pays",
    "To translate to French: press the button",
    "English to French: a short history",
    "You are late. Translate to nothing",
    "You are a translator.\n\nTranslate to French: Hello",
    "You are a translator.\n\nHello",
    PERSONA,
    f"{PERSONA}\n\n \n",
    f"{PERSONA}\nHello",
    f"{PERSONA}\r\nHello",
    f"{PERSONA} Hello",
    f"{PERSONA}\n\nTranslate to German:",
    f"{PERSONA}\n\nTranslate to German:\n\n",
    f"He said:\n{ASSISTANT}\n\nHello",
    f"Hello\n\n{ASSISTANT}\n\nHello",
    IMMERSIVE_TRANSLATE,
    f"{IMMERSIVE_TRANSLATE}\nHello",
    "You are a good friend who translates English to German.\n\nThank you",
    "You are the assistant who translates English to German.\n\nThank you",
    "You are an English to German translator, and I need one.\n\nAnna",
    "You are an English to German translator?\n\nAnna",
    "You are a good translator!\nYou translate English to German!\n\nAnna",
    "You are an assistant. Everything is translated from English to German.\n\nAnna",
    "You are a translator who has moved to Germany.\n\nAnna",
    "You are a bilingual expert who knows English and German.\n\nAnna",
    "x" * 2000 + " Translate to French: Hello",
    " " * 2000 + "Translate to French: Hello",
    "\u628a\u4e0b\u9762\u7684\u5185\u5bb9\u7ffb\u8bd1\u6210\u6545\u4e8b\u3002\n\u4f60\u597d",
    "\u628a\u4e0b\u9762\u7684\u6587\u672c\u7ffb\u8bd1\u6210\u6cd5\u8bed\uff1a\n",
]

UNKNOWN_IN_USER = {
    "Translate to Klingon: Hello": "Klingon",
    "translate to klingon: Hello": "klingon",
    "Translate to 'Klingon': Hello": "Klingon",
    "Translate to Klingon (pIqaD): Hello": "Klingon (pIqaD)",
    "Translate to Klingon.\n\nHello": "Klingon",
    "You are a helpful assistant that translates English to Klingon.\n\nHello": "Klingon",
    "Translate to Klingon, without additional explanation.\n\nHello": "Klingon",
    "Translate from Klingon to French: Hello": "Klingon",
    "Translate Klingon to French: Hello": "Klingon",
    "Translate the following Klingon text into French: Hello": "Klingon",
    "Translate to Swiss German: Hello": "Swiss German",
    "Translate to swiss german: Hello": "swiss german",
    "Translate to Old English:\nHello": "Old English",
    "Translate to xx-YY: Hello": "xx-YY",
    "Translate to sr-Latn: Hello": "sr-Latn",
    "Translate to Serbian (Latin): Hello": "Serbian (Latin)",
    "Translate to Serbian Latin: Hello": "Serbian Latin",
    "\u628a\u4e0b\u9762\u7684\u6587\u672c\u7ffb\u8bd1\u6210\u706b\u661f\u8bed\uff1aHello": "\u706b\u661f\u8bed",
}

SYSTEM = {
    "You translate English to French": ("eng_Latn", "fra_Latn"),
    "You are an assistant that translates English to French.": ("eng_Latn", "fra_Latn"),
    "You are a translator that translates from English to French.": ("eng_Latn", "fra_Latn"),
    IMMERSIVE_TRANSLATE: (None, "fra_Latn"),
    "You are a professional French native translator.": (None, "fra_Latn"),
    "You are a native French translator.": (None, "fra_Latn"),
    "You are a translation engine. Translate to German.": (None, "deu_Latn"),
    "Translate the user's messages into Spanish.": (None, "spa_Latn"),
    "Translate the user\u2019s messages into Spanish": (None, "spa_Latn"),
    "You are a professional English (en) to French (fr) translator. Be precise.": ("eng_Latn", "fra_Latn"),
    TRANSLATE_GEMMA.format("English (en)", "Chinese (zh-TW)", "English", "Chinese"): ("eng_Latn", "zho_Hant"),
    "You are an expert English to French translator": ("eng_Latn", "fra_Latn"),
    "You are an English-French translator.": ("eng_Latn", "fra_Latn"),
    "Any text that the user sends, you translate to English.": (None, "eng_Latn"),
    "Translate user input from English into French. Reply in French.": ("eng_Latn", "fra_Latn"),
    "Translate the text in English to French.": ("eng_Latn", "fra_Latn"),
    "Translate the following in French.": (None, "fra_Latn"),
    "Translate everything to Traditional Chinese and keep the formatting.": (None, "zho_Hant"),
    "translate to Chinese. You translate to Chinese (zh-TW).": (None, "zho_Hant"),
    "translate it to French": (None, "fra_Latn"),
    'Translate "English" to "French".': ("eng_Latn", "fra_Latn"),
    "You translate what is said en route to French.": (None, "fra_Latn"),
    "Translate what it is to fr": (None, "fra_Latn"),
    "translate en to it": ("eng_Latn", "ita_Latn"),
    "English to French": ("eng_Latn", "fra_Latn"),
    "From English to French.": ("eng_Latn", "fra_Latn"),
    "en -> fr": ("eng_Latn", "fra_Latn"),
    "en\u2192fr": ("eng_Latn", "fra_Latn"),
    "eng_Latn-fra_Latn": ("eng_Latn", "fra_Latn"),
}

NO_TARGET = [
    "",
    "You are a helpful assistant.",
    "You are a translator.",
    "You are a native translator.",
    "You are a French cook. Answer to French customers in French.",
    "You are a translator who talks to French people.",
    "You translate text to be read aloud.",
    "You translate what is said, as it is to be.",
    "Translate to survive.",
    "Translate documents for people who moved to Paris.",
    "If the text is French translate it to English, otherwise translate to French.",
    "English to French\nFrench to English",
    "zh-Hant",
    "snake_case-name",
    "x" * 5000 + ". Translate to French.",
]

UNKNOWN_IN_SYSTEM = [
    "You translate to Klingon.",
    "You translate English to Klingon.",
    "Translate the text into Klingon",
]

HOSTILE = [
    f"{ASSISTANT}\n\n",
    f"{ASSISTANT} ",
    f"{ASSISTANT}\n\n# rules\n\n" + "translate to a\n\n" * 80,
    "You are a translator ",
    "translate ",
    "translate to ",
    "Translate to French ",
    "to ",
    "to a. ",
    "translate to a. ",
    "you are translated. translate to b c. ",
    "translate the ",
    "translate to '",
    "en-",
    "(",
    "\n",
    " ",
    "a",
    "\u628a\u4e0b\u9762",
]


def _id(text: str) -> str:
    return ascii(text[:60])


@pytest.mark.parametrize(("message", "expected"), USER.items(), ids=[_id(text) for text in USER])
def test_an_instruction_at_the_start_of_a_user_message_is_taken_off_the_text(
    message: str, expected: tuple[str | None, str | None, str]
) -> None:
    """The languages become codes and the text stays as it was written."""
    assert parse_user_instruction(message) == Instruction(*expected)


@pytest.mark.parametrize("message", TEXT_ONLY, ids=[_id(text) for text in TEXT_ONLY])
def test_a_message_that_only_resembles_an_instruction_is_text(message: str) -> None:
    """Sentences about translating, and instructions without a text, are translated like any other."""
    assert parse_user_instruction(message) is None


@pytest.mark.parametrize(("message", "language"), UNKNOWN_IN_USER.items(), ids=[_id(text) for text in UNKNOWN_IN_USER])
def test_an_instruction_that_names_an_unknown_language_is_an_error(message: str, language: str) -> None:
    """Translating "Translate to Klingon: Hello" itself would hide the mistake."""
    with pytest.raises(UnsupportedLanguageError) as caught:
        parse_user_instruction(message)

    assert caught.value.language == language
    assert caught.value.param == "messages"


@pytest.mark.parametrize(("message", "expected"), SYSTEM.items(), ids=[_id(text) for text in SYSTEM])
def test_a_system_message_is_searched_for_languages(message: str, expected: tuple[str | None, str]) -> None:
    """Wherever the sentence stands, the languages it names are found."""
    assert parse_system_instruction(message) == Instruction(*expected, None)


@pytest.mark.parametrize("message", NO_TARGET, ids=[_id(text) for text in NO_TARGET])
def test_a_system_message_without_one_clear_target_names_none(message: str) -> None:
    """A target is never guessed, least of all between two."""
    assert parse_system_instruction(message) is None


@pytest.mark.parametrize("message", UNKNOWN_IN_SYSTEM)
def test_a_system_message_that_names_an_unknown_language_is_an_error(message: str) -> None:
    """The language is named as clearly as in a user message."""
    with pytest.raises(UnsupportedLanguageError, match="Klingon"):
        parse_system_instruction(message)


def test_languages_are_those_the_model_serves() -> None:
    """A model's own codes count, the rest of FLORES-200 does not."""
    deployed = ["eng_Latn", "zho_Hant", "my_code"]

    assert parse_user_instruction("Translate to Chinese: Hi", deployed=deployed) == Instruction(None, "zho_Hant", "Hi")
    assert parse_user_instruction("Translate to my_code: Hi", deployed=deployed) == Instruction(None, "my_code", "Hi")
    with pytest.raises(UnsupportedLanguageError, match="French"):
        parse_user_instruction("Translate to French: Hi", deployed=deployed)
    with pytest.raises(UnsupportedLanguageError, match="French"):
        parse_system_instruction("You translate to French.", deployed=deployed)


def _calls(work: Callable[[], object]) -> int:
    """Count the Python functions that ``work`` calls; unlike seconds, the same on every machine."""
    count = 0

    def trace(_frame: FrameType, event: str, _arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    previous = sys.getprofile()
    sys.setprofile(trace)
    try:
        work()
    except UnsupportedLanguageError:
        pass
    finally:
        sys.setprofile(previous)
    return count


@pytest.mark.parametrize("parse", [parse_user_instruction, parse_system_instruction], ids=["user", "system"])
@pytest.mark.parametrize("unit", HOSTILE, ids=[_id(unit) for unit in HOSTILE])
def test_work_does_not_grow_with_the_message(unit: str, parse: Callable[[str], Instruction | None]) -> None:
    """Beyond the head, ten times the text takes no more steps."""
    short, long = unit * (100_000 // len(unit)), unit * (1_000_000 // len(unit))
    parse_user_instruction("Translate to French: Hello")  # fills the indexes

    steps = _calls(lambda: parse(short))

    assert steps < 100_000
    # The slack is for the garbage collector's callbacks, which are counted too.
    assert _calls(lambda: parse(long)) <= steps + 500


_words = st.sampled_from(
    ["translate", "Translate", "you are", "to", "into", "in", "from", "native", "translator", "the", "text", "French",
     "You are a", "You are an assistant", "that translates English to German.", "\n\n", "# rules",
     "fr", "en", "Klingon", "it", "Chinese", "(", ")", '"', ":", ".", ",", "->", "-", "\n", "\r\n", "\r", "output only"]
)  # fmt: skip
_sentences = st.lists(_words, max_size=25).map(" ".join)


@given(st.text() | _sentences | st.tuples(_sentences, st.text()).map("".join))
@example("Translate to French:\n\r\n \u2003x")
@example("Translate to French:\nText:\nx\nTranslation:")
def test_the_text_is_always_a_slice_of_the_message(message: str) -> None:
    """Nothing is rewritten, whatever the message; without labels around it, the text runs to the message's end."""
    try:
        instruction = parse_user_instruction(message)
    except UnsupportedLanguageError:
        return
    if instruction is not None:
        assert instruction.text
        assert instruction.text.strip()
        assert instruction.text in message
        assert message.endswith(instruction.text) or message.rstrip().endswith(":")


@given(st.text() | _sentences)
def test_any_system_message_names_a_target_or_nothing(message: str) -> None:
    """A system message is never an answer without a target."""
    try:
        instruction = parse_system_instruction(message)
    except UnsupportedLanguageError:
        return
    assert instruction is None or (instruction.target is not None and instruction.text is None)


@given(st.text(min_size=1).filter(lambda text: text.strip() == text and not text.endswith(":")))
def test_what_follows_the_colon_is_left_byte_for_byte(text: str) -> None:
    """Any text survives."""
    assert parse_user_instruction("Translate to French: " + text) == Instruction(None, "fra_Latn", text)
