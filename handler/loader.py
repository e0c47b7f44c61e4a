"""From a model's spec to an engine that has answered once; each phase timed."""

import handler.openmp  # noqa: F401 - before ctranslate2

# isort: split
from dataclasses import dataclass
from time import perf_counter

import ctranslate2

from handler import ahead
from handler.batcher import OnBatch, nothing
from handler.catalog import ModelSpec
from handler.cpus import batch_threads
from handler.engine import Engine
from handler.errors import EngineError
from handler.model_folder import MODEL_FILE
from handler.tokenizer import load_tokenizer
from handler.weights import open_translator


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """What loading one model took and what came of it."""

    fetch_ms: float
    """Bringing the files to this machine, if they were not there."""
    load_ms: float
    """Reading and laying out the weights, and the tokenizer: what was left to wait for, if that was begun before."""
    warm_up_ms: float
    """0 where no word was translated."""
    device: str
    compute_type: str
    """As CTranslate2 resolved it."""
    intra_threads: int


def load_engine(
    spec: ModelSpec, *, warm_up: bool = True, batching: bool = False, on_batch: OnBatch = nothing
) -> tuple[Engine, LoadReport]:
    """Load the model of ``spec`` and let it translate a word.

    Args:
        spec: What to load.
        warm_up: Whether a word is translated.
        batching: Whether sentences of several requests are decoded together.
        on_batch: Is told of each such batch.

    Raises:
        DownloadError: The files cannot be brought to this machine.
        OSError: A file cannot be read.
        RuntimeError: CTranslate2 or SentencePiece refuses a file, or CTranslate2 fails at the first word.
        ValueError: CTranslate2 refuses an option.
    """
    start = perf_counter()
    spec.folder.fetch()
    fetched = perf_counter()
    model_file = str(spec.path / MODEL_FILE)
    intra_threads = spec.intra_threads or batch_threads(model_file, inter_threads=spec.inter_threads)
    translator = ahead.result(
        open_translator,
        str(spec.path),
        family=spec.family,
        device=spec.device,
        device_indices=spec.device_indices,
        compute_type=spec.compute_type,
        flash_attention=spec.flash_attention,
        inter_threads=spec.inter_threads,
        intra_threads=intra_threads,
    )
    tokenizer = load_tokenizer(spec.family, spec.tokenizer_path)
    engine = Engine(
        translator,
        tokenizer,
        family=spec.family,
        languages=spec.languages,
        max_source_tokens=spec.max_source_tokens,
        max_target_tokens=spec.max_target_tokens,
        normalize=spec.normalize,
        fingerprint=_fingerprint(spec, translator),
        batching=batching,
        on_batch=on_batch,
    )
    loaded = perf_counter()
    if warm_up:
        try:
            engine.warm_up()
        except EngineError as error:
            # Its threads would keep it, and the next attempt needs the memory.
            engine.close()
            # Its message is for clients; the log wants what CTranslate2 said: a library, the GPU's memory.
            raise error.__cause__ or error from None
    report = LoadReport(
        fetch_ms=(fetched - start) * 1e3,
        load_ms=(loaded - fetched) * 1e3,
        warm_up_ms=(perf_counter() - loaded) * 1e3,
        device=translator.device,
        compute_type=translator.compute_type,
        intra_threads=intra_threads,
    )
    return engine, report


def _fingerprint(spec: ModelSpec, translator: ctranslate2.Translator) -> str:
    """Return a name of everything that decides what a request is answered."""
    parts = [f"ct2-{ctranslate2.__version__}", translator.device, translator.compute_type, spec.revision]
    if spec.family == "nllb" and not spec.normalize:
        parts.append("as-written")
    return "-".join(parts)
