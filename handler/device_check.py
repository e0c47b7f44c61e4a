"""Holds what is asked for against the devices that are there, before anything is loaded.

Two kinds of failures keep a model from being served. What cannot come right while the process lives ends it, with one
line: a GPU that is asked for and is not there, an index beyond the last one, a type that the device does not compute
with, flash attention where it cannot be. What may come right is tried again: a file that cannot be read, a GPU without
memory left, a first word that fails; the model is not ready until then, and the log has the reason (``ModelManager``).
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Protocol

from handler import devices
from handler.catalog import ModelSpec
from handler.errors import SettingsError
from handler.telemetry import logger

_LEFT_OPEN = frozenset({"default", "auto"})
"""Compute types that every device has something for."""


class Machine(Protocol):
    """What there is; the module ``devices`` tells of this machine."""

    def gpu_count(self) -> int:
        """Return how many GPUs there are."""
        ...

    def gpu_trouble(self) -> str | None:
        """Return why no GPU can be used, or nothing where one can."""
        ...

    def supported_compute_types(self, device: str, index: int) -> AbstractSet[str]:
        """Return what a device computes efficiently."""
        ...


def check_devices(models: Iterable[ModelSpec], *, machine: Machine = devices) -> None:
    """Compare what the models ask for with what there is.

    Raises:
        SettingsError: One of them asks for what is not there.
    """
    for spec in models:
        trouble = _trouble(spec, machine)
        if trouble:
            key, reason = trouble
            raise SettingsError(reason, key=("models", spec.id, key))


def warn_of_absent_gpu(models: Iterable[ModelSpec]) -> None:
    """Log that ``auto`` leads to the CPU on a machine, or in an image, that was made for a GPU."""
    left = [spec.id for spec in models if spec.device == "auto"]
    if left and (devices.gpu_count() or devices.cuda_library(devices.CUBLAS)):
        trouble = devices.gpu_trouble()
        if trouble:
            logger.warning("no GPU is used", extra={"reason": trouble, "models": left})


def _trouble(spec: ModelSpec, machine: Machine) -> tuple[str, str] | None:
    """Return the key that asks for what is not there, and why that is so."""
    asks = spec.device_indices != (0,) or spec.compute_type not in _LEFT_OPEN or spec.flash_attention
    if spec.device == "auto" and not asks:
        # As nearly everybody has it. No driver is looked for: a cold start would notice.
        return None
    absent = machine.gpu_trouble()
    if spec.device == "cuda" and absent:
        return "device", f"'cuda', and {absent}; allowed: auto, cpu"
    if spec.device == "cpu" or absent:
        # Indices name GPUs; where the CPU stands in for them they are nothing to it.
        beyond = next((index for index in spec.device_indices if index and spec.device == "cpu"), None)
        if beyond is not None:
            return "device_indices", f"{beyond}, and the CPU has 0 alone"
        return _compute_type_trouble(spec, "cpu", machine) or _flash_attention_trouble(spec, "cpu", machine)
    count = machine.gpu_count()
    beyond = next((index for index in spec.device_indices if index >= count), None)
    if beyond is not None:
        return "device_indices", f"{beyond}, and the last GPU is {count - 1}"
    return _compute_type_trouble(spec, "cuda", machine) or _flash_attention_trouble(spec, "cuda", machine)


def _compute_type_trouble(spec: ModelSpec, device: str, machine: Machine) -> tuple[str, str] | None:
    supported = machine.supported_compute_types(device, _index(spec, device)) | _LEFT_OPEN
    if spec.compute_type in supported:
        return None
    what = "GPU" if device == "cuda" else "CPU"
    allowed = ", ".join(sorted(supported))
    return "compute_type", f"{spec.compute_type!r}, which the {what} does not compute efficiently; allowed: {allowed}"


def _flash_attention_trouble(spec: ModelSpec, device: str, machine: Machine) -> tuple[str, str] | None:
    if not spec.flash_attention:
        return None
    if spec.family == "t5":
        # It would decode without, and say nothing (CTranslate2, src/layers/flash_attention.cc).
        return "flash_attention", "true, and CTranslate2 has it without T5's position bias; allowed: false"
    # Python is not told the compute capability; bfloat16 begins with the same one (src/types.cc, src/models/model.cc).
    if device == "cpu" or "bfloat16" not in machine.supported_compute_types(device, _index(spec, device)):
        return "flash_attention", "true, which takes a GPU of compute capability 8.0 or newer; allowed here: false"
    return None


def _index(spec: ModelSpec, device: str) -> int:
    return spec.device_indices[0] if device == "cuda" else 0
