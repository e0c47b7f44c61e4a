"""How often a text uses each piece of a SentencePiece model: by word lists, or by the operator's own corpus."""

import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import wordfreq
from numpy.typing import NDArray
from sentencepiece import SentencePieceProcessor

from model_bake.errors import VocabularyError

Counts = NDArray[np.float64]
"""Occurrences by piece id, or shares of all occurrences."""
ListSize = Literal["small", "best"]

WORD_LISTS = {
    "arb_Arab": "ar",
    "ben_Beng": "bn",
    "bos_Latn": "sh",
    "bul_Cyrl": "bg",
    "cat_Latn": "ca",
    "ces_Latn": "cs",
    "dan_Latn": "da",
    "deu_Latn": "de",
    "ell_Grek": "el",
    "eng_Latn": "en",
    "fin_Latn": "fi",
    "fra_Latn": "fr",
    "heb_Hebr": "he",
    "hin_Deva": "hi",
    "hrv_Latn": "sh",
    "hun_Latn": "hu",
    "ind_Latn": "id",
    "isl_Latn": "is",
    "ita_Latn": "it",
    "lit_Latn": "lt",
    "lvs_Latn": "lv",
    "mkd_Cyrl": "mk",
    "nld_Latn": "nl",
    "nob_Latn": "nb",
    "pes_Arab": "fa",
    "pol_Latn": "pl",
    "por_Latn": "pt",
    "ron_Latn": "ro",
    "rus_Cyrl": "ru",
    "slk_Latn": "sk",
    "slv_Latn": "sl",
    "spa_Latn": "es",
    "swe_Latn": "sv",
    "tam_Taml": "ta",
    "tgl_Latn": "fil",
    "tur_Latn": "tr",
    "ukr_Cyrl": "uk",
    "urd_Arab": "ur",
    "vie_Latn": "vi",
    "zsm_Latn": "ms",
}
"""wordfreq's list for a language. Left out are ``zh``, ``ja`` and ``ko``, whose words and particles are not what stands
between two spaces, and Serbian, whose list (``sh``) is transliterated into Latin."""

_CAPITALISED, _UPPER, _GLUED = 0.3, 0.005, 0.03
"""Shares of words that begin with a capital, are all capitals, or follow a sign without a space (``l'heure``, ``"no``).

In the Parallel Universal Dependencies treebanks (1,000 sentences a language) they are 0.17, 0.005 and 0.03 in English,
0.12, 0.003 and 0.06 in French, 0.35, 0.005 and 0.02 in German, 0.15, 0.005 and 0.02 in Russian. Capitals count for more
here, because rarer words are names more often: of all four languages more stays, at sizes where 97 % or more does.
They decide no more than which piece comes first where a size is set.
"""

_LINES = 1000
_LONGEST = 1 << 16
"""Characters of a line that are read at once: a file without line ends must not fill the memory."""
_PARTS = 10
"""One line in so many is held out of a corpus."""


def count_words(processor: SentencePieceProcessor, language: str, size: ListSize) -> Counts:
    """Return the share of each piece in a language's running text, as far as its word list tells.

    Args:
        processor: The SentencePiece model.
        language: FLORES-200 code.
        size: ``small`` lists words that occur once in a million, ``best`` once in a hundred million where wordfreq can.

    Raises:
        KeyError: There is no list; see ``WORD_LISTS``.
    """
    counts = np.zeros(processor.get_piece_size())
    # Not get_frequency_dict, which keeps all lists in memory. Words stand in a list by how rare they are, in centibels.
    buckets = wordfreq.read_cBpack(wordfreq.available_languages(size)[WORD_LISTS[language]])
    for centibels, words in enumerate(buckets):
        forms: dict[float, list[str]] = {}
        for word in words:
            for form, share in forms_of(word, language):
                forms.setdefault(share, []).append(form)
        for share, spelled in forms.items():
            counts += wordfreq.cB_to_freq(-centibels) * share * _count(processor, spelled)
    shares: Counts = counts / counts.sum()
    return shares


def forms_of(word: str, language: str) -> Iterator[tuple[str, float]]:
    """Yield the forms in which a word of a list, which is case-folded, occurs in a text, with their shares."""
    if any(map(str.isdigit, word)):
        return  # "0000" stands for every number of four digits
    spellings, upper = [word], word.upper()
    match language:
        case "deu_Latn" if "ss" in word:  # folding made "ss" of every "ß", and nothing tells of which
            spellings.append(word.replace("ss", "ß"))
        case "ell_Grek":
            spellings = [re.sub("\u03c3\\b", "\u03c2", word)]  # the sigma that ends a word
        case "tur_Latn":
            upper = word.replace("i", "İ").upper()
    for spelling in spellings:
        yield spelling, (1 - _CAPITALISED - _UPPER - _GLUED) / len(spellings)
        yield upper[:1] + spelling[1:], _CAPITALISED / len(spellings)
        yield f"({spelling}", _GLUED / len(spellings)
    yield upper, _UPPER


def count_lines(processor: SentencePieceProcessor, corpus: Sequence[Path]) -> tuple[Counts, Counts]:
    """Count the pieces of a corpus of UTF-8 text, a sentence a line: of nine lines in ten, and of the tenth.

    Raises:
        VocabularyError: A file cannot be read, is not UTF-8, or there is no text in any.
    """
    counted, held_out = np.zeros(processor.get_piece_size()), np.zeros(processor.get_piece_size())
    numbered = enumerate(itertools.chain.from_iterable(map(_lines, corpus)))
    while batch := list(itertools.islice(numbered, _LINES)):
        held = [line for number, line in batch if _is_held_out(number)]
        held_out += _count(processor, held)
        counted += _count(processor, [line for number, line in batch if not _is_held_out(number)])
    if not counted.any():
        message = f"{', '.join(map(str, corpus))}: there is no text in it"
        raise VocabularyError(message)
    return counted, held_out


def held_out_lines(corpus: Sequence[Path]) -> Iterator[str]:
    """Yield the lines of a corpus that were not counted.

    Raises:
        VocabularyError: A file cannot be read or is not UTF-8.
    """
    numbered = enumerate(itertools.chain.from_iterable(map(_lines, corpus)))
    return (line for number, line in numbered if _is_held_out(number))


def _is_held_out(number: int) -> bool:
    # One place later in each ten: where two languages take turns line by line, every tenth is of the same.
    return (number // _PARTS - 1 - number) % _PARTS == 0


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            while line := file.readline(_LONGEST):
                if not line.isspace():
                    yield line
    except (OSError, UnicodeDecodeError) as error:
        reason = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror
        message = f"{path}: {reason}"
        raise VocabularyError(message) from None


def _count(processor: SentencePieceProcessor, texts: Sequence[str]) -> Counts:
    ids = np.fromiter(itertools.chain.from_iterable(processor.encode(list(texts))), np.intp)
    return np.bincount(ids, minlength=processor.get_piece_size()).astype(np.float64)
