"""Put the model of an image into a folder: the one that the build arguments name, else the embedded demo models.

usage: model.py FOLDER PACKAGES

Runs in the repository's root, with the build arguments in the environment and the bake's packages in PACKAGES.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

DEMO = Path("model_bake/demo/models")
TORCH = "torch==2.13.0"
OPTIONS = {
    "MODEL_NAME": "--name",
    "MODEL_REVISION": "--revision",
    "MODEL_QUANTIZATION": "--quantization",
    "MODEL_LANGUAGES": "--languages",
}


def main(folder: Path, packages: Path) -> int:
    """Bake into a folder below ``folder``, named like the model."""
    source = os.environ.get("MODEL_SOURCE")
    given = {option: os.environ[name] for name, option in OPTIONS.items() if os.environ.get(name)}
    if not source:
        if given:
            print(f"error: {', '.join(given)} without MODEL_SOURCE", file=sys.stderr)
            return 1
        shutil.copytree(DEMO, folder)
        return 0
    if source.startswith("-") or (source.startswith("models/") and not Path(source).is_dir()):
        print(f"error: MODEL_SOURCE={source}: there is no such folder in the checkout", file=sys.stderr)
        return 1
    bake = [sys.executable, "-m", "model_bake", source, *(word for pair in given.items() for word in pair)]
    # Into a folder that does not matter: a dry run writes nothing, and its answer tells the name.
    dry_run = subprocess.run(  # noqa: S603 - the project's own program
        [*bake, "--output", str(folder / "model"), "--dry-run", "--json"], stdout=subprocess.PIPE, check=False
    )
    if dry_run.returncode:
        return dry_run.returncode
    plan = json.loads(dry_run.stdout)
    if plan["form"] == "transformers" and not _install_torch(packages):
        return 1
    output = folder / plan["id"].replace("/", "--")
    return subprocess.run([*bake, "--output", str(output)], check=False).returncode  # noqa: S603 - as above


def _install_torch(packages: Path) -> bool:
    """Install the CPU build, without a hash, because each of its builds has one of its own; tell whether it starts."""
    index = os.environ.get("TORCH_INDEX")
    subprocess.run(  # noqa: S603 - pip
        [
            *(sys.executable, "-m", "pip", "install", "--no-cache-dir", "--root-user-action=ignore", "--no-deps"),
            *("--target", str(packages)),
            *(["--extra-index-url", index] if index else []),
            TORCH,
        ],
        check=True,
    )
    started = subprocess.run([sys.executable, "-c", "import torch"], check=False)
    if started.returncode:
        print(f"error: {TORCH} does not start: not its CPU build? TORCH_INDEX={index}", file=sys.stderr)
    return started.returncode == 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
