"""Special tokens of each family, and user text that looks like them."""

import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_text import CONTROL_TOKENS, LANGUAGE_CODES, NO_SENTINELS, odd_texts
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from handler.settings import DEMO_MODELS
from handler.tokenizer import NllbTokenizer, T5Tokenizer, load_tokenizer

NLLB = NllbTokenizer(DEMO_MODELS / "nllb-demo" / "sentencepiece.bpe.model")
T5 = T5Tokenizer(DEMO_MODELS / "t5-demo" / "spiece.model")
CONTROL = {"<s>", "</s>", "<pad>", "<unk>", "<mask>", "fra_Latn", "eng_Latn"}


def _sentencepiece(folder: Path, *, user_defined: Sequence[str] = ()) -> Path:
    """Train a SentencePiece model of T5's layout with symbols of its own."""
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(["how are you", "wie geht es dir", "good morning", "guten Morgen"] * 20),
        model_writer=model,
        vocab_size=60,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        user_defined_symbols=list(user_defined),
        minloglevel=2,
    )
    path = folder / "spiece.model"
    path.write_bytes(model.getvalue())
    return path


def test_nllb_puts_the_language_before_and_the_end_after() -> None:
    """The order NLLB was released with."""
    tokens = NLLB.encode("Good morning.", "eng_Latn")

    assert (tokens[0], tokens[-1]) == ("eng_Latn", "</s>")
    assert NLLB.decode(tokens[1:]) == "Good morning."


def test_a_language_code_among_the_tokens_is_left_out() -> None:
    """Whatever a model writes, its answer is text."""
    assert NLLB.decode(["▁B", "on", "fra_Latn", "</s>", "<pad>", "<mask>", "madeupword0"]) == "Bon"


def test_t5_ends_with_the_end_token_and_knows_no_language() -> None:
    """A language given to T5 changes nothing."""
    assert T5.encode("Good morning.", "fra_Latn") == T5.encode("Good morning.")
    assert T5.encode("Good morning.")[-1] == "</s>"


@pytest.mark.parametrize("text", ["</s>", "<pad>", "<unk>", "<s>", "fra_Latn", "<mask>", "a </s> b", "eng_Latn x"])
def test_control_tokens_that_a_user_types_are_text(text: str) -> None:
    """They come apart into pieces, and those join to what was typed."""
    for tokenizer in (NLLB, T5):
        pieces = tokenizer.encode(text, "eng_Latn")[:-1]
        pieces = pieces[1:] if tokenizer is NLLB else pieces
        assert not CONTROL & set(pieces)
        assert tokenizer.decode(pieces) == text


@given(st.text(max_size=40))
def test_no_text_becomes_a_control_token(text: str) -> None:
    """Whatever a user types; an unknown character is <unk>, which is what the model was trained to read."""
    nllb, t5 = NLLB.encode(text, "eng_Latn"), T5.encode(text)

    assert not (CONTROL - {"<unk>"}) & set(nllb[1:-1])
    assert not (CONTROL - {"<unk>"}) & set(t5[:-1])


@pytest.mark.parametrize("family", ["nllb", "t5"])
def test_no_text_with_control_tokens_in_it_becomes_one(family: str) -> None:
    """A thousand texts of control tokens, codes and odd characters: all they become is pieces, and unknown ones."""
    folder = DEMO_MODELS / f"{family}-demo"
    tokenizer: NllbTokenizer | T5Tokenizer = NLLB if family == "nllb" else T5
    path = folder / ("sentencepiece.bpe.model" if family == "nllb" else "spiece.model")
    processor = SentencePieceProcessor(model_file=str(path))
    # The rest of the vocabulary, codes and sentinels and all, is nothing that a text may become.
    pieces = {processor.id_to_piece(i) for i in range(processor.get_piece_size()) if not processor.is_control(i)}
    texts = odd_texts(1000, typed=(*CONTROL_TOKENS, *LANGUAGE_CODES, *NO_SENTINELS))

    for text in texts:
        tokens = tokenizer.encode(text, "eng_Latn")[family == "nllb" : -1]

        assert set(tokens) <= pieces, text


def test_sentinels_are_t5s_alone() -> None:
    """A span-corruption prompt works, and NLLB reads the same characters as text."""
    text = "The <extra_id_0> walks in <extra_id_99> park"

    tokens = T5.encode(text)

    assert [token for token in tokens if token.startswith("<extra")] == ["<extra_id_0>", "<extra_id_99>"]
    assert T5.decode(tokens) == text
    assert "<extra_id_0>" not in NLLB.encode(text, "eng_Latn")
    assert "<extra_id_100>" not in T5.encode("<extra_id_100>")


def test_mt5_keeps_its_sentinels_among_the_pieces(tmp_path: Path) -> None:
    """mT5's pieces hold a word boundary before the sentinel."""
    mt5 = T5Tokenizer(_sentencepiece(tmp_path, user_defined=["▁<extra_id_0>"]))

    tokens = mt5.encode("how <extra_id_0> you")

    assert "▁<extra_id_0>" in tokens
    assert mt5.decode(tokens) == "how <extra_id_0> you"


@pytest.mark.parametrize("text", ["<2de> how are you", "  <2de>how are you"], ids=["space", "no space"])
def test_madlads_tag_is_one_token(tmp_path: Path, text: str) -> None:
    """It is a symbol of the SentencePiece model, which puts a word boundary before it as it did in training."""
    madlad = T5Tokenizer(_sentencepiece(tmp_path, user_defined=["<2de>"]))

    tokens = madlad.encode(text)

    assert tokens[:2] == ["▁", "<2de>"]
    assert madlad.decode(tokens[2:]) == "how are you"


def test_a_tag_the_model_does_not_have_is_text() -> None:
    """flan-T5 has no <2de>."""
    assert T5.decode(T5.encode("<2de> Hello")[:-1]) == "<2de> Hello"


def test_white_space_and_accents_survive() -> None:
    """What the models write is read back as text without word-boundary marks."""
    for text in ("Où est l'hôtel ?", "¿Dónde está?", "Straße"):
        assert T5.decode(T5.encode(text)) == text


def test_the_family_chooses_the_tokenizer() -> None:
    """One place knows which family has which."""
    assert isinstance(load_tokenizer("nllb", DEMO_MODELS / "nllb-demo" / "sentencepiece.bpe.model"), NllbTokenizer)
    assert isinstance(load_tokenizer("t5", DEMO_MODELS / "t5-demo" / "spiece.model"), T5Tokenizer)
