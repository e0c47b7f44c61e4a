"""Take from an interpreter what installs packages, and compile the rest, once: nobody can when the server runs.

Python's own images come without the byte code of the standard library, which every start would compile anew where
nothing can be written: half a second.
"""

import compileall
import py_compile
import re
import shutil
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

INSTALLERS = ("pip", "setuptools", "wheel", "ensurepip")
NEVER_IMPORTED = re.compile(r"/(?:idlelib|test|tests|tkinter|turtledemo)/")
"""Windows and tests."""


def main() -> int:
    """Change the interpreter that runs this."""
    for name in INSTALLERS:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            continue
        package = Path(spec.origin).parent
        for path in (package, *package.parent.glob(f"{name}-*.dist-info")):
            shutil.rmtree(path)
    for folder in {Path(sys.executable).resolve().parent, Path(sysconfig.get_path("scripts"))}:
        for script in folder.glob("pip*"):
            script.unlink()
    compiled = compileall.compile_dir(
        sysconfig.get_path("stdlib"),
        maxlevels=100,
        quiet=1,
        force=True,
        rx=NEVER_IMPORTED,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    return 0 if compiled else 1


if __name__ == "__main__":
    sys.exit(main())
