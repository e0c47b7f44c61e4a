"""From a model's spec to an engine that has answered once; each phase timed."""

import handler.openmp  # noqa: F401 - before ctranslate2

# isort: split
import json
import re
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import ctranslate2

from handler.catalog import ModelSpec
from handler.cpus import usable_cpus
from handler.engine import Engine
from handler.tokenizer import load_tokenizer

_LANGUAGE_TOKEN = re.compile(r"[a-z]{3}_[A-Z][a-z]{3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """What loading one model took and what came of it."""

    load_ms: float
    """Reading and laying out the weights, and the tokenizer."""
    warm_up_ms: float
    device: str
    compute_type: str
    """As CTranslate2 resolved it."""
    intra_threads: int


def load_engine(spec: ModelSpec) -> tuple[Engine, LoadReport]:
    """Load the model of ``spec`` and let it translate a word.

    Raises:
        OSError: A file cannot be read.
        RuntimeError: CTranslate2 or SentencePiece refuses a file, the device or the compute type.
        ValueError: CTranslate2 refuses an option, or the vocabulary is not a list of tokens.
        EngineError: The warm-up translation failed.
    """
    start = perf_counter()
    intra_threads = spec.intra_threads or max(1, usable_cpus() // spec.inter_threads)
    translator = ctranslate2.Translator(
        str(spec.path),
        device=spec.device,
        device_index=list(spec.device_indices),
        compute_type=spec.compute_type,
        inter_threads=spec.inter_threads,
        intra_threads=intra_threads,
    )
    tokenizer = load_tokenizer(spec.family, spec.tokenizer_path)
    engine = Engine(
        translator,
        tokenizer,
        family=spec.family,
        languages=_languages(spec),
        max_source_tokens=spec.max_source_tokens,
        max_target_tokens=spec.max_target_tokens,
    )
    loaded = perf_counter()
    engine.warm_up()
    report = LoadReport(
        load_ms=(loaded - start) * 1e3,
        warm_up_ms=(perf_counter() - loaded) * 1e3,
        device=translator.device,
        compute_type=translator.compute_type,
        intra_threads=intra_threads,
    )
    return engine, report


def _languages(spec: ModelSpec) -> tuple[str, ...]:
    """Return the language codes of an NLLB model: the manifest's, else those among its vocabulary."""
    if spec.family != "nllb":
        return ()
    if spec.manifest is not None:
        return spec.manifest.languages
    return tuple(filter(_LANGUAGE_TOKEN.fullmatch, _vocabulary(spec.path)))


def _vocabulary(folder: Path) -> list[str]:
    """Return the tokens of a converted model (written by ``ctranslate2.specs.ModelSpec`` since version 3)."""
    tokens = json.loads((folder / "shared_vocabulary.json").read_bytes())
    if not isinstance(tokens, list):
        message = "shared_vocabulary.json is not a list"
        raise ValueError(message)  # noqa: TRY004 - a value from a file, not a caller's argument
    return tokens
