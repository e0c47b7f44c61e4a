"""Take from installed packages what a running server never reads, and tell what is left.

usage: trim.py FOLDER
"""

import re
import shutil
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

RUNTIME = "/var/runtime"
"""Where AWS's base images may keep the runtime client and boto3, beside the interpreter's own packages."""

OF_THE_BASE = ("awslambdaric", "boto3", "botocore", "s3transfer")
"""Packages the base image carries: a second copy would cost 35 MB and be what is imported."""

NEVER_IMPORTED = ("numpy", "setuptools")
"""CTranslate2 asks for numpy, for arrays that go in or come out; the server passes tokens. A host's lock holds what
installs a checkout as well."""

FOLDERS = ("bin", "include", "share")
"""Of an installation: scripts, headers and manuals."""

TESTS = ("test", "tests")
SOURCES = (".c", ".cc", ".cpp", ".h", ".hpp", ".pyx", ".pxd", ".pyi", ".a")


def main(root: Path) -> None:
    """Trim the packages installed in ``root``."""
    before = _size(root)
    installed = {_name(package): package for package in distributions(path=[str(root)])}
    elsewhere = {_name(package) for package in distributions(path=[RUNTIME, *sys.path[1:]])}
    for name in (*(name for name in OF_THE_BASE if name in elsewhere), *NEVER_IMPORTED):
        if name in installed:
            _uninstall(installed[name], root)
    for name in FOLDERS:
        shutil.rmtree(root / name, ignore_errors=True)
    for path in sorted(root.rglob("*"), reverse=True):
        if path.is_dir() and path.name in TESTS:
            shutil.rmtree(path)
        elif path.suffix in SOURCES:
            path.unlink()
    libraries = [path for path in root.rglob("*.so*") if path.is_file() and not path.is_symlink()]
    # Debug information and the symbols that a linker wants; the loader's own table stays.
    subprocess.run(["strip", "--strip-unneeded", *map(str, libraries)], check=True)  # noqa: S603, S607
    _report(root, before)


def _name(package: Distribution) -> str:
    return re.sub(r"[-_.]+", "-", package.metadata["Name"]).lower()


def _uninstall(package: Distribution, root: Path) -> None:
    """Delete the top-level entries that hold a package's files; ``bin`` is nobody's alone."""
    for top in {file.parts[0] for file in package.files or ()} - {"..", "bin"}:
        path = root / top
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _report(root: Path, before: int) -> None:
    sizes = {path.name: _size(path) for path in root.iterdir()}
    print(f"packages: {sum(sizes.values()) / 1e6:.1f} MB of {before / 1e6:.1f} MB stay")
    for name in sorted(sizes, key=lambda name: -sizes[name])[:12]:
        print(f"{sizes[name] / 1e6:8.1f} MB  {name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
