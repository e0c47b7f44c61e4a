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


@pytest.mark.parametrize("name", PINNED)
def test_one_torch_everywhere(name: str) -> None:
    """Its pin stands in a Makefile, a stage of an image, a message and a document, which cannot share a line."""
    pins = {pin for file in PINNED for pin in re.findall(r"torch==[0-9.]+", (ROOT / file).read_text(encoding="utf-8"))}

    assert len(pins) == 1
    assert pins.pop() in (ROOT / name).read_text(encoding="utf-8")
