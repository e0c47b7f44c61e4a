"""The bake's command line: what it shows to people, to programs and to CI, and what it asks to be pruned."""

import io
import json
import time
from pathlib import Path

import pytest
from bakery import DEMO, HERE, contents, run_bake
from conftest import running_server

from handler.catalog import build_catalog
from handler.decoding_options import DecodingOptions
from handler.engine import Engine
from handler.loader import load_engine
from handler.settings import Settings
from handler.sizes import format_size
from model_bake.demo.evaluate import cases, suites
from model_bake.demo.families import Direction
from model_bake.demo.phrasebook import build_phrasebook
from model_bake.progress import Progress

MODEL = DEMO / "models" / "nllb-demo"
PAIR: Direction = ("eng_Latn", "fra_Latn")


def test_people_get_steps_and_a_table(tmp_path: Path) -> None:
    """Steps with size and speed on standard error, the summary on standard output."""
    baked = run_bake(DEMO / "checkpoints" / "nllb-demo", tmp_path / "baked", "--languages", "eng_Latn,fra_Latn")

    assert baked.code == 0
    steps = [line.split()[0] for line in baked.errors.splitlines()]
    assert steps == ["check", "read", "reference", "convert", "quantise", "write", "prune", "verify"]
    assert all("/s" in line for line in baked.errors.splitlines())
    rows = dict(line.split(None, 1) for line in baked.output.splitlines())
    assert rows["model"] == "nllb-demo"
    assert rows["languages"] == "eng_Latn, fra_Latn"
    assert {"licence", "quantization", "vocabulary", "coverage", "model.bin", "load", "pruned", "transformers"} < set(
        rows
    )


def test_ci_gets_nothing_or_one_object(tmp_path: Path) -> None:
    """``--quiet`` prints nothing at all, ``--json`` one object and no progress."""
    quiet = run_bake(MODEL, tmp_path / "quiet", "--quiet", python=HERE)
    assert (quiet.code, quiet.output, quiet.errors) == (0, "", "")

    baked = run_bake(MODEL, tmp_path / "json", "--json", "--languages", "eng_Latn,fra_Latn", python=HERE)
    assert baked.errors == ""
    report = baked.json()
    assert report["vocabulary"]["of"] == 2006
    assert report["vocabulary"]["rows"] < 2006
    assert report["before"]["model_bytes"] > report["after"]["model_bytes"]
    assert report["verification"]["equal_to_transformers"] is None  # there was no checkpoint to compare with


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    """For people and for programs."""
    table = run_bake(MODEL, tmp_path / "out" / "baked", "--dry-run", python=HERE)
    plan = run_bake(MODEL, tmp_path / "out" / "baked", "--dry-run", "--json", python=HERE).json()

    assert table.code == 0
    assert "disk needed" in table.output
    assert (plan["form"], plan["family"], plan["download_bytes"]) == ("ctranslate2", "nllb", 0)
    assert plan["files"][:2] == ["config.json", "model.bin"]
    assert not (tmp_path / "out").exists()


def test_a_usage_mistake_is_argparse_s(tmp_path: Path) -> None:
    """Exit code 2, and what is allowed."""
    bake = run_bake(MODEL, tmp_path / "baked", "--quantization", "int4", python=HERE)

    assert bake.code == 2
    assert "int8_bfloat16" in bake.errors
    assert run_bake(MODEL, tmp_path / "baked", "--vocabulary-size", "-1", python=HERE).code == 2


@pytest.fixture(scope="module")
def two_languages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model pruned to English and French, by the text it was trained on in these two."""
    folder = tmp_path_factory.mktemp("pruned")
    book = build_phrasebook()
    entries = [*book.phrases, *(entry for template in book.training for entry in template.full)]
    lines = [entry.texts[language] for entry in entries for language in PAIR]
    (folder / "corpus.txt").write_text("\n".join(lines), encoding="utf-8")
    options = ["--languages", "en,French", "--vocabulary-corpus", str(folder / "corpus.txt"), "--quiet"]
    baked = run_bake(MODEL, folder / "nllb-demo", *options, python=HERE)
    assert baked.code == 0, baked.errors
    return folder / "nllb-demo"


@pytest.mark.parametrize("beam_size", [1, 4], ids=["greedy", "beam 4"])
@pytest.mark.parametrize("direction", [PAIR, PAIR[::-1]], ids="-".join)
def test_pruned_to_two_languages_every_held_out_sentence_stays(
    two_languages: Path, nllb: Engine, direction: Direction, beam_size: int
) -> None:
    """Through the server's own engine: 2,861 sentences, tokens and text."""
    pruned, _ = load_engine(build_catalog(Settings(model_path=two_languages)).models["nllb-demo"])
    [held_out] = [suite for suite in suites() if suite.name == "held-out"]
    text = "\n".join(request.text for request, _ in cases(held_out, direction))
    source, target = direction

    before, after = (
        engine.translate(text, source_lang=source, target_lang=target, options=DecodingOptions(beam_size=beam_size))
        for engine in (nllb, pruned)
    )

    assert text.count("\n") > 2800
    assert after.choices == before.choices
    assert after.prompt_tokens == before.prompt_tokens


def test_pruning_keeps_less_than_half(two_languages: Path) -> None:
    """The pieces of German and Spanish are gone, and their codes."""
    manifest = json.loads((two_languages / "manifest.json").read_bytes())

    assert manifest["languages"] == ["eng_Latn", "fra_Latn"]
    assert manifest["vocabulary"]["of"] == 2006
    assert manifest["vocabulary"]["rows"] < 1200
    assert manifest["vocabulary"]["method"] == "corpus"
    tokens = json.loads((two_languages / "shared_vocabulary.json").read_bytes())
    assert len(tokens) == manifest["vocabulary"]["rows"]
    assert not {"deu_Latn", "spa_Latn"} & set(tokens)


def test_a_third_language_is_refused_by_name(two_languages: Path, tmp_path: Path) -> None:
    """The server knows which languages the model was baked with."""
    with running_server(tmp_path, MODEL_PATH=str(two_languages), VERIFY="sha256") as server:
        right = server.chat("Where is the train station?", target_lang="fra_Latn")
        refused = server.chat("Where is the train station?", target_lang="deu_Latn")

    assert right.json()["choices"][0]["message"]["content"] == "Où est la gare ?"
    assert refused.status == 400
    error = refused.json()["error"]
    assert error["code"] == "unsupported_language"
    assert "'deu_Latn'" in error["message"]
    assert "fra_Latn" in error["message"]


def test_t5_is_pruned_and_verified_in_the_languages_it_serves(tmp_path: Path) -> None:
    """With prompts in T5's words for them: others need pieces that are gone."""
    options = ["--languages", "en,de", "--vocabulary", "words", "--json"]
    report = run_bake(DEMO / "models" / "t5-demo", tmp_path / "t5-demo", *options, python=HERE).json()

    assert report["languages"] == ["eng_Latn", "deu_Latn"]
    assert report["vocabulary"]["rows"] < report["vocabulary"]["of"] == 2047
    engine, _ = load_engine(build_catalog(Settings(model_path=tmp_path / "t5-demo")).models["t5-demo"])
    prompt = "translate English to German: Where is the train station?"
    assert engine.translate(prompt, options=DecodingOptions()).choices[0].text == "Wo ist der Bahnhof?"


def test_two_prunings_are_the_same(two_languages: Path, tmp_path: Path) -> None:
    """As two bakes are."""
    corpus = two_languages.parent / "corpus.txt"
    options = ["--languages", "fra_Latn,eng_Latn", "--vocabulary-corpus", str(corpus), "--quiet"]

    assert run_bake(MODEL, tmp_path / "nllb-demo", *options, python=HERE).code == 0

    assert contents(tmp_path / "nllb-demo") == contents(two_languages)


def test_a_vocabulary_too_small_for_its_text_is_refused(tmp_path: Path) -> None:
    """Pruned, the model would answer otherwise: nothing is written, and the line shows where."""
    corpus = tmp_path / "corpus.txt"
    corpus.write_text(
        "Where is the hotel?\n" * 9 + "I would like to have two coffees, please.\n" * 11, encoding="utf-8"
    )

    options = ["--languages", "eng_Latn,fra_Latn", "--vocabulary-corpus", str(corpus)]
    line = run_bake(MODEL, tmp_path / "out" / "baked", *options, python=HERE).refusal()

    assert "pruned, the model answers" in line
    assert "keep more of the vocabulary" in line
    assert not (tmp_path / "out").exists()


# --- progress ---------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_a_terminal_gets_a_bar_with_size_and_speed() -> None:
    """And nothing else."""
    stream = Terminal()

    with Progress(stream=stream).step("download", 4_000_000) as advance:
        for _ in range(4):
            advance(1_000_000)
            time.sleep(0.11)

    shown = stream.getvalue()
    assert "download" in shown
    assert "4.00M/4.00M" in shown
    assert "B/s" in shown


def test_a_watched_step_asks_how_far_it_is() -> None:
    """What cannot report by itself: a converter, another library's download."""
    stream, done = Terminal(), 0

    with Progress(stream=stream).watch("quantise", 1000, lambda: done):
        done = 400
        time.sleep(0.3)

    assert "400/1.00k" in stream.getvalue().replace(" ", "")
    assert "1.00k/1.00k" in stream.getvalue()


def test_what_was_there_before_is_not_speed() -> None:
    """A resumed download is as fast as what it fetches."""
    stream = io.StringIO()

    with Progress(stream=stream).step("download", 1000, done=900) as advance:
        advance(100)
        time.sleep(0.1)

    name, size, unit, _, _, speed, speed_unit = stream.getvalue().split()
    assert (name, size, unit) == ("download", "1", "kB")
    assert float(speed) <= 1000  # 100 bytes in a tenth of a second, not 1,000
    assert speed_unit in {"B/s", "kB/s"}


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1_234, "1.23 kB"), (622_348_384, "622 MB"), (2.46e9, "2.46 GB")],
)
def test_sizes_are_those_of_disks(size: float, text: str) -> None:
    """Powers of ten."""
    assert format_size(size) == text
