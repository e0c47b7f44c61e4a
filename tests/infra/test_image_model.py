"""What the image's model stage does with its build arguments."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

TIMEOUT_S = 60
PINNED = ("Makefile", "README.md", "infra/image/model.py", "model_bake/transformers_model.py")


def run_stage(folder: Path, **arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the stage's program in the checkout, as the Dockerfile does."""
    return subprocess.run(
        [sys.executable, "infra/image/model.py", str(folder), str(folder / "packages")],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **arguments},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )


def test_a_converted_folder_keeps_its_quantisation_unless_another_is_asked_for(tmp_path: Path) -> None:
    """An empty argument is none; one that cannot be met is refused, and not ignored."""
    source = {"MODEL_SOURCE": "model_bake/demo/models/nllb-demo"}

    kept = run_stage(tmp_path / "kept", **source, MODEL_QUANTIZATION="")
    refused = run_stage(tmp_path / "refused", **source, MODEL_QUANTIZATION="float16")

    assert kept.returncode == 0, kept.stderr
    assert (tmp_path / "kept" / "nllb-demo" / "model.bin").is_file()
    assert refused.returncode != 0
    assert "--quantization float16" in refused.stderr
    assert not (tmp_path / "refused" / "nllb-demo").exists()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"MODEL_SOURCE": "models/nope"}, "MODEL_SOURCE=models/nope: there is no such folder"),
        ({"MODEL_SOURCE": "--help"}, "MODEL_SOURCE=--help"),
        ({"MODEL_SOURCE": "model_bake/demo/models/nllb-demo", "MODEL_NAME": ".."}, "--name '..'"),
    ],
    ids=["no folder", "no source", "a name of dots"],
)
def test_a_wrong_argument_ends_the_build_with_one_line(arguments: dict[str, str], part: str, tmp_path: Path) -> None:
    """And nothing is written."""
    done = run_stage(tmp_path / "models", **arguments)

    assert done.returncode != 0
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert part in line
    assert not (tmp_path / "models").exists()


def test_a_time_that_is_none_ends_the_build_with_one_line(tmp_path: Path) -> None:
    """Before anything is compiled."""
    done = subprocess.run(
        [sys.executable, "infra/image/seal.py", str(tmp_path)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "SOURCE_DATE_EPOCH": "abc"},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "SOURCE_DATE_EPOCH=abc" in done.stderr


@pytest.mark.parametrize("name", PINNED)
def test_one_torch_everywhere(name: str) -> None:
    """Its pin stands in a Makefile, a stage of an image, a message and a document, which cannot share a line."""
    pins = {pin for file in PINNED for pin in re.findall(r"torch==[0-9.]+", (ROOT / file).read_text(encoding="utf-8"))}

    assert len(pins) == 1
    assert pins.pop() in (ROOT / name).read_text(encoding="utf-8")
