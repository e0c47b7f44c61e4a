"""Which rows of a converted model's vocabulary stay, and why.

Only ordinary pieces of the SentencePiece model may go, and of them none of a single character: what loses its piece is
spelled with smaller ones, and nothing becomes ``<unk>`` that was not.

* BPE. Pieces are merged as if none had gone; then one that has comes apart into the two it was merged from, and those
  likewise. A text whose pieces all stay is split as before.
* Unigram. A piece that has gone is no candidate, and the best of the other splittings is taken.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from google.protobuf.message import DecodeError
from sentencepiece import SentencePieceProcessor
from sentencepiece import sentencepiece_model_pb2 as protobuf

from handler.languages import FLORES_200
from handler.model_folder import VOCABULARY_FILE, language_codes, parse_vocabulary
from handler.settings import Family
from model_bake.errors import CheckpointError, VocabularyError
from model_bake.frequencies import WORD_LISTS, Counts, ListSize, count_lines, count_words
from model_bake.scripts import text_in

Method = Literal["scripts", "words", "corpus"]
Reason = Literal[
    "special", "languages", "characters", "unspellable", "prompts", "symbols", "scripts", "words", "corpus"
]

ModelProto = Any
"""A SentencePiece model as protobuf reads it; protobuf makes the class when it is imported, so it has no type."""

NORMAL, UNUSED = 1, 5
"""``ModelProto.SentencePiece.Type`` of sentencepiece_model.proto."""
_UNIGRAM, _BPE = 1, 2
"""``TrainerSpec.ModelType`` of the same file."""

_BOUNDARY = "▁"
_T5_SYMBOL = re.compile(rf"{_BOUNDARY}?<extra_id_\d+>|<2\w+>")
"""T5's sentinels and MADLAD's target tags, which a SentencePiece model may list among its ordinary pieces."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows of a vocabulary that stay."""

    rows: tuple[int, ...]
    """Ascending."""
    total: int
    """How many there were."""
    reasons: Mapping[Reason, int]
    """How many stay for which reason, the first that applies."""
    methods: Mapping[str, Method]
    """How the pieces of each language were chosen."""
    coverage: float | None
    """Share of the pieces of running text that stay: of held-out lines of the corpus, else of the words in the lists.

    ``None`` where there is neither.
    """


def read_tokens(folder: Path) -> list[str]:
    """Return the tokens of a converted model, one for each row.

    Raises:
        CheckpointError: There is no list of them.
    """
    path = folder / VOCABULARY_FILE
    try:
        return parse_vocabulary(path.read_bytes())
    except (OSError, ValueError) as error:
        message = f"{path}: {getattr(error, 'strerror', None) or error}"
        raise CheckpointError(message) from None


def read_sentencepiece(path: Path) -> ModelProto:
    """Return a SentencePiece model.

    Raises:
        CheckpointError: It cannot be read, or does not spell one piece with others.
    """
    model = protobuf.ModelProto()  # type: ignore[attr-defined]
    try:
        model.ParseFromString(path.read_bytes())
    except (OSError, DecodeError) as error:
        message = f"{path}: {getattr(error, 'strerror', None) or 'not a SentencePiece model'}"
        raise CheckpointError(message) from None
    if not model.pieces or model.trainer_spec.model_type not in {_UNIGRAM, _BPE}:
        message = f"{path}: not a SentencePiece model of type BPE or unigram"
        raise CheckpointError(message)
    return model


def select(
    folder: Path,
    *,
    tokenizer: Path,
    family: Family,
    languages: Sequence[str],
    method: Method,
    corpus: Sequence[Path] = (),
    size: int | None = None,
) -> Selection:
    """Choose the rows that stay.

    Args:
        folder: The converted model.
        tokenizer: Its SentencePiece model.
        family: ``nllb`` has a row for each language.
        languages: Codes of the languages to serve, in FLORES-200's form.
        method: ``scripts`` keeps what the languages' scripts can write, ``words`` what the words of their lists use,
            and scripts where a language has no list, ``corpus`` what the lines of a text use.
        corpus: Files of UTF-8 text, a sentence a line, sources and translations as the model reads and writes them.
        size: How many rows may stay at most: those that have to, then the most frequent.

    Raises:
        CheckpointError: The vocabulary or the SentencePiece model cannot be used.
        VocabularyError: A language or a size that cannot be had, options that contradict each other, or a corpus that
            cannot be read.
    """
    _check(languages, method, corpus, size)
    tokens, model = read_tokens(folder), read_sentencepiece(tokenizer)
    processor = SentencePieceProcessor(model_proto=model.SerializeToString())
    ids = {
        piece.piece: number
        for number, piece in enumerate(model.pieces)
        if piece.type == NORMAL and not _T5_SYMBOL.fullmatch(piece.piece)
    }
    pieces = {row: ids[token] for row, token in enumerate(tokens) if token in ids}
    methods: dict[str, Method] = {
        language: "scripts" if method == "words" and language not in WORD_LISTS else method for language in languages
    }

    kept = dict(_special(tokens, ids, family, languages))
    rules = list(_rules(tokens, processor, family, method, methods))
    for row in pieces:
        if reason := next((reason for reason, applies in rules if applies(tokens[row])), None):
            kept[row] = reason
    if size is not None and size < len(kept):
        message = f"--vocabulary-size {size}: a vocabulary of {size} rows is too small: {len(kept)} have to stay"
        raise VocabularyError(message)

    counted, reference = _counts(processor, languages, method, corpus)
    used = [row for row, number in pieces.items() if row not in kept and counted[number]]
    used.sort(key=lambda row: -counted[pieces[row]])  # equals stay in the order of rows
    kept |= dict.fromkeys(used[: None if size is None else size - len(kept)], method)
    lost = [number for row, number in pieces.items() if row not in kept]
    reasons = Counter(kept.values())
    return Selection(
        rows=tuple(sorted(kept)),
        total=len(tokens),
        reasons={reason: reasons[reason] for reason in get_args(Reason) if reasons[reason]},
        methods=methods,
        coverage=1 - float(reference[lost].sum() / reference.sum()) if reference.any() else None,
    )


def _check(languages: Sequence[str], method: Method, corpus: Sequence[Path], size: int | None) -> None:
    if method == "scripts" and size is not None:
        message = "a size needs words or a corpus: by scripts no piece comes before another"
    elif method == "corpus" and not corpus:
        message = "no corpus is given to choose by"
    elif method != "corpus" and corpus:
        message = f"a corpus is given, and pieces are to be chosen by {method}"
    elif method != "corpus" and not languages:
        message = f"no language is given to choose {method} by"
    else:
        return
    raise VocabularyError(message)


def _special(
    tokens: Sequence[str], ordinary: Mapping[str, int], family: Family, languages: Sequence[str]
) -> Iterator[tuple[int, Reason]]:
    """Yield the rows that stay whatever is in a text: control tokens, sentinels, the languages that are served."""
    codes = set(language_codes(tokens)) if family == "nllb" else set()
    if unknown := sorted(set(languages) - codes) if family == "nllb" else []:
        message = f"the model does not know the language {unknown[0][:40]!r}"
        raise VocabularyError(message)
    seen = set()
    for row, token in enumerate(tokens):
        if token in ordinary:
            continue
        if token in codes:
            if token in languages:
                yield row, "languages"
        # The rows that pad T5's matrices are called like sentinels, by the converter; nothing was trained on them.
        elif (name := token.removeprefix(_BOUNDARY)) not in seen or not _T5_SYMBOL.fullmatch(token):
            seen.add(name)
            yield row, "special"


def _rules(
    tokens: Sequence[str],
    processor: SentencePieceProcessor,
    family: Family,
    method: Method,
    methods: Mapping[str, Method],
) -> Iterator[tuple[Reason, Callable[[str], object]]]:
    """Yield why ordinary pieces stay that no frequency decides on, each reason with its condition."""
    spelled = {token for token in tokens if len(token) == 1}
    yield "characters", lambda piece: len(piece.removeprefix(_BOUNDARY)) <= 1
    yield "unspellable", lambda piece: not spelled.issuperset(piece)
    if family == "t5":
        # What T5 was trained to be asked with, and a corpus need not contain.
        names = [FLORES_200[language] for language in methods if language in FLORES_200]
        prompts = processor.encode([f"translate {name} to {name}: " for name in names], out_type=str)
        yield "prompts", set().union(*prompts).__contains__
    if method != "corpus":
        yield "symbols", text_in([]).fullmatch  # numbers and punctuation, which the lists of words leave out
    if by_script := [language for language, own in methods.items() if own == "scripts"]:
        yield "scripts", text_in(by_script).fullmatch


def _counts(
    processor: SentencePieceProcessor, languages: Sequence[str], method: Method, corpus: Sequence[Path]
) -> tuple[Counts, Counts]:
    """Return how often pieces occur, to choose by and to measure with."""
    if method == "corpus":
        return count_lines(processor, corpus)
    nothing: Counts = np.zeros(processor.get_piece_size())
    # Scripts leave out next to nothing of a list: to measure that, the frequent words are enough, and ten times faster.
    size: ListSize = "best" if method == "words" else "small"
    shares = sum((count_words(processor, language, size) for language in languages if language in WORD_LISTS), nothing)
    return (shares if method == "words" else nothing), shares
