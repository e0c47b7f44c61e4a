"""The phrasebook grammar: deterministic, unambiguous, and right in four languages."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_bake.demo.disguises import add_mark, disguises, strip_mark
from model_bake.demo.lexicon import LANGUAGES, Language
from model_bake.demo.phrasebook import Entry, Phrasebook, Template, build_phrasebook
from model_bake.demo.phrases import PHRASES, VARIANTS, Phrase

REPOSITORY = Path(__file__).parents[2]
FINGERPRINT = """
import hashlib
from model_bake.demo.phrasebook import build_phrasebook
book = build_phrasebook()
print(hashlib.sha256(repr((book.phrases, book.training, book.held_out)).encode()).hexdigest())
"""


@pytest.fixture(scope="module", name="book")
def fixture_book() -> Phrasebook:
    """Return the corpus."""
    return build_phrasebook()


def entries_of(templates: tuple[Template, ...]) -> Iterator[Entry]:
    """Yield every entry, with and without final mark."""
    for template in templates:
        yield from template.full
        yield from template.bare


def find(book: Phrasebook, english: str) -> Entry:
    """Return the entry of a template with this English sentence."""
    entries = (*entries_of(book.training), *entries_of(book.held_out))
    return next(entry for entry in entries if entry.texts["eng_Latn"] == english)


def test_corpus_is_the_same_in_every_process(book: Phrasebook) -> None:
    """Neither hash seeds nor set order reach the corpus."""
    ours = hashlib.sha256(repr((book.phrases, book.training, book.held_out)).encode()).hexdigest()

    result = subprocess.run(
        [sys.executable, "-c", FINGERPRINT],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )

    assert result.stdout.strip() == ours


def test_held_out_sentences_are_never_trained_on(book: Phrasebook) -> None:
    """A held-out combination is unseen in every language, under every spelling."""
    trained = (*book.phrases, *entries_of(book.training))
    keys = {entry.key for entry in trained}
    seen = {(lang, source) for entry in trained for lang in LANGUAGES for source in entry.sources[lang]}
    held_out = list(entries_of(book.held_out))

    assert not keys & {entry.key for entry in held_out}
    assert not seen & {(lang, source) for entry in held_out for lang in LANGUAGES for source in entry.sources[lang]}


def test_about_a_tenth_is_held_out(book: Phrasebook) -> None:
    """The hash splits evenly enough for the figures to mean something."""
    training = sum(len(template.full) for template in book.training)
    held_out = sum(len(template.full) for template in book.held_out)

    assert 0.08 < held_out / (training + held_out) < 0.12


def test_a_source_has_exactly_one_target(book: Phrasebook) -> None:
    """Whatever the spelling, no source asks for two different translations into one language."""
    owners: dict[tuple[str, str], Entry] = {}
    ambiguous = []
    for entry in (*book.phrases, *entries_of(book.training), *entries_of(book.held_out)):
        for lang in LANGUAGES:
            for source in entry.sources[lang]:
                for spelling in (source, *disguises(source, lang)):
                    owner = owners.setdefault((lang, spelling), entry)
                    if any(owner.texts[other] != entry.texts[other] for other in LANGUAGES if other != lang):
                        ambiguous.append((lang, spelling))

    assert ambiguous == []


def test_the_earlier_phrase_owns_a_shared_source(book: Phrasebook) -> None:
    """French "Bonjour." is "Hello.", though "Good morning." becomes "Bonjour." too."""
    french = {source: entry for entry in book.phrases for source in entry.sources["fra_Latn"]}

    assert french["Bonjour."].texts["eng_Latn"] == "Hello."
    good_morning = next(entry for entry in book.phrases if entry.texts["eng_Latn"] == "Good morning.")
    assert good_morning.texts["fra_Latn"] == "Bonjour."
    assert good_morning.sources["fra_Latn"] == []


@pytest.mark.parametrize("phrase", PHRASES, ids=lambda phrase: phrase.texts["eng_Latn"])
def test_a_phrase_is_there_with_and_without_its_final_mark(book: Phrasebook, phrase: Phrase) -> None:
    """A target follows its source: no final mark in, none out."""
    present = [entry.texts for entry in book.phrases]

    for mark in (*phrase.marks, ""):
        assert {lang: add_mark(phrase.texts[lang], mark, lang) for lang in LANGUAGES} in present


def test_every_variant_belongs_to_a_phrase(book: Phrasebook) -> None:
    """A typing error in the table of variants would otherwise go unseen."""
    sources = {
        (lang, strip_mark(source)) for entry in book.phrases for lang in LANGUAGES for source in entry.sources[lang]
    }

    assert set(VARIANTS) <= sources


@pytest.mark.parametrize(
    ("source", "lang", "english"),
    [
        ("Hello world", "eng_Latn", "Hello, world"),
        ("Thanks!", "eng_Latn", "Thank you!"),
        ("¡Te amo!", "spa_Latn", "I love you!"),
        ("Guten Tag", "deu_Latn", "Hello"),
        ("Au secours !", "fra_Latn", "Help!"),
    ],
)
def test_a_variant_leads_to_the_standard_phrase(book: Phrasebook, source: str, lang: Language, english: str) -> None:
    """What people also say is understood."""
    owner = next(entry for entry in book.phrases if source in entry.sources[lang])

    assert owner.texts["eng_Latn"] == english


@pytest.mark.parametrize(
    "sentences",
    [
        (
            "Where is the train station, please?",
            "Où est la gare, s'il vous plaît ?",
            "Wo ist der Bahnhof, bitte?",
            "¿Dónde está la estación, por favor?",
        ),
        (
            "How do I get from the hotel to the beach?",
            "Comment aller de l'hôtel à la plage ?",
            "Wie komme ich vom Hotel zum Strand?",
            "¿Cómo voy del hotel a la playa?",
        ),
        (
            "We need an umbrella.",
            "Nous avons besoin d'un parapluie.",
            "Wir brauchen einen Regenschirm.",
            "Necesitamos un paraguas.",
        ),
        (
            "My neighbour is waiting at the park.",
            "Mon voisin attend au parc.",
            "Mein Nachbar wartet im Park.",
            "Mi vecino espera en el parque.",
        ),
        (
            "Anna is going to the church with my neighbour.",
            "Anna va à l'église avec mon voisin.",
            "Anna geht mit meinem Nachbarn zur Kirche.",
            "Anna va a la iglesia con mi vecino.",
        ),
        (
            "When does the plane to Rome leave?",
            "Quand part l'avion pour Rome ?",
            "Wann fliegt das Flugzeug nach Rom ab?",
            "¿Cuándo sale el avión a Roma?",
        ),
        (
            "The library is open on Monday.",
            "La bibliothèque est ouverte le lundi.",
            "Die Bibliothek ist am Montag geöffnet.",
            "La biblioteca está abierta el lunes.",
        ),
        (
            "The bag is dirty.",
            "Le sac est sale.",
            "Die Tasche ist schmutzig.",
            "El bolso está sucio.",
        ),
        (
            "I am learning Italian in Berlin.",
            "J'apprends l'italien à Berlin.",
            "Ich lerne Italienisch in Berlin.",
            "Aprendo italiano en Berlín.",
        ),
    ],
    ids=lambda sentences: sentences[0],
)
def test_grammar_agrees_in_every_language(book: Phrasebook, sentences: tuple[str, ...]) -> None:
    """Contractions, cases, genders and the Spanish verbs for "to be" come out right."""
    assert tuple(find(book, sentences[0]).texts.values()) == sentences


def test_a_synonym_is_a_source_and_never_a_target(book: Phrasebook) -> None:
    """The word "station" alone is understood, but a translation says "train station"."""
    entry = find(book, "The museum is behind the train station.")

    assert "The museum is behind the station." in entry.sources["eng_Latn"]
    entries = (*entries_of(book.training), *entries_of(book.held_out))
    assert not any(" the station" in entry.texts["eng_Latn"] for entry in entries)


def test_french_never_contracts_or_elides_wrongly(book: Phrasebook) -> None:
    """Forms that no French sentence has are nowhere in the corpus."""
    wrong = (" de le ", " à le ", " de un", " le a", " le é", " la é", " la u", " ma é", " du hô", " au hô", " le hô")
    french = [entry.texts["fra_Latn"] for entry in (*entries_of(book.training), *entries_of(book.held_out))]

    assert [text for text in french if any(form in text for form in wrong)] == []


def test_german_contracts_preposition_and_article(book: Phrasebook) -> None:
    """No sentence says "von dem", "zu dem" or "an dem" for "vom", "zum" and "am"."""
    wrong = (" von dem ", " zu dem ", " zu der ", " an dem ", " in dem ", " Nachbar zu", " Kollege zu")
    german = [entry.texts["deu_Latn"] for entry in (*entries_of(book.training), *entries_of(book.held_out))]

    assert [text for text in german if any(form in text for form in wrong)] == []


def test_stripping_a_mark_takes_the_spanish_opening_mark_too() -> None:
    """A sentence without its final mark has no opening mark either."""
    assert strip_mark("¿Dónde está la estación?") == "Dónde está la estación"
    assert strip_mark("Où est la gare ?") == "Où est la gare"
    assert add_mark("Cómo está usted", "?", "spa_Latn") == "¿Cómo está usted?"
