"""Loads the weights of a model: the very call that a cold start begins ahead and a loader asks for."""

import handler.openmp  # noqa: F401 - before ctranslate2

# isort: split
from ctranslate2 import Translator

from handler import devices


def open_translator(
    folder: str,
    *,
    family: str,
    device: str,
    device_indices: tuple[int, ...],
    compute_type: str,
    flash_attention: bool,
    inter_threads: int,
    intra_threads: int,
) -> Translator:
    """Load the weights in ``folder``.

    Args:
        folder: Holds ``model.bin``.
        family: ``nllb`` or ``t5``.
        device: ``cpu``, ``cuda`` or ``auto``.
        device_indices: One replica each.
        compute_type: In CTranslate2's words; what ``auto`` means on a GPU depends on the family.
        flash_attention: As CTranslate2 has it.
        inter_threads: Batches that one device decodes at the same time.
        intra_threads: CPU threads of one batch.

    Raises:
        RuntimeError: CTranslate2 refuses a file, the device or the compute type.
        ValueError: CTranslate2 refuses an option.
    """
    device, indices = devices.place(device, device_indices)
    if (device, compute_type) == ("cuda", "auto"):
        compute_type = devices.fastest(family, devices.supported_compute_types(device, indices[0]))
    return Translator(
        folder,
        device=device,
        device_index=indices,
        compute_type=compute_type,
        flash_attention=flash_attention,
        inter_threads=inter_threads,
        intra_threads=intra_threads,
    )
