"""The phrasebook: templates x words, and common phrases, as parallel sentences split into training and held-out.

Everything is deterministic. A combination of template and words is in one split in every language and direction,
chosen by a hash of itself, so adding a template moves no sentence of another. For each direction one source has
exactly one target: the entry that comes first owns the source.
"""

import hashlib
import itertools
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final, NamedTuple

from model_bake.demo.disguises import add_mark, strip_mark
from model_bake.demo.lexicon import LANGUAGES, Language, Word
from model_bake.demo.phrases import PHRASES, VARIANTS
from model_bake.demo.templates import TEMPLATES
from model_bake.demo.words import SLOTS

HELD_OUT_PERCENT: Final = 10
COMBINATIONS_PER_TEMPLATE: Final = 2500
"""Larger templates are sampled down to this, else one template would be most of the corpus."""

_PLACEHOLDER: Final = re.compile(r"\{(\w+)([.@?])([^}]*)\}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One sentence in every language."""

    key: str
    """Names template and words; the entry without final mark shares it."""
    texts: Mapping[Language, str]
    """The standard form, which is what a translation must be."""
    sources: dict[Language, list[str]] = field(default_factory=lambda: {lang: [] for lang in LANGUAGES})
    """What may be given as the source, the standard form first; empty where an earlier entry owns it."""


@dataclass(frozen=True, slots=True)
class Template:
    """The entries of one template, each with (``full``) and without final mark (``bare``)."""

    full: tuple[Entry, ...]
    bare: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Phrasebook:
    """The whole corpus."""

    phrases: tuple[Entry, ...]
    training: tuple[Template, ...]
    held_out: tuple[Template, ...]


def _render(template: str, lang: Language, fill: Mapping[str, Word]) -> str:
    def substitute(match: re.Match[str]) -> str:
        slot, kind, argument = match.groups()
        forms = fill[slot].forms[lang]
        if kind == "@":
            return forms[fill[argument].forms[lang]["gender"]]
        if kind == "?":
            masculine, feminine = argument.split("/")
            return feminine if forms["gender"] == "f" else masculine
        return forms[argument]

    text = _PLACEHOLDER.sub(substitute, template)
    start = len(text) - len(text.lstrip("¿¡"))
    return text[:start] + text[start].upper() + text[start + 1 :]


def _combinations(template: tuple[str, ...]) -> list[dict[str, Word]]:
    """Return what may fill the template's slots together; a large number is sampled."""
    slots = list(dict.fromkeys(slot for slot, _, _ in _PLACEHOLDER.findall(template[0])))
    fills = (dict(zip(slots, words, strict=True)) for words in itertools.product(*(SLOTS[slot] for slot in slots)))
    distinct = [
        fill
        for fill in fills
        if all(fill[slot] is not fill.get(slot.removeprefix("Other")) for slot in slots if slot.startswith("Other"))
    ]
    if len(distinct) <= COMBINATIONS_PER_TEMPLATE:
        return distinct
    # The template seeds its own sample, so that it does not depend on its neighbours.
    return random.Random(template[0]).sample(distinct, COMBINATIONS_PER_TEMPLATE)


def _with_synonyms(fill: Mapping[str, Word]) -> Iterator[dict[str, Word]]:
    """Yield the same combination with a word said otherwise."""
    for slot, word in fill.items():
        for synonym in word.synonyms:
            yield {**fill, slot: synonym}


def _is_held_out(key: str, slot_count: int) -> bool:
    """Hold out combinations only: a single word in a template must be seen to be known."""
    digest = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return slot_count > 1 and digest % 100 < HELD_OUT_PERCENT


class _Owners:
    """Remembers which sources are owned, by language; the first claim wins."""

    def __init__(self) -> None:
        self._owned: set[tuple[Language, str]] = set()

    def claim(self, entry: Entry, lang: Language, source: str) -> None:
        """Give the source to the entry, unless it has an owner."""
        if (lang, source) not in self._owned:
            self._owned.add((lang, source))
            entry.sources[lang].append(source)

    def claim_standard(self, entries: Iterable[Entry]) -> None:
        """Claim the standard form in every language, entry by entry."""
        for entry in entries:
            for lang in LANGUAGES:
                self.claim(entry, lang, entry.texts[lang])


def _phrase_entries(owners: _Owners) -> tuple[Entry, ...]:
    entries = []
    for phrase in PHRASES:
        for mark in (*phrase.marks, ""):
            texts = {lang: add_mark(phrase.texts[lang], mark, lang) for lang in LANGUAGES}
            entries.append((phrase, mark, Entry(f"{phrase.texts['eng_Latn']}{mark}", texts)))
    owners.claim_standard(entry for _, _, entry in entries)
    for phrase, mark, entry in entries:
        for (lang, variant), standard in VARIANTS.items():
            # A variant belongs to the phrase that owns the standard form.
            if phrase.texts[lang] == standard and entry.sources[lang]:
                owners.claim(entry, lang, add_mark(variant, mark, lang))
    return tuple(entry for _, _, entry in entries)


class _Row(NamedTuple):
    """A combination of a template and words, before its sources are claimed."""

    full: Entry
    bare: Entry
    synonyms: list[str]
    held_out: bool


def _rows(template: tuple[str, ...]) -> list[_Row]:
    rows = []
    for fill in _combinations(template):
        key = f"{template[0]}|{','.join(word.name for word in fill.values())}"
        texts = {lang: _render(text, lang, fill) for lang, text in zip(LANGUAGES, template, strict=True)}
        bare_texts = {lang: strip_mark(text) for lang, text in texts.items()}
        synonyms = [_render(template[0], "eng_Latn", other) for other in _with_synonyms(fill)]
        rows.append(_Row(Entry(key, texts), Entry(key, bare_texts), synonyms, _is_held_out(key, len(fill))))
    return rows


def _select(tables: list[list[_Row]], *, held_out: bool) -> tuple[Template, ...]:
    """Return the part of every template that is in one split."""
    parts = ([row for row in rows if row.held_out is held_out] for rows in tables)
    return tuple(Template(tuple(row.full for row in part), tuple(row.bare for row in part)) for part in parts if part)


@cache
def build_phrasebook() -> Phrasebook:
    """Return the corpus; the same one every time."""
    owners = _Owners()
    phrases = _phrase_entries(owners)
    tables = [_rows(template) for template in TEMPLATES]
    for row in itertools.chain.from_iterable(tables):
        owners.claim_standard((row.full, row.bare))
    # Last, so that a synonym never takes a source that some standard sentence owns.
    for row in itertools.chain.from_iterable(tables):
        for synonym in row.synonyms:
            owners.claim(row.full, "eng_Latn", synonym)
            owners.claim(row.bare, "eng_Latn", strip_mark(synonym))
    return Phrasebook(phrases, _select(tables, held_out=False), _select(tables, held_out=True))
