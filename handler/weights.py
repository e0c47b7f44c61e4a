"""Loads the weights of a model: the very call that a cold start begins ahead and a loader asks for."""

import handler.openmp  # noqa: F401 - before ctranslate2

# isort: split
from ctranslate2 import Translator


def open_translator(
    folder: str,
    *,
    device: str,
    device_indices: tuple[int, ...],
    compute_type: str,
    inter_threads: int,
    intra_threads: int,
) -> Translator:
    """Load the weights in ``folder``.

    Args:
        folder: Holds ``model.bin``.
        device: ``cpu``, ``cuda`` or ``auto``.
        device_indices: One replica each.
        compute_type: In CTranslate2's words.
        inter_threads: Batches that one device decodes at the same time.
        intra_threads: CPU threads of one batch.

    Raises:
        RuntimeError: CTranslate2 refuses a file, the device or the compute type.
        ValueError: CTranslate2 refuses an option.
    """
    return Translator(
        folder,
        device=device,
        device_index=list(device_indices),
        compute_type=compute_type,
        inter_threads=inter_threads,
        intra_threads=intra_threads,
    )
