"""A pruned model: the same answers where its pieces stay, whatever its weights' type, and no new <unk> anywhere."""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Literal

import numpy as np
import pytest
from ctranslate2 import Translator
from hypothesis import given, settings
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from handler.settings import DEMO_MODELS
from handler.tokenizer import load_tokenizer
from model_bake.demo.evaluate import cases, suites
from model_bake.demo.families import FAMILIES, Direction, Family
from model_bake.demo.inference import DemoModel
from model_bake.demo.phrasebook import build_phrasebook
from model_bake.errors import CheckpointError, OutputError
from model_bake.model_file import Variable, read_model, write_model
from model_bake.pruning import prune
from model_bake.vocabulary import Selection, select

PAIR: Direction = ("eng_Latn", "fra_Latn")
NLLB, T5 = FAMILIES["nllb"], FAMILIES["t5"]
SAMPLE = 60
MATRIX = "decoder/embeddings/weight"


def tokens_of(folder: Path) -> list[str]:
    """Return the tokens of a folder."""
    tokens: list[str] = json.loads((folder / "shared_vocabulary.json").read_bytes())
    return tokens


def choose(family: Family, folder: Path, corpus: Path) -> Selection:
    """Select what English and French use of a demo model's vocabulary."""
    return select(
        folder,
        tokenizer=folder / family.tokenizer_file,
        family=family.name,
        languages=PAIR,
        method="corpus",
        corpus=[corpus],
    )


@pytest.fixture(scope="module", name="corpus")
def fixture_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the training text of the pair."""
    book = build_phrasebook()
    entries = [entry for template in book.training for entry in (*template.full, *template.bare)]
    lines = [entry.texts[lang] for entry in entries for lang in PAIR]
    lines += [source for entry in book.phrases for lang in PAIR for source in entry.sources[lang]]
    path = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@dataclass(frozen=True, slots=True)
class Pruned:
    """A demo model cut to one pair of languages."""

    family: Family
    folder: Path
    selection: Selection


@pytest.fixture(scope="module", name="pruned", params=[NLLB, T5], ids=lambda family: family.name)
def fixture_pruned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Pruned:
    """Return each demo model, cut to English and French by its corpus."""
    family = request.param
    folder = tmp_path_factory.mktemp(family.name) / "model"
    selection = choose(family, family.model_dir, corpus)
    prune(family.model_dir, folder, tokenizer_name=family.tokenizer_file, selection=selection)
    return Pruned(family, folder, selection)


# --- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beam_size", [1, 4], ids=["greedy", "beam4"])
@pytest.mark.parametrize("direction", [PAIR, PAIR[::-1]], ids="-".join)
def test_a_pruned_model_gives_the_same_answers(pruned: Pruned, direction: Direction, beam_size: int) -> None:
    """Sentences neither the model nor the selection has seen, token for token."""
    sample = [request for request, _ in Random(8).sample(cases(suites()[0], direction), SAMPLE)]

    before = DemoModel(pruned.family).translate_tokens(sample, beam_size=beam_size)
    after = DemoModel(pruned.family, pruned.folder).translate_tokens(sample, beam_size=beam_size)

    assert after == before
    assert len(pruned.selection.rows) < 0.65 * pruned.selection.total
    assert pruned.selection.coverage is not None
    assert pruned.selection.coverage > 0.9999


def test_files_fit_each_other(pruned: Pruned) -> None:
    """Rows, tokens and pieces are the same, languages that are not deployed are gone, other files are copied."""
    source, tokens = pruned.family.model_dir, tokens_of(pruned.folder)
    processor = SentencePieceProcessor(model_file=str(pruned.folder / pruned.family.tokenizer_file))
    model = read_model(pruned.folder / "model.bin")

    assert tokens == [tokens_of(source)[row] for row in pruned.selection.rows]
    assert model.variables[MATRIX].shape == (len(tokens), 128)
    assert model.variables[f"{MATRIX}_scale"].shape == (len(tokens),)
    pieces = {processor.id_to_piece(i) for i in range(len(processor)) if not processor.is_unused(i)}
    assert pieces <= set(tokens)
    assert not {"deu_Latn", "spa_Latn"} & set(tokens)
    assert (pruned.folder / "config.json").read_bytes() == (source / "config.json").read_bytes()
    assert {path.name for path in pruned.folder.iterdir()} == {path.name for path in source.iterdir()}


def test_pruning_is_reproducible(pruned: Pruned, corpus: Path, tmp_path: Path) -> None:
    """The same bytes again, in the form of CTranslate2's converter, and every byte read is reported once."""
    source, name, done = pruned.family.model_dir, pruned.family.tokenizer_file, list[int]()

    prune(
        source,
        tmp_path / "again",
        tokenizer_name=name,
        selection=choose(pruned.family, source, corpus),
        advance=done.append,
    )
    everything = Selection(tuple(range(pruned.selection.total)), pruned.selection.total, {}, {}, None)
    prune(source, tmp_path / "whole", tokenizer_name=name, selection=everything)

    for path in pruned.folder.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    for path in source.iterdir():
        assert path.read_bytes() == (tmp_path / "whole" / path.name).read_bytes()
    assert sum(done) == (source / "model.bin").stat().st_size


def test_a_pruned_model_can_be_pruned_again(pruned: Pruned, tmp_path: Path) -> None:
    """What went stays away, and what is asked for less goes too."""
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("Where is the train station?\nOù est la gare ?\n", encoding="utf-8")

    selection = choose(pruned.family, pruned.folder, corpus)
    name = pruned.family.tokenizer_file
    prune(pruned.folder, tmp_path / "twice", tokenizer_name=name, selection=selection)

    assert len(selection.rows) < selection.total == len(pruned.selection.rows)
    tokenizer = load_tokenizer(pruned.family.name, tmp_path / "twice" / name)
    for text in ("Where is the train station?", "Der Bahnhof, bitte.", "¿Dónde está la estación?"):
        assert set(tokenizer.encode(text, "eng_Latn")) <= set(tokens_of(tmp_path / "twice"))


# --- types of weights -------------------------------------------------------------------------------------------------

Kind = Literal["float32", "float16", "bfloat16", "int8", "int16"]


def convert(family: Family, kind: Kind, folder: Path, *, untied: bool = False) -> None:
    """Write a demo model as CTranslate2's converter writes that type; ``untied`` gives T5 a projection of its own."""
    model = read_model(family.model_dir / "model.bin")
    variables: dict[str, Variable] = {}
    for name, variable in model.variables.items():
        if (scale := model.variables.get(f"{name}_scale")) is not None:
            variables |= _weights(name, variable.array / scale.array[:, None], kind)
        elif not name.endswith("weight_scale"):
            variables[name] = variable
    aliases = dict(model.aliases)
    if untied:
        aliases.pop("decoder/projection/weight")
        embeddings = model.variables[MATRIX].array / model.variables[f"{MATRIX}_scale"].array[:, None]
        noise = np.random.default_rng(3)
        projection = embeddings + noise.normal(0, 0.02, embeddings.shape)
        bias = noise.normal(0, 0.5, len(embeddings)).astype(np.float32)
        variables |= _weights("decoder/projection/weight", projection, kind)
        variables["decoder/projection/bias"] = Variable(bias, "float32")
    folder.mkdir()
    write_model(replace(model, variables=dict(sorted(variables.items())), aliases=aliases), folder / "model.bin")
    for name in ("config.json", "shared_vocabulary.json", family.tokenizer_file):
        (folder / name).write_bytes((family.model_dir / name).read_bytes())


def _weights(name: str, weights: Any, kind: Kind) -> Iterator[tuple[str, Variable]]:
    """Yield a matrix, and its scale, as ``LayerSpec._quantize`` of ctranslate2/specs/model_spec.py makes them."""
    weights = weights.astype(np.float32)
    if kind == "int8":
        scale = (127 / np.abs(weights).max(axis=1)).astype(np.float32)
        yield name, Variable(np.rint(weights * scale[:, None]).astype(np.int8), kind)
        yield f"{name}_scale", Variable(scale, "float32")
    elif kind == "int16":
        scale = np.float32(2**10 / np.abs(weights).max())
        yield name, Variable(np.rint(weights * scale).astype(np.int16), kind)
        yield f"{name}_scale", Variable(np.asarray(scale), "float32")
    elif kind == "bfloat16":  # the upper half of a float32
        yield name, Variable((weights.view(np.uint32) >> 16).astype(np.uint16), kind)
    else:
        yield name, Variable(weights.astype(kind), kind)


def first_logits(folder: Path, source: Sequence[Sequence[str]], prefix: Sequence[Sequence[str]] | None) -> Any:
    """Return the logits of the first token of each answer, over the whole vocabulary."""
    translator: Any = Translator(str(folder), intra_threads=1)
    results = translator.translate_batch(
        source,
        target_prefix=prefix,
        beam_size=1,
        max_decoding_length=2 if prefix else 1,
        return_logits_vocab=True,
    )
    return np.array([result.logits[0][-1] for result in results])


@pytest.mark.parametrize("kind", ["float32", "float16", "bfloat16", "int8", "int16"])
@pytest.mark.parametrize("layout", ["nllb", "t5", "t5 untied"])
def test_every_type_of_weights_keeps_its_rows(tmp_path: Path, corpus: Path, kind: Kind, layout: str) -> None:
    """The logits of the rows that stay are the same: embeddings, scales, projection and bias go together."""
    family = FAMILIES["nllb" if layout == "nllb" else "t5"]
    full, cut = tmp_path / "full", tmp_path / "cut"
    convert(family, kind, full, untied=layout == "t5 untied")
    selection = choose(family, full, corpus)
    prune(full, cut, tokenizer_name=family.tokenizer_file, selection=selection)

    tokenizer = load_tokenizer(family.name, cut / family.tokenizer_file)
    requests = [request for request, _ in Random(4).sample(cases(suites()[0], PAIR), 8)]
    source = [tokenizer.encode(family.prompt(request.text, *PAIR), PAIR[0]) for request in requests]
    prefix = [[PAIR[1]]] * len(source) if family is NLLB else None
    before, after = first_logits(full, source, prefix), first_logits(cut, source, prefix)

    assert after.shape == (len(source), len(selection.rows))
    np.testing.assert_allclose(after, before[:, selection.rows], rtol=1e-4, atol=1e-4)


# --- text -------------------------------------------------------------------------------------------------------------

TRAINING = [
    *("Where is the train station?", "Der Bahnhof ist groß, der Zug kommt um 8:45.", "Où est la gare ?", "x² ≈ 100 %"),
    *(
        "Где находится вокзал?",
        "Поезд прибывает вечером.",
        "Πού είναι το τρένο;",
        "駅はどこですか。",
        "東京の駅です。",
    ),
    *("أين تقع محطة القطار؟", "रेलवे स्टेशन कहाँ है?", "기차역이 어디에 있습니까?", "สถานีรถไฟอยู่ที่ไหน"),
]


@cache
def train(model_type: str) -> bytes:
    """Return a SentencePiece model of several scripts."""
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(TRAINING * 3),
        model_writer=model,
        model_type=model_type,
        vocab_size=900,
        hard_vocab_limit=False,
        character_coverage=1.0,
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


@dataclass(frozen=True, slots=True)
class Splitter:
    """A SentencePiece model before and after pruning."""

    model_type: str
    full: SentencePieceProcessor
    cut: SentencePieceProcessor
    tokens: frozenset[str]
    """Of the pruned vocabulary."""
    texts: st.SearchStrategy[str]


def build_splitter(folder: Path, model_type: str, content: bytes, share: float) -> Splitter:
    """Prune a model of this tokenizer: to what has to stay, and a random ``share`` of the rest."""
    full = SentencePieceProcessor(model_proto=content)
    tokens = [full.id_to_piece(i) for i in range(len(full))]
    source = folder / "full"
    convert(T5, "float32", source)
    (source / "spiece.model").write_bytes(content)
    (source / "shared_vocabulary.json").write_text(json.dumps(tokens), encoding="utf-8")
    model = read_model(source / "model.bin")
    matrix = Variable(np.zeros((len(tokens), 128), np.float32), "float32")
    write_model(replace(model, variables={**model.variables, MATRIX: matrix}), folder / "model.bin")
    (folder / "model.bin").replace(source / "model.bin")
    (folder / "corpus.txt").write_text("a", encoding="utf-8")
    least = choose(T5, source, folder / "corpus.txt")
    rest = sorted(set(range(len(tokens))) - set(least.rows))
    rows = tuple(sorted({*least.rows, *Random(2).sample(rest, int(share * len(rest)))}))
    prune(source, folder / "cut", tokenizer_name="spiece.model", selection=replace(least, rows=rows))
    words = [token.replace("▁", " ") for token in tokens]
    return Splitter(
        model_type,
        full,
        SentencePieceProcessor(model_file=str(folder / "cut" / "spiece.model")),
        frozenset(tokens[row] for row in rows),
        st.lists(st.sampled_from(words) | st.text(max_size=3), max_size=12).map("".join),
    )


MODELS = [
    *(("bpe", (DEMO_MODELS / "nllb-demo" / "sentencepiece.bpe.model").read_bytes(), share) for share in (0, 0.5)),
    *(("unigram", (DEMO_MODELS / "t5-demo" / "spiece.model").read_bytes(), share) for share in (0, 0.5)),
    *((model_type, train(model_type), share) for model_type in ("bpe", "unigram") for share in (0, 0.5, 0.9)),
]


@pytest.fixture(scope="module", name="splitter", params=MODELS, ids=lambda model: f"{model[0]}-{model[2]}")
def fixture_splitter(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Splitter:
    """Return each tokenizer cut to what has to stay, and to more."""
    return build_splitter(tmp_path_factory.mktemp("splitter"), *request.param)


@settings(deadline=None)  # a busy machine is no failure
@given(data=st.data())
def test_any_text_is_spelled_with_what_stays(splitter: Splitter, data: st.DataObject) -> None:
    """No new <unk>, only pieces that have a row, the same text; BPE splits as before what loses none of its pieces."""
    text = data.draw(splitter.texts | st.text(max_size=60))

    before, after = splitter.full.encode(text), splitter.cut.encode(text)

    unknown = splitter.full.unk_id()
    assert after.count(unknown) == before.count(unknown)
    assert {splitter.cut.id_to_piece(i) for i in after} <= splitter.tokens
    assert splitter.cut.decode(after) == splitter.full.decode(before)
    if {splitter.full.id_to_piece(i) for i in before} <= splitter.tokens:
        assert after == before
    elif splitter.model_type == "bpe":
        # Only the pieces that went are split: those that stay are there, in order.
        rest = iter(after)
        kept = [i for i in before if splitter.full.id_to_piece(i) in splitter.tokens]
        assert all(i in rest for i in kept)


# --- errors -----------------------------------------------------------------------------------------------------------


def copy(family: Family, folder: Path) -> Path:
    """Copy a demo model so that it can be damaged."""
    folder.mkdir()
    for path in family.model_dir.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


ALL = Selection(tuple(range(2006)), 2006, {}, {}, None)


def test_a_vocabulary_that_does_not_fit_the_weights_is_refused(tmp_path: Path) -> None:
    """Both numbers are named."""
    source = copy(NLLB, tmp_path / "source")
    (source / "shared_vocabulary.json").write_text(json.dumps([*tokens_of(source), "more"]))

    with pytest.raises(CheckpointError, match=r"has the shape \(2006, 128\), and shared_vocabulary\.json 2007 tokens"):
        prune(source, tmp_path / "target", tokenizer_name=NLLB.tokenizer_file, selection=ALL)

    assert not (tmp_path / "target").exists()


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    """One without an encoder, for example."""
    source = copy(NLLB, tmp_path / "source")
    model = read_model(NLLB.model_dir / "model.bin")
    aliases = {name: target for name, target in model.aliases.items() if not name.startswith("encoder/")}
    write_model(replace(model, aliases=aliases), source / "model.bin")

    with pytest.raises(CheckpointError, match="has no encoder/embeddings_0/weight"):
        prune(source, tmp_path / "target", tokenizer_name=NLLB.tokenizer_file, selection=ALL)


@pytest.mark.parametrize("name", ["model.bin", "shared_vocabulary.json", NLLB.tokenizer_file])
def test_an_incomplete_folder_is_refused(tmp_path: Path, name: str) -> None:
    """The error names the file."""
    source = copy(NLLB, tmp_path / "source")
    (source / name).unlink()

    with pytest.raises(CheckpointError, match=name):
        prune(source, tmp_path / "target", tokenizer_name=NLLB.tokenizer_file, selection=ALL)

    assert not (tmp_path / "target").exists()


def test_a_folder_that_is_there_is_not_written_to(tmp_path: Path) -> None:
    """Nor is one that cannot be made."""
    (tmp_path / "file").touch()

    for target, message in ((tmp_path, "File exists"), (tmp_path / "file" / "target", "Not a directory")):
        with pytest.raises(OutputError, match=message) as raised:
            prune(NLLB.model_dir, target, tokenizer_name=NLLB.tokenizer_file, selection=ALL)
        assert "\n" not in str(raised.value)

    assert [path.name for path in tmp_path.iterdir()] == ["file"]
