"""Fixtures of the tests that need a Docker engine; a test module takes them by ``pytest_plugins``."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from base_image import HOST, ROOT, base_image
from engine import Docker, EngineError, running_engine
from host_image import build_host_image
from image import build_image

REQUIRED = "required"
FOLDERS_OF_A_BUILD = ("handler", "model_bake", "infra/image")
FILES_OF_A_BUILD = (
    *("Dockerfile.lambda", "Dockerfile.gpu", ".dockerignore"),
    *(f"requirements/{name}.txt" for name in ("lambda", "host", "gpu", "bake")),
)


@pytest.fixture(scope="session")
def engine_and_base() -> Iterator[tuple[Docker, str]]:
    """An engine and a base; where there are none the tests are skipped, or fail if ``CONTAINERS=required`` says so."""
    with ExitStack() as stack:
        try:
            docker = stack.enter_context(running_engine())
            base = base_image(docker)
        except EngineError as error:
            if os.environ.get("CONTAINERS") == REQUIRED:
                raise
            pytest.skip(str(error))
        yield docker, base


@pytest.fixture(scope="session")
def docker(engine_and_base: tuple[Docker, str]) -> Docker:
    """A client of a Docker engine."""
    return engine_and_base[0]


@pytest.fixture(scope="session")
def base(engine_and_base: tuple[Docker, str]) -> str:
    """The tag of the base image."""
    return engine_and_base[1]


@pytest.fixture(scope="session")
def image(docker: Docker, base: str) -> str:
    """The tag of Dockerfile.lambda's image as it is built without arguments."""
    return build_image(docker, base)


@pytest.fixture(scope="session")
def host_base(docker: Docker) -> str:
    """The tag of the base image of Dockerfile.gpu."""
    return base_image(docker, HOST)


@pytest.fixture(scope="session")
def host_image(docker: Docker, host_base: str) -> str:
    """The tag of Dockerfile.gpu's image without the CUDA libraries, which are gigabytes that nothing here can run."""
    return build_host_image(docker, host_base)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A copy of what a build reads of this checkout, of another time and unreadable for others."""
    copy = tmp_path / "context"
    for name in FOLDERS_OF_A_BUILD:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES_OF_A_BUILD:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, copy / name)
    for path in copy.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
        os.utime(path)
    return copy
