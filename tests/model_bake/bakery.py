"""Runs the bake's command line as a user does, in the environment that has torch or in the one that has not."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from checkpoints import BAKE_PYTHON

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "model_bake" / "demo"
HERE = Path(sys.executable)
"""The interpreter of the tests: everything a bake needs but torch and transformers."""
TIMEOUT_S = 300


@dataclass(frozen=True, slots=True)
class Bake:
    """How a bake ended."""

    code: int
    output: str
    errors: str

    def json(self) -> Any:
        """Return what ``--json`` printed."""
        assert self.code == 0, self.errors
        return json.loads(self.output)

    def refusal(self) -> str:
        """Return the one line a failed bake leaves on standard error, progress left out."""
        lines = [line for line in self.errors.splitlines() if line.startswith("error: ")]
        assert self.code == 1, (self.code, self.output, self.errors)
        assert len(lines) == 1, self.errors
        assert "Traceback" not in self.errors
        assert self.errors.splitlines()[-1] == lines[0]
        return lines[0]


def command(source: str | Path, output: Path, *options: str, python: Path = BAKE_PYTHON) -> list[str]:
    """Return a bake's command line."""
    return [str(python), "-m", "model_bake", str(source), "--output", str(output), *options]


def run_bake(source: str | Path, output: Path, *options: str, python: Path = BAKE_PYTHON, **variables: str) -> Bake:
    """Run a bake to its end.

    Args:
        source: As on the command line.
        output: The folder to write.
        *options: Further options.
        python: The interpreter.
        **variables: Added to the environment.
    """
    done = subprocess.run(
        command(source, output, *options, python=python),
        cwd=ROOT,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Bake(done.returncode, done.stdout, done.stderr)


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without what steers a bake, and with ``variables``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "HF_", "SOURCE_DATE"))}
    return kept | variables


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
