"""What a cold start begins to load before the settings are read."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handler import ahead
from handler.catalog import build_catalog
from handler.loader import load_engine
from handler.pieces import open_processor
from handler.preload import preload_tokenizers, preload_weights
from handler.settings import DEMO_MODELS
from handler.settings_sources import load_settings
from handler.weights import open_translator

NLLB = DEMO_MODELS / "nllb-demo"


@pytest.fixture(autouse=True)
def _nothing_is_left_over() -> Iterator[None]:
    ahead.forget()
    yield
    ahead.forget()


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The calls that were begun: function, arguments, options."""
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(ahead, "begin", lambda function, *args, **kwargs: calls.append((function, args, kwargs)))
    return calls


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"DEVICE": "cpu", "COMPUTE_TYPE": "float32", "INTRA_THREADS": "1"},
        {"INTER_THREADS": "2"},
        {"DEVICE_INDICES": "0"},
        {"LOAD": "startup", "LOG_LEVEL": "error", "BEAM_SIZE": "2"},
        {"DEVICE": "", "LOAD": "startup"},
    ],
    ids=["defaults", "one thread", "two batches", "device index", "unrelated", "empty"],
)
@pytest.mark.parametrize("path", [NLLB, DEMO_MODELS], ids=["one model", "a folder of models"])
def test_the_loader_takes_over_what_was_begun(path: Path, variables: dict[str, str], tmp_path: Path) -> None:
    """The guess is made without the settings, and is what they say: nothing is loaded twice."""
    environ = {"MODEL_PATH": str(path)} | variables

    preload_tokenizers(preload_weights(environ, folder=str(tmp_path)))
    catalog = build_catalog(load_settings(environ=environ).settings)
    assert len(ahead._begun) == 2 * len(catalog.models)  # noqa: SLF001 - else nothing would be left over either
    engines = [load_engine(spec, warm_up=False)[0] for spec in catalog.models.values()]

    assert ahead.forget() == 0
    assert all(engine.family in {"nllb", "t5"} for engine in engines)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"MODEL_PATH": ""},
        {"MODEL_PATH": str(NLLB), "LOAD": "lazy"},
        {"MODEL_PATH": str(NLLB), "CONFIG_FILE": "elsewhere.toml"},
        {"MODEL_PATH": str(NLLB), "MODELS__nllb-demo__DEVICE": "cpu"},
        {"MODEL_PATH": str(NLLB), "models": "{}"},
        {"MODEL_PATH": str(NLLB), "FLASH_ATTENTION": "true"},
        {"MODEL_PATH": str(NLLB), "INTER_THREADS": "many"},
        {"MODEL_PATH": str(NLLB), "INTER_THREADS": "0"},
        {"MODEL_PATH": "/nowhere"},
        {"MODEL_PATH": __file__},
    ],
    ids=[
        "nothing",
        "empty",
        "lazy",
        "config file",
        "own table",
        "tables",
        "flash",
        "no number",
        "zero",
        "no folder",
        "a file",
    ],
)
def test_what_only_the_settings_can_tell_is_left_to_them(
    variables: dict[str, str], tmp_path: Path, begun: list[tuple[Any, ...]]
) -> None:
    """A wrong value is theirs to complain about."""
    assert preload_weights(variables, folder=str(tmp_path)) == []
    assert begun == []


def test_a_config_file_decides(tmp_path: Path, begun: list[tuple[Any, ...]]) -> None:
    """It may name other models."""
    (tmp_path / "config.toml").touch()

    assert preload_weights({"MODEL_PATH": str(NLLB)}, folder=str(tmp_path)) == []
    assert begun == []


@pytest.mark.parametrize("manifest", ["", "[]", "{}", '{"tokenizer": 5}'], ids=["none", "list", "no name", "number"])
def test_a_broken_manifest_is_left_to_the_catalogue(
    manifest: str, tmp_path: Path, begun: list[tuple[Any, ...]]
) -> None:
    """Whose message names the file."""
    shutil.copy(NLLB / "model.bin", tmp_path)
    if manifest:
        (tmp_path / "manifest.json").write_text(manifest, encoding="utf-8")

    assert preload_weights({"MODEL_PATH": str(tmp_path)}, folder=str(tmp_path)) == []
    assert begun == []


def test_translators_come_before_tokenizers(tmp_path: Path, begun: list[tuple[Any, ...]]) -> None:
    """They take longer."""
    preload_tokenizers(preload_weights({"MODEL_PATH": str(DEMO_MODELS)}, folder=str(tmp_path)))

    assert [function for function, _, _ in begun] == [open_translator] * 2 + [open_processor] * 2
