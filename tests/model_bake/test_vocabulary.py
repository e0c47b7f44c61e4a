"""Which rows stay: special ones, single characters, and what the languages, their words or a corpus use."""

import io
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import regex
import wordfreq
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from handler.languages import FLORES_200
from handler.settings import DEMO_MODELS, Family
from model_bake.errors import CheckpointError, VocabularyError
from model_bake.frequencies import WORD_LISTS, count_lines, count_words
from model_bake.scripts import scripts, text_in
from model_bake.vocabulary import Method, Selection, select

LISTS = {"en": 600, "de": 300, "ru": 300, "el": 200, "ar": 200, "ja": 300, "ko": 200, "vi": 300}
"""wordfreq's languages that the tests' SentencePiece model is trained on, and how many words of each."""
CODES = ("eng_Latn", "deu_Latn", "rus_Cyrl", "ell_Grek", "arb_Arab", "jpn_Jpan", "kor_Hang", "nso_Latn", "vie_Latn")
REMOVED = "ж"
UNICODE = "".join(chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
EXTRA = [
    "the The with that",
    "không các",
    "Straße groß",
    "τρόπος λόγος",
    "İstanbul İyi",
    "(2019) 2019 ... 100 %",
    "20 % (100)",
]


def train(folder: Path, *, symbols: Sequence[str] = (), lines: Sequence[str] = (), **options: Any) -> Path:
    """Train a SentencePiece model on words of several scripts; return its file."""
    words = [
        word
        for code, count in LISTS.items()
        for word in itertools.islice(
            itertools.chain.from_iterable(wordfreq.read_cBpack(wordfreq.available_languages("small")[code])), count
        )
    ]
    cased = [f"{word} {word.capitalize()}" for word in words]
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter([*cased, *EXTRA * 200, *lines]),
        model_writer=model,
        **{"vocab_size": 3000, "character_coverage": 1.0, "hard_vocab_limit": False, "minloglevel": 2} | options,
        user_defined_symbols=list(symbols),
        num_threads=1,
    )
    path = folder / "sentencepiece.model"
    path.write_bytes(model.getvalue())
    return path


def write_tokens(folder: Path, tokenizer: Path, *, head: Sequence[str] = (), tail: Sequence[str] = ()) -> list[str]:
    """Write the vocabulary a converter makes of a SentencePiece model; return it."""
    processor = SentencePieceProcessor(model_file=str(tokenizer))
    tokens = [*head, *map(processor.id_to_piece, range(0 if not head else 3, len(processor))), *tail]
    (folder / "shared_vocabulary.json").write_text(json.dumps(tokens), encoding="utf-8")
    return tokens


@pytest.fixture(scope="module", name="folder")
def fixture_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the vocabulary of an NLLB model of several scripts."""
    folder = tmp_path_factory.mktemp("nllb")
    tokenizer = train(folder, model_type="bpe")
    write_tokens(folder, tokenizer, head=["<s>", "<pad>", "</s>", "<unk>"], tail=[*CODES, "<mask>", "madeupword0"])
    return folder


def tokens_of(folder: Path) -> list[str]:
    """Return all tokens of a folder."""
    tokens: list[str] = json.loads((folder / "shared_vocabulary.json").read_bytes())
    return tokens


def choose(folder: Path, languages: Sequence[str], method: Method, **options: Any) -> tuple[Selection, list[str]]:
    """Select with the folder's own SentencePiece model; return the tokens that stay as well."""
    selection = select(
        folder, tokenizer=folder / "sentencepiece.model", family="nllb", languages=languages, method=method, **options
    )
    tokens = tokens_of(folder)
    return selection, [tokens[row] for row in selection.rows]


def write_lines(path: Path, lines: Sequence[str]) -> Path:
    """Write a corpus."""
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def one_line(error: BaseException) -> str:
    """Return an error's message, which is to be one line."""
    message = str(error)
    assert "\n" not in message
    return message


# --- scripts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", sorted({code[4:]: code for code in FLORES_200}.values()))
def test_every_script_of_flores_200_is_known(language: str) -> None:
    """Letters of each of its scripts are among what it can be written in."""
    for name in scripts(language):
        letters = regex.search(rf"\p{{Script={name}}}{{3}}", UNICODE)
        assert letters
        assert text_in([language]).fullmatch(f"{letters[0]}, 5")


@pytest.mark.parametrize(
    ("language", "text", "written"),
    [
        ("eng_Latn", "naïve-2019!", True),
        ("eng_Latn", "да", False),
        ("eng_Latn", "aд", False),
        ("rus_Cyrl", "стр. 5", True),
        ("jpn_Jpan", "スーパー々「東京」です。", True),
        ("zho_Hant", "ㄅ注音", True),
        ("zho_Hans", "ㄅ", False),
        ("zho_Hans", "東京。", True),
        ("kor_Hang", "서울", True),
        ("kor_Hang", "ー", False),
        ("hin_Deva", "है।", True),
        ("sat_Beng", "ᱥᱟᱱᱛᱟᱲᱤ", True),
        ("arb_Arab", "٢٠١٩ َ،", True),
    ],
)
def test_text_is_in_a_script_or_in_none(language: str, text: str, written: bool) -> None:  # noqa: FBT001
    """Digits, punctuation and combining marks belong to every language, unless Unicode gives them to some."""
    assert (text_in([language]).fullmatch(text) is not None) == written


@pytest.mark.parametrize("language", ["eng_Abcd", "eng", "eng_", "", "eng_Latin", "eng_}" * 50])
def test_a_script_that_unicode_does_not_know_is_refused(language: str) -> None:
    """In one line, however long the code is."""
    with pytest.raises(VocabularyError, match="names no script") as raised:
        scripts(language)

    assert len(one_line(raised.value)) < 150


def test_scripts_keep_what_can_be_written_in_them(folder: Path) -> None:
    """Every piece of Latin letters, digits and punctuation, and none of other letters that could be spelled."""
    selection, kept = choose(folder, ["eng_Latn"], "scripts")

    longer = [token for token in set(tokens_of(folder)) - set(kept) if token not in CODES]
    assert {"▁the", "▁with", "▁2019", "..."} <= set(kept)
    assert not {"▁Straße", "▁что", "▁της"} & set(kept) - {"▁Straße"}
    assert all(regex.search(r"\p{L}", token) and not regex.search(r"\p{Latin}", token) for token in longer)
    assert selection.methods == {"eng_Latn": "scripts"}
    assert selection.coverage == pytest.approx(1, abs=1e-3)
    assert list(selection.reasons) == ["special", "languages", "characters", "symbols", "scripts"]
    assert sum(selection.reasons.values()) == len(selection.rows) < selection.total == len(tokens_of(folder))


# --- what always stays ------------------------------------------------------------------------------------------------


def test_special_tokens_stay_and_languages_go_that_are_not_deployed(folder: Path, tmp_path: Path) -> None:
    """The rows of control tokens, the mask, made-up words, and of the languages asked for."""
    corpus = write_lines(tmp_path / "corpus.txt", ["the"])

    selection, kept = choose(folder, ["deu_Latn", "jpn_Jpan"], "corpus", corpus=[corpus])

    assert [token for token in kept if token in CODES] == ["deu_Latn", "jpn_Jpan"]
    assert {"<s>", "<pad>", "</s>", "<unk>", "<mask>", "madeupword0"} <= set(kept)
    assert (selection.reasons["special"], selection.reasons["languages"]) == (6, 2)
    assert list(selection.rows) == sorted(set(selection.rows))


def test_every_single_character_stays(folder: Path, tmp_path: Path) -> None:
    """With a word boundary before it or without: any text can be spelled."""
    corpus = write_lines(tmp_path / "corpus.txt", ["the"])

    _, kept = choose(folder, ["eng_Latn"], "corpus", corpus=[corpus])

    characters = {token for token in tokens_of(folder) if len(token.removeprefix("▁")) <= 1}
    assert {"▁", "a", "д", "京", "▁и"} <= characters <= set(kept)
    assert {token for token in kept if token not in characters} <= {
        *("<s>", "<pad>", "</s>", "<unk>", "<mask>", "madeupword0", "eng_Latn", "▁the")
    }


def test_a_piece_stays_that_nothing_else_could_spell(tmp_path: Path) -> None:
    """A character without a row of its own keeps every piece it is in."""
    tokenizer = train(tmp_path, model_type="bpe")
    tokens = write_tokens(tmp_path, tokenizer, head=["<s>", "<pad>", "</s>", "<unk>"], tail=CODES)
    (tmp_path / "shared_vocabulary.json").write_text(json.dumps([token for token in tokens if token != REMOVED]))
    corpus = write_lines(tmp_path / "corpus.txt", ["the"])

    selection, kept = choose(tmp_path, ["eng_Latn"], "corpus", corpus=[corpus])

    with_it = {token for token in tokens if REMOVED in token and len(token.removeprefix("▁")) > 1}
    assert with_it
    assert with_it <= set(kept)
    assert selection.reasons["unspellable"] == len(with_it)


@pytest.mark.parametrize("family", ["nllb", "t5"])
def test_nllb_knows_only_the_languages_it_has(folder: Path, tmp_path: Path, family: Family) -> None:
    """T5 has no rows for languages, so it takes any."""
    corpus = write_lines(tmp_path / "corpus.txt", ["the"])

    def ask() -> Selection:
        tokenizer = folder / "sentencepiece.model"
        languages = ["eng_Latn", "swe_Latn"]
        return select(folder, tokenizer=tokenizer, family=family, languages=languages, method="corpus", corpus=[corpus])

    if family == "t5":
        assert ask().methods == {"eng_Latn": "corpus", "swe_Latn": "corpus"}
    else:
        with pytest.raises(VocabularyError, match="does not know the language 'swe_Latn'"):
            ask()


def select_t5(folder: Path, corpus: Sequence[str], languages: Sequence[str] = ()) -> list[str]:
    """Select for a T5 model by a corpus; return the tokens that stay."""
    path = write_lines(folder / "corpus.txt", corpus)
    selection = select(
        folder,
        tokenizer=folder / "sentencepiece.model",
        family="t5",
        languages=languages,
        method="corpus",
        corpus=[path],
    )
    tokens = tokens_of(folder)
    return [tokens[row] for row in selection.rows]


def test_rows_that_pad_t5s_matrices_go(tmp_path: Path) -> None:
    """The converter calls them like sentinels that are there already."""
    tokenizer = train(tmp_path, model_type="unigram")
    sentinels = [f"<extra_id_{number}>" for number in range(99, -1, -1)]
    write_tokens(tmp_path, tokenizer, tail=[*sentinels, "<extra_id_0>", "<extra_id_1>"])

    kept = select_t5(tmp_path, ["the"])

    assert [token for token in kept if token.startswith("<extra")] == sentinels


@pytest.mark.parametrize("declared", [True, False], ids=["user-defined", "ordinary"])
def test_symbols_stay_however_sentencepiece_lists_them(tmp_path: Path, declared: bool) -> None:  # noqa: FBT001
    """mT5's sentinels and MADLAD's tags stand among the pieces; mT5's padding is called like T5's sentinels."""
    symbols = ["▁<extra_id_0>", "<2de>", "<2zh_Hant>"]
    if declared:
        tokenizer = train(tmp_path, model_type="unigram", symbols=symbols)
        tokens = write_tokens(tmp_path, tokenizer, tail=["<extra_id_0>"])
    else:
        tokenizer = train(tmp_path, model_type="unigram", lines=["<extra_id_0>", "<2de>", "<2zh_Hant>"] * 99)
        tokens = write_tokens(tmp_path, tokenizer, tail=["<extra_id_0>"])
        symbols = [token for token in tokens[:-1] if token in symbols]
    kept = select_t5(tmp_path, ["the"])

    assert set(symbols) <= set(kept)
    if declared:
        assert "<extra_id_0>" not in kept


def test_t5_keeps_what_it_is_asked_with(tmp_path: Path) -> None:
    """A corpus holds sentences, not prompts."""
    lines = ["translate English to German: ", "translate German to English: "]
    tokenizer = train(tmp_path, model_type="unigram", lines=lines * 500)
    write_tokens(tmp_path, tokenizer)
    pieces = {
        piece
        for line in SentencePieceProcessor(model_file=str(tokenizer)).encode(lines, out_type=str)
        for piece in line
        if len(piece.removeprefix("▁")) > 1
    }

    assert pieces
    assert pieces <= set(select_t5(tmp_path, ["京"], ["eng_Latn", "deu_Latn"]))
    assert not pieces & set(select_t5(tmp_path, ["京"]))


# --- words ------------------------------------------------------------------------------------------------------------


def test_the_word_lists_are_there_and_in_the_languages_scripts() -> None:
    """Serbian's list is not: its words are transliterated."""
    lists = wordfreq.available_languages("best")
    assert WORD_LISTS.keys() <= FLORES_200.keys()
    assert set(WORD_LISTS.values()) == lists.keys() - {"ja", "ko", "zh"}
    for language, name in WORD_LISTS.items():
        words = itertools.chain.from_iterable(wordfreq.read_cBpack(wordfreq.available_languages("small")[name]))
        sample = list(itertools.islice(words, 500))
        assert sum(bool(text_in([language]).fullmatch(word)) for word in sample) > 480, language


def test_words_keep_what_a_language_uses(folder: Path) -> None:
    """Vietnamese words in any case, numbers and punctuation, and no Greek."""
    selection, kept = choose(folder, ["vie_Latn"], "words")

    assert {"▁không", "▁2019", "..."} <= set(kept)
    assert not {"▁της", "▁что"} & set(kept)
    assert selection.methods == {"vie_Latn": "words"}
    assert selection.coverage == 1
    assert selection.reasons["words"] > 100


@pytest.mark.parametrize(
    ("language", "pieces"),
    [("deu_Latn", ["ß"]), ("ell_Grek", ["ς", "ος"]), ("tur_Latn", ["▁İ"]), ("eng_Latn", ["▁I", "▁The"])],
)
def test_words_of_the_lists_are_unfolded(folder: Path, language: str, pieces: list[str]) -> None:
    """Folding has made other letters of the German and the Greek s, and Turkish has a capital of its own."""
    processor = SentencePieceProcessor(model_file=str(folder / "sentencepiece.model"))

    shares = count_words(processor, language, "small")

    assert shares.sum() == pytest.approx(1)
    assert all(shares[processor.piece_to_id(piece)] > 0 for piece in pieces)


def test_languages_without_a_list_go_by_their_script(folder: Path) -> None:
    """Northern Sotho has none, and Japanese and Korean words are not what stands between two spaces."""
    selection, kept = choose(folder, ["vie_Latn", "jpn_Jpan", "kor_Hang"], "words")

    everything = set(tokens_of(folder))
    assert selection.methods == {"vie_Latn": "words", "jpn_Jpan": "scripts", "kor_Hang": "scripts"}
    assert {token for token in everything if regex.fullmatch(r"▁?[\p{Hira}\p{Kana}\p{Hani}\p{Hang}]+", token)} <= set(
        kept
    )
    assert "▁της" not in kept
    assert choose(folder, ["nso_Latn"], "words")[0].coverage is None


@pytest.mark.parametrize(("method", "first"), [("words", {"▁th", "▁ch"}), ("corpus", {"▁không", "▁các"})])
def test_a_size_keeps_the_most_frequent(folder: Path, tmp_path: Path, method: Method, first: set[str]) -> None:
    """As many rows as asked for, fewer only where no more are used, and never fewer than have to stay."""
    corpus = write_lines(tmp_path / "corpus.txt", ["không không các không các"] * 20 + ["người những được"])
    options: dict[str, Any] = {"corpus": [corpus]} if method == "corpus" else {}
    whole, _ = choose(folder, ["vie_Latn"], method, **options)
    obligatory = len(whole.rows) - whole.reasons[method]

    least, _ = choose(folder, ["vie_Latn"], method, size=obligatory, **options)
    two, kept = choose(folder, ["vie_Latn"], method, size=obligatory + 2, **options)
    most, _ = choose(folder, ["vie_Latn"], method, size=10 * whole.total, **options)

    assert (len(least.rows), least.reasons.get(method)) == (obligatory, None)
    assert (len(two.rows), two.reasons[method]) == (obligatory + 2, 2)
    assert first <= set(kept)
    assert most == whole
    assert set(least.rows) < set(two.rows) < set(whole.rows)
    assert least.coverage is not None
    assert two.coverage is not None
    assert least.coverage < two.coverage
    with pytest.raises(VocabularyError, match=f"{obligatory - 1} rows is too small: {obligatory} have to stay"):
        choose(folder, ["vie_Latn"], method, size=obligatory - 1, **options)


# --- corpus -----------------------------------------------------------------------------------------------------------


def test_a_corpus_keeps_what_it_uses_and_is_measured_on_other_lines(folder: Path, tmp_path: Path) -> None:
    """One line in ten counts for the coverage alone."""
    lines = ["with that"] * 100
    lines[9] = "который"  # the first that is held out

    selection, kept = choose(folder, ["eng_Latn"], "corpus", corpus=[write_lines(tmp_path / "corpus.txt", lines)])
    lines[8] = "который"
    other, more = choose(folder, ["eng_Latn"], "corpus", corpus=[write_lines(tmp_path / "corpus.txt", lines)])

    processor = SentencePieceProcessor(model_file=str(folder / "sentencepiece.model"))
    pieces = [piece for piece in processor.encode("который", out_type=str) if len(piece.removeprefix("▁")) > 1]
    assert {"▁with", "▁that"} <= set(kept)
    assert pieces
    assert not set(pieces) & set(kept)
    assert set(pieces) <= set(more)
    assert selection.coverage is not None
    assert 0.7 < selection.coverage < 1 == other.coverage


def test_lines_are_held_out_of_both_of_two_languages(folder: Path, tmp_path: Path) -> None:
    """Where source and translation take turns, every tenth line would be of one language alone."""
    processor = SentencePieceProcessor(model_file=str(folder / "sentencepiece.model"))
    corpus = write_lines(tmp_path / "corpus.txt", ["the", "что"] * 500)

    counted, held_out = count_lines(processor, [corpus])

    the, what = processor.encode("the")[0], processor.encode("что")[0]
    assert (counted[the], counted[what], held_out[the], held_out[what]) == (450, 450, 50, 50)


def test_several_files_are_one_corpus(folder: Path, tmp_path: Path) -> None:
    """Empty lines, Windows line ends and a byte order mark mean nothing."""
    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    first.write_bytes(b"\xef\xbb\xbfwith\r\n\r\n  \r\n")
    second.write_bytes(b"\n\nthat")

    selection, kept = choose(folder, ["eng_Latn"], "corpus", corpus=[first, second])

    assert {"▁with", "▁that"} <= set(kept)
    assert selection.reasons["corpus"] == 2
    assert selection.coverage is None  # too little to hold any out


def test_a_corpus_without_line_ends_is_read_in_parts(folder: Path, tmp_path: Path) -> None:
    """So that no file fills the memory."""
    processor = SentencePieceProcessor(model_file=str(folder / "sentencepiece.model"))
    corpus = write_lines(tmp_path / "corpus.txt", ["the " * 200_000])

    counted, held_out = count_lines(processor, [corpus])

    assert counted[processor.encode("the")[0]] + held_out[processor.encode("the")[0]] == 200_000
    assert held_out.any()


def bad_files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield what is no corpus, and what is said of it."""
    (folder / "empty.txt").touch()
    (folder / "blank.txt").write_text("\n \n\n")
    (folder / "latin1.txt").write_bytes("déjà vu\n".encode("latin-1"))
    (folder / "utf16.txt").write_bytes("the\n".encode("utf-16"))
    yield folder / "missing.txt", "No such file"
    yield folder, "Is a directory"
    yield folder / "empty.txt", "no text"
    yield folder / "blank.txt", "no text"
    yield folder / "latin1.txt", "not UTF-8"
    yield folder / "utf16.txt", "not UTF-8"


def test_what_is_no_corpus_is_refused(folder: Path, tmp_path: Path) -> None:
    """One line that names the file."""
    for path, message in bad_files(tmp_path):
        with pytest.raises(VocabularyError, match=message) as raised:
            choose(folder, ["eng_Latn"], "corpus", corpus=[path])
        assert str(path) in one_line(raised.value)


# --- options and files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("languages", "method", "options", "message"),
    [
        (["eng_Latn"], "scripts", {"size": 9000}, "needs words or a corpus"),
        (["eng_Latn"], "corpus", {}, "no corpus"),
        (["eng_Latn"], "words", {"corpus": [Path("a.txt")]}, "chosen by words"),
        ([], "scripts", {}, "no language"),
        ([], "words", {}, "no language"),
    ],
    ids=["size by scripts", "corpus of nothing", "corpus and words", "scripts of nothing", "words of nothing"],
)
def test_options_that_contradict_each_other_are_refused(
    folder: Path, languages: list[str], method: Method, options: dict[str, Any], message: str
) -> None:
    """Before anything is read."""
    with pytest.raises(VocabularyError, match=message) as raised:
        choose(folder, languages, method, **options)

    one_line(raised.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("shared_vocabulary.json", None, "No such file"),
        ("shared_vocabulary.json", b"[", "readable as JSON"),
        ("shared_vocabulary.json", b'{"a": 1}', "not a list of tokens"),
        ("shared_vocabulary.json", b"[1, 2]", "not a list of tokens"),
        ("sentencepiece.model", None, "No such file"),
        ("sentencepiece.model", b"", "not a SentencePiece model"),
        ("sentencepiece.model", b"\xff\xff\xff\xff", "not a SentencePiece model"),
    ],
    ids=["no vocabulary", "half", "object", "numbers", "no tokenizer", "empty", "anything"],
)
def test_files_that_cannot_be_used_are_refused(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    """One line that names the file."""
    demo = DEMO_MODELS / "nllb-demo"
    (tmp_path / "shared_vocabulary.json").write_bytes((demo / "shared_vocabulary.json").read_bytes())
    (tmp_path / "sentencepiece.model").write_bytes((demo / "sentencepiece.bpe.model").read_bytes())
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)

    with pytest.raises(CheckpointError, match=message) as raised:
        choose(tmp_path, ["eng_Latn"], "scripts")

    assert str(tmp_path / name) in one_line(raised.value)


@pytest.mark.parametrize("model_type", ["char", "word"])
def test_a_sentencepiece_model_of_another_type_is_refused(tmp_path: Path, model_type: str) -> None:
    """Words are not spelled with other words."""
    write_tokens(tmp_path, train(tmp_path, model_type=model_type, vocab_size=500), tail=CODES)

    with pytest.raises(CheckpointError, match="type BPE or unigram"):
        choose(tmp_path, ["eng_Latn"], "scripts")
