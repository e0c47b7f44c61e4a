"""Leave of the CUDA packages what CTranslate2 loads, and load it: an image where that fails is not built.

usage: cuda.py FOLDER     the CUDA packages; CTranslate2 and the server lie on Python's path
"""

import platform
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

OF_CUDA = re.compile(rb"(?<![\w.-])lib(?:cu|nv)[A-Za-z]+\.so\.\d+")
OF_THE_DRIVER = "libcuda.so.1"
"""Comes with the machine that has the GPU: its container runtime puts it into the container."""
BESIDE = "libnvrtc-builtins.so.*"
"""What NVRTC looks for in its own folder."""


def main(root: Path) -> int:
    """Trim the packages in ``root``; compare what is loaded with what CTranslate2's library names."""
    from handler import devices  # noqa: PLC0415 - imports CTranslate2

    named = _named()
    if not named:
        return _failed(f"CTranslate2 for {platform.machine()} has no CUDA: build with CUDA=0")
    if named != {devices.CUBLAS}:
        return _failed(f"CTranslate2 loads {', '.join(sorted(named))}, and not {devices.CUBLAS} alone")
    for folder in [*root.rglob("include"), *root.glob("bin")]:
        shutil.rmtree(folder)
    for library in root.rglob("*.so*"):
        if library.name not in devices.CUDA_LIBRARIES and not library.match(BESIDE):
            library.unlink()
    for name in devices.CUDA_LIBRARIES:
        path = devices.cuda_library(name)
        if path is None or not Path(path).is_relative_to(root):
            return _failed(f"{root} holds no {name}")
        print(f"{Path(path).stat().st_size / 1e6:8.1f} MB  {name}")
    trouble = devices.load_cuda_libraries()
    return _failed(trouble) if trouble else 0


def _named() -> set[str]:
    """Return the CUDA libraries whose names are in CTranslate2's: it is not linked with them and asks by name."""
    spec = find_spec("ctranslate2")
    if spec is None or spec.origin is None:
        message = "CTranslate2 is not on Python's path"
        raise ModuleNotFoundError(message)
    [library] = Path(spec.origin).parents[1].glob("ctranslate2.libs/libctranslate2*")
    return {name.decode() for name in OF_CUDA.findall(library.read_bytes())} - {OF_THE_DRIVER}


def _failed(why: str) -> int:
    print(f"error: {why}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
