"""A checkpoint as transformers loads it: in float32, every weight looked at once. Needs torch and transformers."""

import json
import os
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sentencepiece import SentencePieceProcessor

from model_bake.checkpoint import CONFIG_FILE, Checkpoint
from model_bake.errors import BakeError, CheckpointError
from model_bake.progress import Advance, Progress

INSTALL: Final = "pip install -r requirements/bake.txt, then pip install --no-deps torch==2.13.0 \
--extra-index-url https://download.pytorch.org/whl/cpu"
"""The install line of the README; `make bake` runs the same."""

_BLOCK_ELEMENTS = 1 << 24
"""Weights are looked at in blocks of this many, so that a large embedding is not copied for it."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model and its tokenizer, both of transformers."""

    model: Any
    tokenizer: Any


def load_checkpoint(folder: Path, checkpoint: Checkpoint, progress: Progress) -> LoadedModel:
    """Load the checkpoint in ``folder`` with transformers, nothing fetched from anywhere.

    Weights that are float32 on disk are mapped into memory; the kernel copies a page when the converter quantises it,
    so that memory for all of them in float32 is needed in the end. float32 is for accuracy alone: half precision would
    round the position encodings that are computed, and quantisation would start from rounded weights.

    Raises:
        BakeError: torch or transformers is not installed.
        CheckpointError: A file is damaged, weights are missing, of another shape, or not finite.
    """
    # Read when transformers and huggingface_hub are imported: whatever is missing is an error, never a download.
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        import huggingface_hub  # noqa: PLC0415
        import torch  # noqa: F401, PLC0415 - a converted folder is baked without it
        import transformers  # noqa: PLC0415
    except ImportError as error:
        message = f"converting a checkpoint needs torch and transformers ({error}): {INSTALL}"
        raise BakeError(message) from None
    if not transformers.__version__.startswith("4."):
        message = (
            f"transformers {transformers.__version__} is installed; allowed: 4.x, since T5 converts wrong with 5: "
            f"{INSTALL}"
        )
        raise BakeError(message)
    huggingface_hub.constants.HF_HUB_OFFLINE = True  # a source on the Hub has imported it before
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LoadedModel(_load_model(folder, checkpoint, progress), _load_tokenizer(folder, checkpoint))


def _load_model(folder: Path, checkpoint: Checkpoint, progress: Progress) -> Any:  # noqa: ANN401 - transformers has no types
    import torch  # noqa: PLC0415
    import transformers  # noqa: PLC0415

    with progress.step("read", checkpoint.weights_size) as advance:
        state: dict[str, Any] = {}
        for name in checkpoint.weights:
            state |= _read_weights(folder / name, advance)
    try:
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
        model, loading = getattr(transformers, checkpoint.architecture).from_pretrained(
            None, config=config, state_dict=state, dtype=torch.float32, output_loading_info=True
        )
    except (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        message = f"{_origin(folder / CONFIG_FILE)}: transformers cannot build the model: {_one_line(error)}"
        raise CheckpointError(message) from None
    for kind in ("missing_keys", "mismatched_keys"):
        if loading[kind]:
            first = min(map(str, loading[kind]))
            what = f"{len(loading[kind])} weights are {kind.removesuffix('_keys')}, {first} the first"
            message = f"{_origin(folder / CONFIG_FILE).parent}: {what}"
            raise CheckpointError(message)
    return model.eval()


def _read_weights(path: Path, advance: Advance) -> dict[str, Any]:
    """Map the tensors of one file into memory and look at each.

    Raises:
        CheckpointError: The file is damaged, or a weight is not finite.
    """
    import torch  # noqa: PLC0415

    try:
        state = _map_safetensors(path) if path.suffix == ".safetensors" else _map_pickle(path)
    except Exception as error:  # noqa: BLE001 - each format, and the unpickler, has errors of its own for damaged files
        message = f"{_origin(path)}: not readable as weights: {_one_line(error)}"
        raise CheckpointError(message) from None
    for name, tensor in state.items():
        for block in tensor.flatten().split(_BLOCK_ELEMENTS):
            if not torch.isfinite(block).all():
                message = f"{_origin(path)}: {name} holds values that are not finite, so the weights are damaged"
                raise CheckpointError(message)
            advance(block.nbytes)
    return state


def _map_safetensors(path: Path) -> dict[str, Any]:
    from safetensors import safe_open  # noqa: PLC0415

    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping


def _map_pickle(path: Path) -> dict[str, Any]:
    """Map a ``pytorch_model.bin``: a zip archive, whose checksums torch itself does not look at."""
    import torch  # noqa: PLC0415

    if not zipfile.is_zipfile(path):
        message = "neither a zip archive, as torch writes since 1.6, nor whole; save it again with a current torch"
        raise ValueError(message)
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged:
        message = f"the checksum of {damaged} is wrong"
        raise ValueError(message)
    # weights_only: tensors and plain containers; a pickle that would run code is refused.
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    return state


def _load_tokenizer(folder: Path, checkpoint: Checkpoint) -> Any:  # noqa: ANN401 - transformers has no types
    import transformers  # noqa: PLC0415

    try:
        options = _nllb_ids(folder, checkpoint.tokenizer) if checkpoint.family == "nllb" else {}
        # The Python tokenizer reads the very SentencePiece model that the server will; the other one is a translation
        # of it, with other answers for mT5's bytes and MADLAD's tags.
        return transformers.AutoTokenizer.from_pretrained(folder, use_fast=False, trust_remote_code=False, **options)
    except Exception as error:  # noqa: BLE001 - anything may be wrong in its files
        message = (
            f"{_origin(folder / checkpoint.tokenizer)}: transformers cannot build the tokenizer: {_one_line(error)}"
        )
        raise CheckpointError(message) from None


def _nllb_ids(folder: Path, tokenizer: str) -> dict[str, Any]:
    """Return the ids of NLLB's language codes and ``<mask>`` where no file of the checkpoint gives them.

    They follow the pieces, codes first, as in the dictionary NLLB was trained with. transformers since 4.34 puts
    ``<mask>`` first unless a file says otherwise, so that every language would be its neighbour.
    """
    from transformers import AddedToken  # noqa: PLC0415
    from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES  # noqa: PLC0415

    settings = _read_json(folder / "tokenizer_config.json")
    files = ("tokenizer.json", "added_tokens.json", "vocab.json")  # the last is M2M100's
    if "added_tokens_decoder" in settings or any((folder / name).is_file() for name in files):
        return {}
    special = settings | _read_json(folder / "special_tokens_map.json")
    codes = special.get("additional_special_tokens") or FAIRSEQ_LANGUAGE_CODES
    first = SentencePieceProcessor(model_file=str(folder / tokenizer)).get_piece_size() + 1
    tokens = [*codes, "<mask>"]
    ids = {first + number: AddedToken(token, special=True, normalized=False) for number, token in enumerate(tokens)}
    return {"added_tokens_decoder": ids}


def _read_json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_bytes())) if path.is_file() else {}


def _origin(path: Path) -> Path:
    """Return the file that a link of the workspace stands for, for people to find."""
    return path.readlink() if path.is_symlink() else path


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
