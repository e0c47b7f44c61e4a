"""Sentence templates of the phrasebook, a paragraph of four lines each: English, French, German, Spanish.

``{Slot.form}`` takes a form of the slot's word, ``{Slot@Noun}`` an adjective agreeing with the noun of another
slot, ``{Noun?masculine/feminine}`` one of two words by that noun's gender. The first letter is capitalised when
the sentence is put together. Sentences without a slot stand in :mod:`model_bake.demo.phrases`.
"""

from typing import Final

from model_bake.demo.templates_journey import JOURNEY
from model_bake.demo.templates_town import TOWN

TEMPLATES: Final[tuple[tuple[str, ...], ...]] = tuple(
    tuple(paragraph.splitlines()) for part in (TOWN, JOURNEY) for paragraph in part.strip().split("\n\n")
)
