"""Make a folder of an image build ready for its layer: byte code, modes and times that no build changes.

usage: seal.py FOLDER     the folder becomes / of the image
"""

import compileall
import os
import py_compile
import sys
from pathlib import Path

DEFAULT_EPOCH = 315_532_800
"""1980-01-01, the first day that a zip file can hold."""


def main(folder: Path) -> int:
    """Compile, then give every file and folder below ``folder``, and itself, one time and modes all can read."""
    given = os.environ.get("SOURCE_DATE_EPOCH") or str(DEFAULT_EPOCH)
    if not given.isdecimal():
        print(f"error: SOURCE_DATE_EPOCH={given}: seconds since 1970, in digits", file=sys.stderr)
        return 1
    # Unchecked, because a layer's files may get other times when they are unpacked, and nobody could write a new one.
    compiled = compileall.compile_dir(
        folder,
        maxlevels=100,
        quiet=1,
        force=True,
        # Tracebacks name the files where they will be.
        stripdir=str(folder),
        prependdir="/",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    time = int(given)
    # What lies below a folder first: a change there would give the folder a new time.
    for path in (*sorted(folder.rglob("*"), reverse=True), folder):
        if not path.is_symlink():
            runs = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if runs else 0o644)
        os.utime(path, (time, time), follow_symlinks=False)
    return 0 if compiled else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
