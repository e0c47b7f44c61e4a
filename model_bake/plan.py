"""What a bake is asked for, and what that comes to before anything large is fetched."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from handler.errors import UnsupportedLanguageError
from handler.languages import FLORES_200, parse_language
from model_bake.checkpoint import Checkpoint, inspect
from model_bake.errors import OutputError, VocabularyError
from model_bake.m2m100 import OWN_CODES
from model_bake.output import check_target
from model_bake.quantization import DEFAULT, Quantization, weight_bytes
from model_bake.source import Source
from model_bake.sources import open_source
from model_bake.vocabulary import Method

MARGIN = 64 << 20
"""Bytes kept free beside what is written: vocabulary, tokenizer, the file system's own needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What to bake, and how."""

    source: str
    output: Path
    name: str | None = None
    revision: str | None = None
    quantization: Quantization | None = None
    languages: tuple[str, ...] = ()
    """In any spelling; none leaves the vocabulary whole, unless there is a corpus."""
    vocabulary: Method | None = None
    vocabulary_corpus: tuple[Path, ...] = ()
    vocabulary_size: int | None = None
    max_deviation: float | None = None
    """Mean difference from transformers' log-probabilities to accept; by default that of the quantisation."""
    cache: Path = Path()
    force: bool = False

    @property
    def prunes(self) -> bool:
        """Whether the vocabulary is to be pruned."""
        return bool(self.languages or self.vocabulary_corpus)

    @property
    def method(self) -> Method:
        """How pieces are chosen."""
        return self.vocabulary or ("corpus" if self.vocabulary_corpus else "scripts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a recipe comes to, known before anything large is fetched."""

    name: str
    source: Source
    checkpoint: Checkpoint
    quantization: Quantization | None
    """Nothing where a converted folder keeps what it has."""
    languages: tuple[str, ...]
    download: int
    """Bytes."""
    room: int
    """Bytes to be written beside the output until it is done."""


def make_plan(recipe: Recipe) -> Plan:
    """Find out what there is to do, and whether it can be done.

    Raises:
        BakeError: It cannot.
    """
    _check_vocabulary_options(recipe)
    check_target(recipe.output, force=recipe.force)
    # A name of dots would be a folder that is there already.
    if recipe.name is not None and not (recipe.name.strip(". ") and recipe.name.isprintable()):
        message = f"--name {recipe.name!r:.80}: is empty, of dots alone, or holds what cannot be printed"
        raise OutputError(message)
    languages = tuple(parse_code(language, [*FLORES_200, *OWN_CODES.values()]) for language in recipe.languages)
    source = open_source(recipe.source, revision=recipe.revision, cache=recipe.cache)
    checkpoint = inspect(source)
    quantization = recipe.quantization
    if checkpoint.form == "transformers":
        quantization = quantization or DEFAULT
        weights = checkpoint.weights_size // checkpoint.weight_bytes * weight_bytes(quantization)
    else:
        weights = checkpoint.weights_size
    return Plan(
        name=recipe.name or (checkpoint.manifest.id if checkpoint.manifest else source.id.rstrip("/").split("/")[-1]),
        source=source,
        checkpoint=checkpoint,
        quantization=quantization,
        languages=tuple(dict.fromkeys(languages)),
        download=source.missing(checkpoint.files),
        room=weights * (2 if recipe.prunes else 1) + MARGIN,
    )


def parse_code(language: str, known: Collection[str]) -> str:
    """Return the code that ``--languages`` names, one of ``known``; M2M100's own names for them are understood.

    Raises:
        VocabularyError: It names none of them.
    """
    if OWN_CODES.get(language) in known:
        return OWN_CODES[language]
    try:
        return parse_language(language, deployed=known)
    except UnsupportedLanguageError as error:
        message = f"--languages: {error}"
        raise VocabularyError(message) from None


def _check_vocabulary_options(recipe: Recipe) -> None:
    """Refuse options that contradict each other, and a corpus that is not there: before anything is fetched."""
    for path in recipe.vocabulary_corpus:
        if not path.is_file() or not os.access(path, os.R_OK):
            message = f"--vocabulary-corpus {path}: not a file that can be read"
            raise VocabularyError(message)
    if recipe.vocabulary and not recipe.prunes:
        message = f"--vocabulary {recipe.vocabulary}: nothing is pruned without --languages or --vocabulary-corpus"
    elif recipe.vocabulary_size and recipe.method == "scripts":
        message = "--vocabulary-size: by scripts there is no order of importance; add --vocabulary words, or a corpus"
    elif recipe.vocabulary == "corpus" and not recipe.vocabulary_corpus:
        message = "--vocabulary corpus: needs --vocabulary-corpus FILE"
    elif recipe.vocabulary not in {None, "corpus"} and recipe.vocabulary_corpus:
        message = f"--vocabulary {recipe.vocabulary}: contradicts --vocabulary-corpus, which says what is kept"
    elif recipe.method != "corpus" and recipe.prunes and not recipe.languages:
        message = f"--vocabulary {recipe.method}: needs --languages"
    else:
        return
    raise VocabularyError(message)
