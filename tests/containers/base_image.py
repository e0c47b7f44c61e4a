"""The base image of each Dockerfile: the real one, else a stand-in made here, with this machine's way to packages.

``python tests/containers/base_image.py [lambda | host]`` prints the tag of what a build can stand on.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine import Docker, EngineError, running_engine

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


@dataclass(frozen=True, slots=True)
class Base:
    """What one of the Dockerfiles stands on."""

    public: str
    """As the Dockerfile says."""
    variable: str
    """Of the environment: names another one."""
    stand_in: str
    """Name of an image with the interface of the public one."""
    recipe: Path
    """Folder of the stand-in's Dockerfile."""
    runs_lambda: bool
    """Whether the stand-in gets AWS's runtime client and the emulator."""
    tag: str
    """The public one or the stand-in, with this machine's pip settings, which no Dockerfile of the project needs to
    know."""


LAMBDA = Base(
    public="public.ecr.aws/lambda/python:3.13",
    variable="BASE_IMAGE",
    stand_in="ctranslate2-server/stand-in-for-lambda-python",
    recipe=HERE / "stand_in",
    runs_lambda=True,
    tag="ctranslate2-server/lambda-base:3.13",
)
HOST = Base(
    public="python:3.13-slim-trixie",
    variable="HOST_BASE_IMAGE",
    stand_in="ctranslate2-server/stand-in-for-python",
    recipe=HERE / "stand_in_host",
    runs_lambda=False,
    tag="ctranslate2-server/host-base:3.13",
)
DEBIAN = "ctranslate2-server/debian"

PULL_TIMEOUT_S = 300.0
DEBOOTSTRAP_TIMEOUT_S = 300.0
BUILD_TIMEOUT_S = 300.0

SUITE = "trixie"
"""The Debian whose Python is 3.13."""
PACKAGES = "binutils,ca-certificates,python3,python3-pip"
NOT_NEEDED = (
    *("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt/archives", "var/lib/apt/lists"),
    "usr/lib/python3.13/EXTERNALLY-MANAGED",
)
RUNTIME_PACKAGES = (
    *("awslambdaric", "boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "simplejson", "six"),
    *("snapshot-restore-py", "urllib3"),
)
"""What AWS's image holds beside Python: its runtime client, boto3, and what they need."""

MACHINE = {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")
EMULATOR = Path(sys.prefix) / "emulator" / "samcli" / "local" / "rapid" / f"aws-lambda-rie-{MACHINE}"

PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")
CERTIFICATES = "/etc/pip-certificates.pem"


def base_image(docker: Docker, base: Base = LAMBDA) -> str:
    """Return the tag of an image that a Dockerfile can be built on here, made if need be.

    The base's variable in the environment names another one, which is taken as it is.

    Raises:
        EngineError: There is none, and the stand-in cannot be made here.
    """
    if given := os.environ.get(base.variable):
        return given
    there = _is_there(docker, base.public) or _pulled(docker, base.public)
    origin = base.public if there else _stand_in(docker, base)
    with _context() as folder:
        _write_pip_settings(folder)
        (folder / "Dockerfile").write_text(f"FROM {origin}\nCOPY etc /etc\n", encoding="utf-8")
        _build(docker, folder, base.tag)
    return base.tag


def is_stand_in(docker: Docker, base: Base = LAMBDA) -> bool:
    """Tell whether what is built here stands on the stand-in: the wiring is proved then, not the base's libraries."""
    return not os.environ.get(base.variable) and not _is_there(docker, base.public)


def _is_there(docker: Docker, tag: str) -> bool:
    return docker.run("image", "inspect", tag, check=False).returncode == 0


def _pulled(docker: Docker, tag: str) -> bool:
    try:
        return docker.run("pull", "--quiet", tag, timeout_s=PULL_TIMEOUT_S, check=False).returncode == 0
    except EngineError:
        return False


@contextmanager
def _context() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="base-image-") as folder:
        yield Path(folder)


def _build(docker: Docker, folder: Path, tag: str) -> None:
    docker.run("build", "--network=host", "--tag", tag, str(folder), timeout_s=BUILD_TIMEOUT_S)


# --- the stand-in -----------------------------------------------------------------------------------------------------


def _stand_in(docker: Docker, base: Base) -> str:
    """Return the tag of an image with the interface of the public one: its paths, its interpreter, its entry point."""
    print(f"{base.public} cannot be pulled: the base is a stand-in made of Debian {SUITE}", file=sys.stderr)
    requirements = _runtime_requirements() if base.runs_lambda else ""
    debian = f"{DEBIAN}:{SUITE}-{_digest(SUITE, PACKAGES, *NOT_NEEDED)}"
    sources = (path.read_text(encoding="utf-8") for path in sorted(base.recipe.rglob("*")) if path.is_file())
    tag = f"{base.stand_in}:3.13-{_digest(debian, requirements, *sources)}"
    if _is_there(docker, tag):
        return tag
    _check_tools(base)
    with _context() as folder:
        if not _is_there(docker, debian):
            _import_debian(docker, folder / "root", debian)
            shutil.rmtree(folder / "root")
        shutil.copytree(base.recipe, folder, dirs_exist_ok=True)
        if base.runs_lambda:
            shutil.copy(EMULATOR, folder / "aws-lambda-rie")
            (folder / "requirements.txt").write_text(requirements, encoding="utf-8")
        _write_pip_settings(folder)
        docker.run(
            *("build", "--network=host", "--build-arg", f"DEBIAN={debian}", "--tag", tag, str(folder)),
            timeout_s=BUILD_TIMEOUT_S,
        )
    return tag


def _digest(*inputs: str) -> str:
    """Return a part of a tag that changes with what an image is made of, so that a stale one is never stood on."""
    return hashlib.sha256("\0".join(inputs).encode()).hexdigest()[:12]


def _check_tools(base: Base) -> None:
    if os.geteuid():
        message = f"{base.public} cannot be pulled, and debootstrap, which would make a stand-in, needs root"
    elif shutil.which("debootstrap") is None:
        message = f"{base.public} cannot be pulled, and debootstrap, which would make a stand-in, is not installed"
    elif base.runs_lambda and not EMULATOR.is_file():
        message = f"{EMULATOR} is missing: make .venv/.emulator"
    else:
        return
    raise EngineError(message)


def _import_debian(docker: Docker, root: Path, tag: str) -> None:
    mirror = os.environ.get("DEBIAN_MIRROR")
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(root)]
    try:
        done = subprocess.run(
            [*command, *([mirror] if mirror else [])],
            capture_output=True,
            text=True,
            timeout=DEBOOTSTRAP_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        message = f"debootstrap: not done after {DEBOOTSTRAP_TIMEOUT_S:.0f} s"
        raise EngineError(message) from None
    if done.returncode:
        message = f"debootstrap: exit status {done.returncode}\n{done.stdout[-2000:]}"
        raise EngineError(message)
    for name in NOT_NEEDED:
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    archive = root.with_suffix(".tar")
    subprocess.run(["tar", "-C", str(root), "-cf", str(archive), "."], timeout=BUILD_TIMEOUT_S, check=True)
    docker.run("import", str(archive), tag, timeout_s=BUILD_TIMEOUT_S)
    archive.unlink()


def _runtime_requirements() -> str:
    """Return the lines of the function's own lock file, hashes and all, for what AWS's image brings along."""
    lock = (ROOT / "requirements" / "lambda.txt").read_text(encoding="utf-8")
    blocks = [block for block in re.split(r"^(?=[a-z])", lock, flags=re.MULTILINE) if block]
    return "".join(block for block in blocks if block.partition("==")[0] in RUNTIME_PACKAGES)


# --- this machine's way to packages -----------------------------------------------------------------------------------


def _write_pip_settings(folder: Path) -> None:
    """Write ``etc/`` with what pip needs to know here, taken from its environment and files; folders stay outside."""
    etc = folder / "etc"
    etc.mkdir()
    settings = {name: value for name in PIP_SETTINGS if (value := _pip_setting(name))}
    for name, value in settings.items():
        # What stands in this file stands in a layer of every image that is built on this base.
        if re.search(r"://[^/\s]*@", value):
            message = f"pip's {name} holds a user name or password, which no image may; set it without"
            raise EngineError(message)
    certificates = _certificates()
    if certificates:
        shutil.copy(certificates, etc / Path(CERTIFICATES).name)
        settings["cert"] = CERTIFICATES
    lines = ["[global]", *(f"{name} = {value}" for name, value in settings.items())]
    (etc / "pip.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _pip_setting(name: str) -> str:
    value = os.environ.get("PIP_" + name.upper().replace("-", "_"))
    if value is None:
        done = subprocess.run(
            [sys.executable, "-m", "pip", "config", "get", f"global.{name}"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        value = done.stdout if done.returncode == 0 else ""
    words = value.split()
    if name.endswith("index-url"):
        words = [word for word in words if word.startswith(("http://", "https://"))]
    return " ".join(words)


def _certificates() -> str | None:
    """Return the bundle that this machine says to trust, if it says so."""
    names = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
    given = [value for name in names if (value := os.environ.get(name))] or [_pip_setting("cert")]
    return next((path for path in given if path and Path(path).is_file()), None)


if __name__ == "__main__":
    with running_engine() as engine:
        print(base_image(engine, {"lambda": LAMBDA, "host": HOST}[sys.argv[1] if sys.argv[1:] else "lambda"]))
