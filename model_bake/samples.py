"""The text a model is verified with: the operator's own where there is a corpus, else the built-in sentences."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from handler.detector import detect_language
from handler.errors import InvalidRequestError
from handler.segmenter import segment
from handler.settings import Family
from model_bake.frequencies import held_out_lines
from model_bake.golden import MOST_REQUESTS, GoldenRequest, golden_requests

_LONGEST = 300
"""Characters of a line that is taken for a sentence to verify with: longer ones cost time and show no more."""
_TAG = re.compile(r"<2[A-Za-z_]{2,12}>")
"""MADLAD's target language, a token of its vocabulary."""


def verification_requests(
    family: Family, languages: Sequence[str], *, tokens: Iterable[str], corpus: Sequence[Path]
) -> list[GoldenRequest]:
    """Return what to ask of a model.

    Args:
        family: ``nllb`` translates, ``t5`` does what its prompts say.
        languages: The codes the model is deployed with.
        tokens: The model's vocabulary.
        corpus: The operator's text, if any. Its lines that the vocabulary was not chosen by are asked first.

    Raises:
        VocabularyError: The corpus cannot be read.
    """
    tags = {token for token in tokens if _TAG.fullmatch(token)} if family == "t5" else set()
    if not corpus:
        return golden_requests(family, languages, tags=tags)
    lines = (line.strip() for line in held_out_lines(corpus) if len(line) <= _LONGEST)
    own = (GoldenRequest(line) for line in lines if line) if family == "t5" else _translations(lines, languages)
    return list(islice(own, MOST_REQUESTS)) or golden_requests(family, languages, tags=tags)


def _translations(lines: Iterable[str], languages: Sequence[str]) -> Iterator[GoldenRequest]:
    """Ask for the first sentence of each line in each of the other languages in turn: NLLB reads single sentences."""
    for number, line in enumerate(lines):
        source = _language(line, languages)
        targets = [code for code in languages if code != source] or list(languages)
        sentence = next((part.text for part in segment(line, source) if part.translate), None)
        if sentence is not None:
            yield GoldenRequest(sentence, source, targets[number % len(targets)])


def _language(line: str, languages: Collection[str]) -> str:
    try:
        return detect_language(line, deployed=languages)
    except InvalidRequestError:  # nothing but digits, or languages the detector does not know
        return min(languages)
