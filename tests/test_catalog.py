"""Which models the settings name, and one line for everything that is wrong with them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from handler.catalog import build_catalog
from handler.errors import ManifestError, SettingsError
from handler.loader import load_engine
from handler.settings import DEMO_MODELS, ModelSettings, Settings


@pytest.fixture
def baked(tmp_path: Path) -> Path:
    """A copy of the embedded models that a test may break."""
    shutil.copytree(DEMO_MODELS, tmp_path / "models")
    return tmp_path / "models"


def _edit_manifest(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest), encoding="utf-8")


def _plain(baked: Path, name: str) -> Path:
    (baked / name / "manifest.json").unlink()
    return baked / name


def test_a_folder_of_baked_folders_gives_every_model() -> None:
    """The first by name is the default."""
    catalog = build_catalog(Settings())

    assert list(catalog.models) == ["nllb-demo", "t5-demo"]
    assert catalog.default == "nllb-demo"
    assert catalog.models["nllb-demo"].demo
    assert catalog.models["t5-demo"].family == "t5"


def test_one_baked_folder_is_one_model() -> None:
    """MODEL_PATH may name the model itself."""
    assert list(build_catalog(Settings(model_path=DEMO_MODELS / "t5-demo")).models) == ["t5-demo"]


def test_configured_models_replace_the_embedded_ones(baked: Path) -> None:
    """Without a model path, tables alone say what is served; with one, both do."""
    mine = ModelSettings(path=baked / "nllb-demo")

    alone = build_catalog(Settings(models={"mine": mine}))
    beside = build_catalog(Settings(models={"mine": mine}, model_path=baked))

    assert list(alone.models) == ["mine"]
    assert list(beside.models) == ["mine", "nllb-demo", "t5-demo"]


@pytest.mark.parametrize("name", ["nllb-demo", "NLLB-DEMO", "NLLB_DEMO", "nllb.demo"])
def test_a_table_without_a_path_is_a_baked_models(baked: Path, name: str) -> None:
    """As a variable sets an option: its name perhaps in capitals, and without what no variable can spell."""
    tables = {name: ModelSettings(beam_size=2)}

    catalog = build_catalog(Settings(models=tables, model_path=baked))

    assert list(catalog.models) == ["nllb-demo", "t5-demo"]
    assert catalog.models["nllb-demo"].beam_size == 2


def test_a_name_that_means_two_baked_models_is_refused(baked: Path) -> None:
    """The exact name means one of them all the same."""
    shutil.copytree(baked / "nllb-demo", baked / "other")
    _edit_manifest(baked / "other", lambda manifest: manifest.update(id="nllb.demo"))

    exact = build_catalog(Settings(models={"nllb.demo": ModelSettings(beam_size=2)}, model_path=baked)).models
    assert (exact["nllb.demo"].beam_size, exact["nllb-demo"].beam_size) == (2, 4)
    with pytest.raises(SettingsError, match=r"models\.NLLB_DEMO: .*'nllb-demo' or 'nllb\.demo'"):
        build_catalog(Settings(models={"NLLB_DEMO": ModelSettings(beam_size=2)}, model_path=baked))


def test_two_names_for_one_baked_model_are_refused(baked: Path) -> None:
    """Which of two tables counts would depend on their order."""
    tables = {"NLLB_DEMO": ModelSettings(beam_size=2), "nllb-demo": ModelSettings(load="lazy")}

    with pytest.raises(SettingsError, match=r"models\.nllb-demo: 'nllb-demo' is configured already"):
        build_catalog(Settings(models=tables, model_path=baked))


def test_a_table_changes_the_options_of_a_baked_model(baked: Path) -> None:
    """What a table leaves out comes from the common settings, limits from the manifest."""
    tables = {"nllb-demo": ModelSettings(path=baked / "nllb-demo", beam_size=2, load="lazy")}

    spec = build_catalog(Settings(models=tables, model_path=baked, length_penalty=0.5)).models["nllb-demo"]

    assert (spec.beam_size, spec.load, spec.length_penalty, spec.max_source_tokens) == (2, "lazy", 0.5, 256)


@pytest.mark.parametrize("trained_so", [None, True, False], ids=["nothing said", "yes", "no"])
def test_the_manifest_says_whether_a_model_was_trained_on_normalised_text(
    baked: Path, *, trained_so: bool | None
) -> None:
    """M2M100's does; a model's own table has the last word, and for all models it can only be switched off."""
    if trained_so is not None:
        _edit_manifest(baked / "nllb-demo", lambda manifest: manifest.update(normalize=trained_so))
    expected = trained_so is not False

    def resolved(*, table: bool | None = None, common: bool = True) -> bool:
        tables = {"nllb-demo": ModelSettings(normalize=table)}
        return build_catalog(Settings(models=tables, model_path=baked, normalize=common)).models["nllb-demo"].normalize

    assert resolved() == expected
    assert not resolved(common=False)
    assert resolved(table=True, common=False)
    assert not resolved(table=False)


@pytest.mark.parametrize("name", ["nllb-demo", "t5-demo"])
def test_a_plain_folder_is_served_by_its_table(baked: Path, name: str) -> None:
    """No manifest: the table says the type, the vocabulary the languages."""
    table = ModelSettings(path=_plain(baked, name), model_type="nllb" if name == "nllb-demo" else "t5")

    spec = build_catalog(Settings(models={"plain": table})).models["plain"]
    engine, report = load_engine(spec)

    assert spec.manifest is None
    assert not spec.demo
    assert spec.max_source_tokens == (1024 if name == "nllb-demo" else 512)
    expected = {"deu_Latn", "eng_Latn", "fra_Latn", "spa_Latn"} if name == "nllb-demo" else set()
    assert engine.languages == expected
    assert report.load_ms > 0


@pytest.mark.parametrize("as_folder", [True, False], ids=["folder", "file"])
def test_the_tokenizer_may_be_elsewhere(baked: Path, tmp_path: Path, *, as_folder: bool) -> None:
    """A file, or the folder that holds it under its usual name."""
    folder = _plain(baked, "t5-demo")
    moved = tmp_path / "spiece.model"
    shutil.move(folder / "spiece.model", moved)
    table = ModelSettings(path=folder, model_type="t5", tokenizer_path=tmp_path if as_folder else moved)

    assert build_catalog(Settings(models={"x": table})).models["x"].tokenizer_path == moved


def test_aliases_and_the_default_may_be_chosen(baked: Path) -> None:
    """The default may be named by an alias."""
    catalog = build_catalog(Settings(model_path=baked, aliases={"five": "t5-demo"}, default_model="five"))

    assert catalog.default == "t5-demo"


def _broken(baked: Path, case: str) -> Settings:  # noqa: C901, PLR0911, PLR0912 - a branch for each case
    nllb = baked / "nllb-demo"
    match case:
        case "no folder":
            return Settings(model_path=baked / "nowhere")
        case "empty folder":
            (baked / "empty").mkdir()
            return Settings(model_path=baked / "empty")
        case "no manifest":
            return Settings(model_path=_plain(baked, "nllb-demo"))
        case "two of one id":
            shutil.copytree(nllb, baked / "again")
            return Settings(model_path=baked)
        case "no model file":
            return Settings(models={"x": ModelSettings(path=baked)})
        case "no type":
            return Settings(models={"x": ModelSettings(path=_plain(baked, "nllb-demo"))})
        case "other type":
            return Settings(models={"x": ModelSettings(path=nllb, model_type="t5")})
        case "no tokenizer":
            (_plain(baked, "nllb-demo") / "sentencepiece.bpe.model").unlink()
            return Settings(models={"x": ModelSettings(path=nllb, model_type="nllb")})
        case "tokenizer nowhere":
            return Settings(models={"x": ModelSettings(path=nllb, tokenizer_path=baked / "nowhere")})
        case "no path":
            return Settings(models={"x": ModelSettings(beam_size=2)})
        case "no vocabulary":
            (_plain(baked, "nllb-demo") / "shared_vocabulary.json").unlink()
            return Settings(models={"x": ModelSettings(path=nllb, model_type="nllb")})
        case "odd vocabulary":
            (_plain(baked, "nllb-demo") / "shared_vocabulary.json").write_text("[5]", encoding="utf-8")
            return Settings(models={"x": ModelSettings(path=nllb, model_type="nllb")})
        case "no languages":
            folder = _plain(baked, "t5-demo")
            return Settings(models={"x": ModelSettings(path=folder, model_type="nllb")})
        case "endless path":
            return Settings(model_path=baked / ("x" * 300))
        case "alias of nothing":
            return Settings(model_path=baked, aliases={"a": "nothing"})
        case "alias is a model":
            return Settings(model_path=baked, aliases={"t5-demo": "nllb-demo"})
        case "unknown default":
            return Settings(model_path=baked, default_model="nothing")
        case "unknown target":
            return Settings(model_path=baked, target_lang="klingon")
        case _:
            return Settings(model_path=baked, source_lang="zul_Latn")


@pytest.mark.parametrize(
    ("case", "parts"),
    [
        ("no folder", ["model_path", "nowhere", "not a folder"]),
        ("empty folder", ["model_path", "empty", "model.bin"]),
        ("no manifest", ["nllb-demo", "manifest.json", "model_type"]),
        ("two of one id", ["again", "nllb-demo"]),
        ("no model file", ["models.x.path", "model.bin"]),
        ("no type", ["models.x.model_type", "nllb", "t5"]),
        ("other type", ["models.x.model_type", "'t5'", "'nllb'"]),
        ("no tokenizer", ["models.x.tokenizer_path", "sentencepiece.bpe.model"]),
        ("tokenizer nowhere", ["models.x.tokenizer_path", "nowhere"]),
        ("no path", ["models.x.path", "required", "nllb-demo"]),
        ("no vocabulary", ["models.x.path", "shared_vocabulary.json"]),
        ("odd vocabulary", ["models.x.path", "not a list of tokens"]),
        ("no languages", ["models.x.model_type", "no language code"]),
        ("endless path", ["model_path", "too long"]),
        ("alias of nothing", ["aliases.a", "'nothing'", "nllb-demo, t5-demo"]),
        ("alias is a model", ["aliases.t5-demo", "name of a model"]),
        ("unknown default", ["default_model", "'nothing'", "nllb-demo, t5-demo"]),
        ("unknown target", ["target_lang", "'klingon'", "deu_Latn"]),
        ("undeployed source", ["source_lang", "'zul_Latn'", "eng_Latn"]),
    ],
)
def test_a_wrong_configuration_is_one_line(baked: Path, case: str, parts: list[str]) -> None:
    """It names the setting, the value and what would do."""
    settings = _broken(baked, case)

    with pytest.raises((SettingsError, ManifestError)) as caught:
        build_catalog(settings)

    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in parts), message


_EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "no key": lambda manifest: manifest.pop("family"),
    "no weights": lambda manifest: manifest["files"].pop("model.bin"),
    "later version": lambda manifest: manifest.update(schema_version=2),
    "other family": lambda manifest: manifest.update(family="bart"),
    "wrong type": lambda manifest: manifest.update(source=5),
    "languages": lambda manifest: manifest.update(languages=[1, 2]),
    "no positions": lambda manifest: manifest["limits"].update(max_source_tokens=0),
    "endless": lambda manifest: manifest["limits"].update(max_source_tokens=float("inf")),
    "outside": lambda manifest: manifest["files"].update({"../x": {"size": 1, "sha256": ""}}),
    "tokenizer unlisted": lambda manifest: manifest.update(tokenizer="../x"),
}


def _change(baked: Path, case: str) -> None:
    folder = baked / "nllb-demo"
    match case:
        case "truncated":
            (folder / "model.bin").write_bytes((folder / "model.bin").read_bytes()[:-1])
        case "missing":
            (folder / "config.json").unlink()
        case "not json":
            (folder / "manifest.json").write_text("{", encoding="utf-8")
        case _:
            _edit_manifest(folder, _EDITS[case])


@pytest.mark.parametrize(
    ("case", "parts"),
    [
        ("truncated", ["model.bin", "bytes", "the manifest says"]),
        ("missing", ["config.json", "missing"]),
        ("not json", ["manifest.json", "JSON"]),
        ("no key", ["manifest.json", "family", "missing"]),
        ("no weights", ["manifest.json", "model.bin"]),
        ("later version", ["schema_version", "2", "1"]),
        ("other family", ["'bart'", "nllb, t5"]),
        ("languages", ["languages are strings", "[1, 2]"]),
        ("no positions", ["limits.max_source_tokens is 0", "positive"]),
        ("endless", ["limits.max_source_tokens is inf", "positive"]),
        ("outside", ["'../x'", "beside the manifest"]),
        ("tokenizer unlisted", ["tokenizer", "'../x'"]),
        ("wrong type", ["manifest.json"]),
    ],
)
def test_a_folder_that_is_not_what_was_baked_is_refused(baked: Path, case: str, parts: list[str]) -> None:
    """A truncated copy must not be served."""
    _change(baked, case)

    with pytest.raises(ManifestError) as caught:
        build_catalog(Settings(model_path=baked))

    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in parts), message


def test_hashes_are_checked_on_request(baked: Path) -> None:
    """A changed byte keeps the size: only the hash tells."""
    path = baked / "nllb-demo" / "model.bin"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    build_catalog(Settings(model_path=baked))
    with pytest.raises(ManifestError, match=r"model\.bin: SHA-256"):
        build_catalog(Settings(model_path=baked, verify="sha256"))
    build_catalog(Settings(model_path=baked / "t5-demo", verify="sha256"))


def test_a_beam_wider_than_the_vocabulary_allows_stops_the_start(baked: Path) -> None:
    """A search needs two candidates for each beam; the manifest says how many there can be."""
    _edit_manifest(baked / "nllb-demo", lambda manifest: manifest["limits"].update(max_beam_size=4))

    build_catalog(Settings(model_path=baked, beam_size=4))
    with pytest.raises(SettingsError, match=r"models\.nllb-demo\.beam_size: 5, .* at most 4"):
        build_catalog(Settings(model_path=baked, beam_size=5))
