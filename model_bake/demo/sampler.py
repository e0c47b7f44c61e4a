"""What the models are trained on: sentence pairs drawn from the phrasebook, in the ways people write them."""

import random
from typing import Final, NamedTuple

from model_bake.demo.disguises import disguises
from model_bake.demo.families import Family, FamilyName
from model_bake.demo.lexicon import LANGUAGES, Language
from model_bake.demo.phrasebook import Entry, Phrasebook

PHRASE_RATE: Final[dict[FamilyName, float]] = {"nllb": 0.35, "t5": 0.2}
"""Of all samples: the phrases are few, and people try them first. NLLB learns each in twice the directions."""
JOINED_PHRASE_RATE: Final = 0.5
"""The same among joined sentences: "Hello! How are you?"."""
EVEN_TEMPLATE_RATE: Final = 0.3
"""Of template samples: the template is drawn first, else those with few combinations would hardly be seen."""
BARE_RATE: Final = 0.1
"""Of template samples: without final punctuation."""
SYNONYM_RATE: Final = 0.15
VARIANT_RATE: Final = 0.3
"""Of phrase samples: another way to say the phrase."""
DISGUISE_RATE: Final = 0.08
PHRASE_DISGUISE_RATE: Final = 0.25
WRONG_SOURCE_LANG_RATE: Final = 0.04
"""NLLB alone: makes the model forgive a wrong source language."""
JOIN_RATE: Final = 0.08
"""T5 alone, which gets a text whole: several short sentences in one sample."""
THREE_RATE: Final = 0.2
"""Of joined samples: three sentences rather than two."""
LONGEST_JOINED: Final = 60
"""Characters of a sentence that may be joined with another."""


class Pair(NamedTuple):
    """A training sample."""

    source_lang: Language
    """What the model is told, which is sometimes wrong."""
    target_lang: Language
    source: str
    target: str


class Sampler:
    """An endless, seeded stream of training pairs."""

    def __init__(self, book: Phrasebook, family: Family, *, seed: int) -> None:
        """Start the stream; the same seed draws the same pairs."""
        self._book = book
        self._family = family
        self._random = random.Random(seed)
        self._full = [entry for template in book.training for entry in template.full]
        self._bare = [entry for template in book.training for entry in template.bare]

    def draw(self) -> Pair:
        """Return the next pair."""
        rng = self._random
        source_lang, target_lang = rng.choice(self._family.directions)
        if self._family.name == "t5" and rng.random() < JOIN_RATE:
            count = 3 if rng.random() < THREE_RATE else 2
            parts = [self._draw_marked(source_lang, target_lang) for _ in range(count)]
            source, target = (" ".join(side) for side in zip(*parts, strict=True))
        else:
            source, target = self._draw_sentence(source_lang, target_lang, phrase_rate=PHRASE_RATE[self._family.name])
        if self._family.name == "nllb" and rng.random() < WRONG_SOURCE_LANG_RATE:
            source_lang = rng.choice([lang for lang in LANGUAGES if lang != source_lang])
        return Pair(source_lang, target_lang, source, target)

    def _draw_marked(self, source_lang: Language, target_lang: Language) -> tuple[str, str]:
        """Draw a short sentence that ends visibly, so that another may follow it."""
        while True:
            source, target = self._draw_sentence(source_lang, target_lang, phrase_rate=JOINED_PHRASE_RATE)
            if len(source) <= LONGEST_JOINED and source.endswith((".", "!", "?")):
                return source, target

    def _draw_sentence(self, source_lang: Language, target_lang: Language, *, phrase_rate: float) -> tuple[str, str]:
        while True:
            is_phrase = self._random.random() < phrase_rate
            entry = self._random.choice(self._book.phrases) if is_phrase else self._draw_template_entry()
            if entry.sources[source_lang]:  # else an earlier entry owns this source
                break
        standard, *others = entry.sources[source_lang]
        source = standard
        if others and self._random.random() < (VARIANT_RATE if is_phrase else SYNONYM_RATE):
            source = self._random.choice(others)
        if self._random.random() < (PHRASE_DISGUISE_RATE if is_phrase else DISGUISE_RATE):
            source = self._random.choice(disguises(source, source_lang) or [source])
        return source, entry.texts[target_lang]

    def _draw_template_entry(self) -> Entry:
        rng = self._random
        bare = rng.random() < BARE_RATE
        if rng.random() < EVEN_TEMPLATE_RATE:
            template = rng.choice(self._book.training)
            return rng.choice(template.bare if bare else template.full)
        return rng.choice(self._bare if bare else self._full)
