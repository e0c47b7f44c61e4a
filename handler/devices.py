"""Where a model runs and what it computes with there, as far as that is left open.

CTranslate2's wheel has the CUDA runtime inside. The driver, ``libcuda.so.1``, comes with the machine. What else it
needs on a GPU is cuBLAS, which it loads by name when it first multiplies. NVIDIA's packages bring
that, in folders where no loader looks. So it is loaded here, by its path, before it is asked for by its name: who asks
for a library that is loaded gets that one (dlopen(3)).
"""

from __future__ import annotations

import handler.openmp  # noqa: F401 - before ctranslate2

# isort: split
import os
import sys

from ctranslate2 import get_cuda_device_count, get_supported_compute_types

TYPE_CHECKING = False
# As typing has it, without typing: a cold start imports this before it has imported either.
if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

CUBLAS = "libcublas.so.12"
"""What CTranslate2 4.8 asks for (its src/cuda/cublas_stub.cc). cuDNN it does without; NCCL and MPI are for models that
are spread over several GPUs, which this server does not do."""
CUDA_LIBRARIES = {"libnvrtc.so.12": "cuda_nvrtc", "libcublasLt.so.12": "cublas", CUBLAS: "cublas"}
"""That and what it asks for in turn, in the order of loading, and the folders of NVIDIA's packages."""

FASTEST = {
    "nllb": ("int8_float16", "int8_float32", "float16", "float32"),
    "t5": ("int8_float32", "float32"),
}
"""What ``auto`` means on a GPU, the first that it has. NLLB's are CTranslate2's own order (its src/types.cc). T5 is
never computed in 16 bits: its activations leave float16's range, which gives NaN from flan-t5-large on, and with
bfloat16's precision beam search was seen to repeat itself (CTranslate2's issue 2102)."""


def place(device: str, indices: Sequence[int]) -> tuple[str, list[int]]:
    """Return the device and its indices to load on: ``auto`` leads to a GPU if one can be used, else to the CPU.

    The indices name GPUs: they are nothing to a CPU that stands in for them.
    """
    if device == "auto":
        if gpu_trouble():
            return "cpu", [0]
        device = "cuda"
    return device, list(indices)


def fastest(family: str, supported: AbstractSet[str]) -> str:
    """Return the first of the family's ``FASTEST`` that is among what a GPU supports; all support the last."""
    return next(compute_type for compute_type in FASTEST[family] if compute_type in supported)


def supported_compute_types(device: str, index: int) -> AbstractSet[str]:
    """Return what a device computes efficiently, in CTranslate2's words."""
    return get_supported_compute_types(device, index)


def gpu_count() -> int:
    """Return how many GPUs a driver offers to this process."""
    return get_cuda_device_count()


def gpu_trouble() -> str | None:
    """Return why no GPU can be used, or nothing where one can: then cuBLAS is loaded."""
    return load_cuda_libraries() if gpu_count() else "no GPU and driver are to be found"


def load_cuda_libraries() -> str | None:
    """Load what CTranslate2 will ask for, and return what keeps it from being loaded.

    From NVIDIA's packages where those are installed, else from where the system's loader looks.
    """
    import ctypes  # noqa: PLC0415 - for who has a GPU

    for name in CUDA_LIBRARIES:
        try:
            ctypes.CDLL(cuda_library(name) or name)
        except OSError as error:
            return f"{name} cannot be loaded: {error}; pip install nvidia-cublas-cu12 nvidia-cuda-nvrtc-cu12"
    return None


def cuda_library(name: str) -> str | None:
    """Return the path of one of the libraries, if its package is installed."""
    paths = (os.path.join(entry, "nvidia", CUDA_LIBRARIES[name], "lib", name) for entry in sys.path)
    return next(filter(os.path.exists, paths), None)
