"""Inflection: a line of a word table -> the forms that templates ask for, in each language.

A table line holds English, French, German and Spanish, separated by ``|``. A noun's cell reads
``noun gender`` and, after a comma, the one form that cannot be derived in that table: a plural, the German
way of being at a place ("am", "in der") or the German oblique case of a weak noun.
"""

from dataclasses import dataclass, field
from typing import Final, Literal, get_args

Language = Literal["eng_Latn", "fra_Latn", "deu_Latn", "spa_Latn"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)

_FRENCH_ELIDING: Final = "aeiouéèêâîôh"  # every h in these tables is mute
_GERMAN_THE: Final = {"m": "der", "f": "die", "n": "das"}
_GERMAN_THE_ACCUSATIVE: Final = {"m": "den", "f": "die", "n": "das"}
# Endings of "ein" and "mein"; the dative ones are those of the article too.
_GERMAN_NOMINATIVE: Final = {"m": "", "f": "e", "n": ""}
_GERMAN_ACCUSATIVE: Final = {"m": "en", "f": "e", "n": ""}
_GERMAN_DATIVE: Final = {"m": "em", "f": "er", "n": "em"}


@dataclass(frozen=True, slots=True)
class Word:
    """A slot filler: per language, its forms under the names that templates use."""

    forms: dict[Language, dict[str, str]]
    synonyms: tuple["Word", ...] = field(default=())
    """The same word said otherwise; understood as a source, never produced."""

    @property
    def name(self) -> str:
        """Return the English word, which identifies the filler."""
        return next(iter(self.forms["eng_Latn"].values()))


def _split_cell(cell: str) -> tuple[str, str, str]:
    """Return noun, gender and extra form of a noun's cell; what is missing is empty."""
    head, _, extra = (part.strip() for part in cell.partition(","))
    noun, _, gender = head.rpartition(" ")
    return (noun, gender, extra) if gender in {"m", "f", "n"} else (head, "", extra)


def _english(cell: str) -> dict[str, str]:
    noun, _, plural = _split_cell(cell)
    article = "an" if noun[0] in "aeiou" and not noun.startswith("uni") else "a"
    return {"noun": noun, "a": f"{article} {noun}", "the": f"the {noun}", "my": f"my {noun}", "plural": plural}


def _french(cell: str) -> dict[str, str]:
    noun, gender, plural = _split_cell(cell)
    feminine, elides = gender == "f", noun[0] in _FRENCH_ELIDING
    definite = f"l'{noun}" if elides else f"{'la' if feminine else 'le'} {noun}"
    merged = elides or feminine
    return {
        "noun": noun,
        "gender": gender,
        "a": f"{'une' if feminine else 'un'} {noun}",
        "the": definite,
        "my": f"{'ma' if feminine and not elides else 'mon'} {noun}",
        "to": f"à {definite}" if merged else f"au {noun}",
        "of": f"de {definite}" if merged else f"du {noun}",
        "plural": plural,
    }


def _german(cell: str, extra_form: str) -> dict[str, str]:
    noun, gender, extra = _split_cell(cell)
    oblique = extra if extra_form == "oblique" and extra else noun  # "mit meinem Nachbarn"
    return {
        "noun": noun,
        "gender": gender,
        "a_acc": f"ein{_GERMAN_ACCUSATIVE[gender]} {oblique}",
        "the": f"{_GERMAN_THE[gender]} {noun}",
        "the_acc": f"{_GERMAN_THE_ACCUSATIVE[gender]} {oblique}",
        "the_dat": f"d{_GERMAN_DATIVE[gender]} {oblique}",
        "my": f"mein{_GERMAN_NOMINATIVE[gender]} {noun}",
        "my_acc": f"mein{_GERMAN_ACCUSATIVE[gender]} {oblique}",
        "my_dat": f"mein{_GERMAN_DATIVE[gender]} {oblique}",
        "to": f"{'zur' if gender == 'f' else 'zum'} {noun}",
        "from": f"{'von der' if gender == 'f' else 'vom'} {noun}",
        extra_form: f"{extra} {noun}" if extra_form == "at" else extra,
    }


def _spanish(cell: str) -> dict[str, str]:
    noun, gender, plural = _split_cell(cell)
    feminine = gender == "f"
    return {
        "noun": noun,
        "gender": gender,
        "a": f"{'una' if feminine else 'un'} {noun}",
        "the": f"{'la' if feminine else 'el'} {noun}",
        "my": f"mi {noun}",
        "to": f"{'a la' if feminine else 'al'} {noun}",
        "of": f"{'de la' if feminine else 'del'} {noun}",
        "plural": plural,
    }


def parse_nouns(table: str, extra_form: str) -> tuple[Word, ...]:
    """Parse a table of nouns; ``a=b`` in the English cell makes b a synonym of a."""
    words = []
    for line in table.strip().splitlines():
        english, french, german, spanish = (cell.strip() for cell in line.split("|"))
        english, *synonyms = english.split("=")
        other: dict[Language, dict[str, str]] = {
            "fra_Latn": _french(french),
            "deu_Latn": _german(german, extra_form),
            "spa_Latn": _spanish(spanish),
        }
        said_otherwise = tuple(Word({"eng_Latn": _english(synonym), **other}) for synonym in synonyms)
        words.append(Word({"eng_Latn": _english(english), **other}, said_otherwise))
    return tuple(words)


def parse_plain(table: str) -> tuple[Word, ...]:
    """Parse a table of words that have one form, ``x``, in each language."""
    rows = ([cell.strip() for cell in line.split("|")] for line in table.strip().splitlines())
    return tuple(Word({lang: {"x": cell} for lang, cell in zip(LANGUAGES, row, strict=True)}) for row in rows)


def parse_adjectives(table: str) -> tuple[Word, ...]:
    """Parse adjectives: French and Spanish cells hold both genders, Spanish also its verb, ser or estar."""
    words = []
    for line in table.strip().splitlines():
        english, french, german, spanish = (cell.strip() for cell in line.split("|"))
        french_m, french_f = french.split()
        be, spanish_m, spanish_f = spanish.split()
        words.append(
            Word(
                {
                    "eng_Latn": {"": english},
                    "fra_Latn": {"m": french_m, "f": french_f},
                    "deu_Latn": {"m": german, "f": german, "n": german},
                    "spa_Latn": {"m": spanish_m, "f": spanish_f, "be": be},
                }
            )
        )
    return tuple(words)


def parse_languages(table: str) -> tuple[Word, ...]:
    """Parse names of languages, which take the article in French ("j'apprends l'anglais")."""
    words = parse_plain(table)
    for word in words:
        french = word.forms["fra_Latn"]
        french["the"] = f"l'{french['x']}" if french["x"][0] in _FRENCH_ELIDING else f"le {french['x']}"
    return words
