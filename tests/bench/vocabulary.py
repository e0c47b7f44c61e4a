"""How many rows of a vocabulary languages keep, by scripts and by words, and how much of their text stays as it was.

``python tests/bench/vocabulary.py`` prints the table. A BPE model of wordfreq's lists in 31 languages and 12 scripts
stands in for NLLB's, which has four times the pieces and six times the languages: trust the relations rather than the
rows. Training takes about a minute; the model is kept where ``--keep`` says.

``coverage`` is what a bake reports, measured on the very lists that pieces are chosen by. ``--text`` measures on text
as well.
"""

import argparse
import io
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import wordfreq
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from handler.languages import FLORES_200
from model_bake.errors import VocabularyError
from model_bake.frequencies import WORD_LISTS, forms_of
from model_bake.vocabulary import Method, Selection, select

SPACED = (
    "eng_Latn fra_Latn deu_Latn spa_Latn ita_Latn por_Latn nld_Latn swe_Latn pol_Latn ces_Latn "
    "ron_Latn tur_Latn vie_Latn ind_Latn fin_Latn hun_Latn rus_Cyrl ukr_Cyrl bul_Cyrl mkd_Cyrl "
    "ell_Grek arb_Arab pes_Arab urd_Arab heb_Hebr hin_Deva ben_Beng tam_Taml"
).split()
LISTS = {language: WORD_LISTS[language] for language in SPACED} | {"jpn_Jpan": "ja", "zho_Hans": "zh", "kor_Hang": "ko"}
GROUPS = ("eng_Latn fra_Latn", "eng_Latn deu_Latn rus_Cyrl", "jpn_Jpan eng_Latn")
SIZES = (None, 24_000, 20_000, 16_000, 12_000, 8_000)
CHARACTER_COVERAGE = 0.9995
"""As the trainer's documentation advises for languages with many characters."""
RAREST = 10
"""Occurrences in a hundred million words; what is rarer teaches the trainer nothing."""


def training_rows() -> Iterator[str]:
    """Yield every word in each of its forms, with how often it occurs in a hundred million words of its language."""
    for language, name in LISTS.items():
        for centibels, words in enumerate(wordfreq.read_cBpack(wordfreq.available_languages("best")[name])):
            for word in words:
                for form, share in forms_of(word, language):
                    count = round(1e8 * wordfreq.cB_to_freq(-centibels) * share)
                    if count >= RAREST:
                        yield f"{form}\t{count}"


def train(pieces: int) -> bytes:
    """Return the stand-in."""
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=training_rows(),
        model_writer=model,
        input_format="tsv",
        model_type="bpe",
        vocab_size=pieces,
        character_coverage=CHARACTER_COVERAGE,
        minloglevel=2,
    )
    return model.getvalue()


def write_folder(folder: Path, model: bytes) -> Path:
    """Write what ``select`` reads of a converted NLLB model; return the tokenizer's file."""
    processor = SentencePieceProcessor(model_proto=model)
    pieces = map(processor.id_to_piece, range(3, len(processor)))
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *pieces, *FLORES_200, "<mask>"]
    (folder / "shared_vocabulary.json").write_text(json.dumps(tokens), encoding="utf-8")
    tokenizer = folder / "sentencepiece.bpe.model"
    tokenizer.write_bytes(model)
    return tokenizer


def kept_share(selection: Selection, tokens: Sequence[str], processor: SentencePieceProcessor, text: Path) -> float:
    """Return the share of the pieces of a text that stay; unknown characters do not count."""
    kept = {tokens[row] for row in selection.rows}
    stays = np.array([processor.id_to_piece(number) in kept for number in range(len(processor))])
    lines = text.read_text(encoding="utf-8").splitlines()
    ids = [number for line in processor.encode(lines) for number in line if number != processor.unk_id()]
    return float(stays[ids].mean())


def parse_text(argument: str) -> tuple[str, Path]:
    """Split ``fra_Latn=FILE``."""
    language, _, path = argument.partition("=")
    return language, Path(path)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pieces", type=int, default=64_000, help="of the stand-in")
    parser.add_argument("--keep", type=Path, help="file for the trained stand-in, used if it is there")
    parser.add_argument(
        "--text", type=parse_text, action="append", default=[], metavar="fra_Latn=FILE", help="text to measure on"
    )
    options = parser.parse_args()
    texts = dict(options.text)
    start = time.process_time()
    model = options.keep.read_bytes() if options.keep and options.keep.exists() else train(options.pieces)
    if options.keep:
        options.keep.write_bytes(model)
    processor = SentencePieceProcessor(model_proto=model)
    print(f"{len(processor)} pieces, trained in {time.process_time() - start:.0f} CPU s")
    print(f"{'languages':<28} {'method':<8} {'size':>6} {'rows':>6} {'share':>6} {'coverage':>9}  of text")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        tokenizer = write_folder(folder, model)
        tokens = json.loads((folder / "shared_vocabulary.json").read_bytes())
        choices: list[tuple[Method, int | None]] = [("scripts", None), *(("words", size) for size in SIZES)]
        for group in GROUPS:
            for method, size in choices:
                head = f"{group:<28} {method:<8} {size or '':>6}"
                try:
                    selection = select(
                        folder, tokenizer=tokenizer, family="nllb", languages=group.split(), method=method, size=size
                    )
                except VocabularyError as error:
                    print(head, error)
                    continue
                rows, coverage = len(selection.rows), selection.coverage or 0
                figures = f"{rows:>6} {rows / selection.total:>6.1%} {coverage:>9.3%}"
                shares = (
                    f"{language} {kept_share(selection, tokens, processor, texts[language]):.3%}"
                    for language in group.split()
                    if language in texts
                )
                print(head, figures, "", *shares, flush=True)


if __name__ == "__main__":
    main()
