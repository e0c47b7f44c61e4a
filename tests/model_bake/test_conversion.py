"""Checkpoints of every family, converted by the command and held to transformers: text, tokens, log-probabilities."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from bakery import DEMO, ROOT, contents, run_bake
from checkpoints import Kind, WeightsFormat, write_checkpoint

from handler.catalog import build_catalog
from handler.decoding_options import DecodingOptions
from handler.loader import load_engine
from handler.settings import ModelSettings, Settings

KINDS: tuple[Kind, ...] = ("flan", "t5", "mt5", "madlad", "nllb", "m2m100")


@dataclass(frozen=True, slots=True)
class Baked:
    """A checkpoint in float32, and what the bake said of it."""

    folder: Path
    report: dict[str, Any]


Oven = Callable[..., Baked]


@pytest.fixture(scope="module")
def oven(tmp_path_factory: pytest.TempPathFactory) -> Oven:
    """Bakes random checkpoints, each of them once."""

    @cache
    def bake(kind: Kind, weights: WeightsFormat = "safetensors", *, tokenizer_json: bool = False) -> Baked:
        folder = tmp_path_factory.mktemp(kind)
        checkpoint = write_checkpoint(kind, folder / kind, weights=weights, tokenizer_json=tokenizer_json)
        return Baked(
            folder / "baked", run_bake(checkpoint, folder / "baked", "--quantization", "float32", "--json").json()
        )

    return bake


@pytest.mark.parametrize("kind", KINDS)
def test_without_quantisation_answers_are_those_of_transformers(oven: Oven, kind: Kind) -> None:
    """Greedy and beam 4, every text; random weights make any slip show."""
    report = oven(kind).report

    verification = report["verification"]
    assert verification["texts"] >= 8
    assert verification["equal_to_transformers"] == {"1": verification["texts"], "4": verification["texts"]}
    assert verification["mean_log_prob_deviation"] < 1e-4
    assert report["family"] == ("nllb" if kind in {"nllb", "m2m100"} else "t5")


def test_nllb_has_its_codes_in_place_with_and_without_tokenizer_json(oven: Oven) -> None:
    """Without the file, transformers would put ``<mask>`` before the codes and give each language its neighbour's."""
    with_file, without = oven("nllb", tokenizer_json=True), oven("nllb")

    assert len(without.report["languages"]) == 202
    assert _differing(with_file, without) == {"manifest.json"}
    tokens = json.loads((without.folder / "shared_vocabulary.json").read_bytes())
    assert tokens[-4:] == ["zul_Latn", "<mask>", "madeupword0", "madeupword1"]
    assert tokens[-205:-3][:2] == ["ace_Arab", "ace_Latn"]
    assert build_catalog(Settings(model_path=with_file.folder)).models["nllb"].normalize


def _differing(one: Baked, other: Baked) -> set[str]:
    left, right = contents(one.folder), contents(other.folder)
    assert left.keys() == right.keys()
    return {name for name in left if left[name] != right[name]}


def test_m2m100_speaks_flores_codes(oven: Oven) -> None:
    """Its own language tokens would be a second form of codes for every client."""
    baked = oven("m2m100")

    assert len(baked.report["languages"]) == 100
    assert {"eng_Latn", "zho_Hans", "nso_Latn", "bre_Latn", "fry_Latn"} < set(baked.report["languages"])
    spec = build_catalog(Settings(model_path=baked.folder)).models["m2m100"]
    assert not spec.normalize, "M2M100 was trained on punctuation as it is"
    engine, _ = load_engine(spec)
    answer = engine.translate(
        "Good morning.",
        source_lang="eng_Latn",
        target_lang="fry_Latn",
        options=DecodingOptions(max_completion_tokens=5),
    )
    assert "__" not in answer.choices[0].text


@pytest.mark.parametrize("weights", ["bin", "sharded"])
def test_weights_in_other_files_give_the_same_model(oven: Oven, weights: WeightsFormat) -> None:
    """NLLB's repositories hold pickles, large models shards."""
    assert _differing(oven("nllb"), oven("nllb", weights)) == {"manifest.json"}


@pytest.mark.parametrize("quantization", ["int8_float16", "int8_bfloat16", "int16", "float16", "bfloat16", "float32"])
def test_every_quantisation_is_served(tmp_path: Path, quantization: str) -> None:
    """int8, the default, is that of the demo models. The trained model answers right in each.

    Integers round as the machine's kernels do, so one text of the eight may end in another word there.
    """
    output = tmp_path / "baked"
    may_differ = int(quantization.startswith("int"))

    report = run_bake(DEMO / "checkpoints" / "t5-demo", output, "--quantization", quantization, "--json").json()

    assert report["quantization"] == quantization
    assert json.loads((output / "manifest.json").read_bytes())["quantization"] == quantization
    assert report["verification"]["equal_to_transformers"]["1"] >= report["verification"]["texts"] - may_differ
    engine, _ = load_engine(build_catalog(Settings(model_path=output)).models["t5-demo"])
    answer = engine.translate("translate English to German: Where is the train station?", options=DecodingOptions())
    assert answer.choices[0].text == "Wo ist der Bahnhof?"


@pytest.mark.parametrize("model", ["nllb-demo", "t5-demo"])
def test_the_demo_models_are_what_the_command_makes_of_their_checkpoints(tmp_path: Path, model: str) -> None:
    """Byte for byte and twice, dates and modes too: the layer of an image that holds them keeps its digest."""
    committed = contents(DEMO / "models" / model)
    dates = set()
    for run in ("first", "second"):
        output = tmp_path / run / model
        assert run_bake(DEMO / "checkpoints" / model, output, "--quiet").code == 0
        assert contents(output) == committed
        dates |= {(path.stat().st_mtime, path.stat().st_mode) for path in (output, *output.iterdir())}

    assert {date for date, _ in dates} == {315_532_800}
    assert {oct(mode & 0o7777) for _, mode in dates} == {"0o755", "0o644"}


def test_the_source_date_is_that_of_the_build(tmp_path: Path) -> None:
    """``SOURCE_DATE_EPOCH`` is how builders say it."""
    source = DEMO / "models" / "t5-demo"

    assert run_bake(source, tmp_path / "baked", "--quiet", SOURCE_DATE_EPOCH="1700000000").code == 0

    assert (tmp_path / "baked" / "model.bin").stat().st_mtime == 1_700_000_000


def test_a_converted_folder_is_baked_without_a_manifest(tmp_path: Path) -> None:
    """What CTranslate2's own converter wrote is described, verified and served; its quantisation is told from it."""
    source = tmp_path / "plain"
    source.mkdir()
    for name, content in contents(DEMO / "models" / "nllb-demo").items():
        if name != "manifest.json":
            (source / name).write_bytes(content)

    report = run_bake(source, tmp_path / "baked", "--json").json()

    assert (report["family"], report["quantization"], report["license"]) == ("nllb", "int8", "unknown")
    manifest = json.loads((tmp_path / "baked" / "manifest.json").read_bytes())
    assert manifest["limits"] == {"max_source_tokens": 256, "max_target_tokens": 256, "max_beam_size": 32}
    assert manifest["languages"] == ["deu_Latn", "eng_Latn", "fra_Latn", "spa_Latn"]


def test_a_baked_folder_keeps_its_source_when_it_is_baked_again(tmp_path: Path) -> None:
    """The checkpoint is what matters, not the folder in between."""
    first = json.loads((DEMO / "models" / "nllb-demo" / "manifest.json").read_bytes())

    assert run_bake(DEMO / "models" / "nllb-demo", tmp_path / "baked", "--quiet", "--name", "mine").code == 0

    again = json.loads((tmp_path / "baked" / "manifest.json").read_bytes())
    assert (again["id"], again["source"], again["license"]) == ("mine", first["source"], first["license"])
    assert again["files"] == first["files"]


def test_the_server_reads_what_the_bake_says(tmp_path: Path) -> None:
    """Limits of the configuration become limits of requests."""
    checkpoint = write_checkpoint("flan", tmp_path / "flan")
    config = json.loads((checkpoint / "config.json").read_bytes())
    (checkpoint / "config.json").write_text(json.dumps(config | {"n_positions": 200}), encoding="utf-8")
    assert run_bake(checkpoint, tmp_path / "baked", "--quiet").code == 0

    spec = build_catalog(Settings(models={"x": ModelSettings(path=tmp_path / "baked")})).models["x"]

    assert (spec.family, spec.max_source_tokens, spec.max_target_tokens) == ("t5", 200, 200)
    assert spec.manifest is not None
    assert spec.manifest.license == "apache-2.0"


def test_make_bake_is_the_documented_way(tmp_path: Path) -> None:
    """The README's line, from the repository's root."""
    source, output = DEMO / "checkpoints" / "t5-demo", tmp_path / "baked"
    done = subprocess.run(
        ["make", "--no-print-directory", "bake", f"SOURCE={source}", f"OUTPUT={output}", "ARGS=--quiet"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert contents(output) == contents(DEMO / "models" / "t5-demo")
