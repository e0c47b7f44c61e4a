"""Leave of the CUDA packages what CTranslate2 loads, and load it: an image where that fails is not built.

usage: cuda.py FOLDER     the CUDA packages; CTranslate2 and the server lie on Python's path
"""

import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

OF_CUDA = re.compile(rb"(?<![\w.-])lib(?:cu|nv)[A-Za-z]+\.so\.\d+")
OF_THE_DRIVER = "libcuda.so.1"
"""Comes with the machine that has the GPU: its container runtime puts it into the container."""


def main(root: Path) -> int:
    """Trim the packages in ``root``; compare what is loaded with what CTranslate2's library names."""
    from handler import devices  # noqa: PLC0415 - imports CTranslate2

    wanted = set(devices.CUDA_LIBRARIES)
    named = _named()
    if unknown := named - wanted:
        print(f"error: CTranslate2 loads {', '.join(sorted(unknown))}, which nobody brings", file=sys.stderr)
        return 1
    for folder in [*root.rglob("include"), *root.glob("bin")]:
        shutil.rmtree(folder)
    for library in root.rglob("*.so*"):
        if library.name not in wanted:
            library.unlink()
    folder = devices.cuda_folder()
    trouble = devices.load_cuda_libraries()
    if folder is None or not Path(folder).is_relative_to(root) or trouble:
        print(f"error: {trouble or f'{root} holds no {devices.CUDA_LIBRARIES[-1]}'}", file=sys.stderr)
        return 1
    for name in devices.CUDA_LIBRARIES:
        print(f"{(Path(folder) / name).stat().st_size / 1e6:8.1f} MB  {name}")
    return 0


def _named() -> set[str]:
    """Return the CUDA libraries whose names are in CTranslate2's: it is not linked with them and asks by name."""
    spec = find_spec("ctranslate2")
    if spec is None or spec.origin is None:
        message = "CTranslate2 is not on Python's path"
        raise ModuleNotFoundError(message)
    [library] = Path(spec.origin).parents[1].glob("ctranslate2.libs/libctranslate2*")
    return {name.decode() for name in OF_CUDA.findall(library.read_bytes())} - {OF_THE_DRIVER}


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
