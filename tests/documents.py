"""Documents whose right translation is known: sentences of the phrasebook in paragraphs, lists, quotes and a table."""

from collections.abc import Iterator
from itertools import cycle
from random import Random
from typing import NamedTuple

from model_bake.demo.evaluate import cases, suites
from model_bake.demo.families import Direction

SENTENCES = 300
DIRECTION: Direction = ("eng_Latn", "fra_Latn")

_BLOCKS = (
    "{} {} {} {} {} {}\n\n",
    "# {}\n\n",
    "- {}\n- {}\n- {}\n    - {}\n    - {}\n\n",
    "{} {}\n{}  {}\n\n\n",
    "1. {}\n2. {} {}\n3. {}\n\n",
    "> {}\n> {} {}\n\n---\n\n",
    "\t* {}\n\t* {}\n\n12.50\n\n",
    "a) {}\nb) {}\n\n",
    "| {} | {} |\n| --- | --- |\n| {} | {} |\n\n",
    "[x] {}   \n[ ] {}\n\n",
)
"""Shapes in which text is written, each with room for some sentences."""


class Document(NamedTuple):
    """A text, its one right translation, and the sentences of both."""

    text: str
    translation: str
    sentences: list[tuple[str, str]]


def document(sentences: int = SENTENCES, *, seed: int = 5) -> Document:
    """Return a document of held-out ``sentences``, no two of them equal."""
    [held_out] = [suite for suite in suites() if suite.name == "held-out"]
    drawn = Random(seed).sample(cases(held_out, DIRECTION), sentences)
    pairs = [(request.text, translation) for request, translation in drawn]
    shape = "".join(_shape(sentences))
    texts, translations = zip(*pairs, strict=True)
    return Document(shape.format(*texts), shape.format(*translations), pairs)


def _shape(sentences: int) -> Iterator[str]:
    for block in cycle(_BLOCKS):
        room = block.count("{}")
        if room > sentences:
            yield "\n".join(["{}"] * sentences)
            return
        yield block
        sentences -= room
