"""Holds a baked model to its source, through the server's own loader and engine."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ctranslate2

from handler.catalog import build_catalog
from handler.engine import DecodingOptions, Engine, Translation
from handler.errors import HandlerError
from handler.loader import load_engine
from handler.model_folder import MODEL_FILE, VOCABULARY_FILE
from handler.settings import Family, ModelSettings, Settings
from handler.tokenizer import load_tokenizer
from model_bake.errors import VerificationError
from model_bake.golden import GoldenRequest
from model_bake.progress import Advance, Progress
from model_bake.quantization import Quantization
from model_bake.reference import BEAM_SIZES, MAX_TOKENS, Reference

LARGEST_DEVIATION: dict[Quantization, float] = {
    "float32": 0.002,
    "float16": 0.02,
    "bfloat16": 0.1,
    "int16": 0.1,
    "int8": 0.2,
    "int8_float16": 0.2,
    "int8_bfloat16": 0.2,
}
"""Mean difference from transformers' log-probability of a token that a quantisation may make.

At least four times what random and trained models of every family were measured to have, and below the 0.3 of a
vocabulary with rows out of place: docs/decisions/0005-the-bake.md.
"""

SMALLEST_SHARE = {1: 1.0, 4: 0.75}
"""Answers by beam size that have to be transformers' where nothing is quantised.

The greedy search is one and the same. The beam searches end by different rules, CTranslate2's after a number of
finished hypotheses, transformers' when no better one can come, and differ on texts that have many likely ends.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFigures:
    """What one model costs on this machine."""

    size: int
    """Bytes of ``model.bin``."""
    load_s: float
    cpu_s: float
    """CPU seconds to answer the verification text once greedily and once with beam 4."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was checked, and how close the model comes to its source."""

    texts: int
    equal: dict[int, int] | None
    """Answers that equal transformers', by beam size; nothing where there is no checkpoint to compare with."""
    deviation: float | None
    """Mean difference from transformers' log-probabilities."""
    ended: int
    """Answers, greedy and beam, that the model ended itself within the limit."""
    full: ModelFigures
    """The model as converted."""
    pruned: ModelFigures | None


def verify(
    converted: Path,
    pruned: Path | None,
    *,
    family: Family,
    tokenizer: str,
    quantization: Quantization,
    positions: int,
    requests: Sequence[GoldenRequest],
    references: Sequence[Reference] | None,
    progress: Progress,
) -> Verification:
    """Answer the verification text with the converted model, and with the pruned one where there is one.

    Raises:
        VerificationError: The tokens are not transformers', the answers too far from its own, or the pruned model's
            answers are not the converted one's.
    """
    models = 1 + (pruned is not None)
    with progress.step("verify", models * len(BEAM_SIZES) * len(requests), unit="texts") as advance:
        settings = ModelSettings(
            path=converted,
            model_type=family,
            tokenizer_path=converted / tokenizer,
            max_source_tokens=positions,
            max_target_tokens=positions,
        )
        answers, full = _answer(settings, requests, advance)
        deviation = equal = None
        if references is not None:
            tokens = json.loads((converted / VOCABULARY_FILE).read_bytes())
            _check_source_tokens(converted / tokenizer, family, references, tokens)
            deviation = _check_log_probs(converted, references, tokens, quantization)
            equal = _count_equal(converted / tokenizer, family, answers, references, tokens)
            if quantization == "float32":
                _check_equal(equal, len(requests))
        figures = None
        if pruned is not None:
            again, figures = _answer(ModelSettings(path=pruned), requests, advance)
            _check_pruned(requests, answers, again)
    ended = sum(choice.finish_reason == "stop" for answer in answers.values() for choice in answer.choices)
    return Verification(texts=len(requests), equal=equal, deviation=deviation, ended=ended, full=full, pruned=figures)


_Answers = dict[tuple[int, int], Translation]
"""By beam size and number of the request."""


def _answer(model: ModelSettings, requests: Sequence[GoldenRequest], advance: Advance) -> tuple[_Answers, ModelFigures]:
    """Serve the requests as the server would."""
    try:
        spec = build_catalog(Settings(models={"model": model}, verify="sha256")).models["model"]
        engine, report = load_engine(spec)
        start = time.process_time()
        answers = {}
        for beam_size in BEAM_SIZES:
            for number, request in enumerate(requests):
                answers[beam_size, number] = _translate(engine, request, beam_size)
                advance(1)
    except (HandlerError, RuntimeError, ValueError, OSError) as error:
        message = f"the server cannot serve the baked model: {error}"
        raise VerificationError(message) from None
    figures = ModelFigures(
        size=(spec.path / MODEL_FILE).stat().st_size,
        load_s=report.load_ms / 1e3,
        cpu_s=time.process_time() - start,
    )
    return answers, figures


def _translate(engine: Engine, request: GoldenRequest, beam_size: int) -> Translation:
    return engine.translate(
        request.text,
        source_lang=request.source_lang,
        target_lang=request.target_lang,
        options=DecodingOptions(beam_size=beam_size, max_completion_tokens=MAX_TOKENS),
    )


def _check_source_tokens(path: Path, family: Family, references: Sequence[Reference], tokens: Sequence[str]) -> None:
    """Hold the server's tokenizer to that of transformers."""
    tokenizer = load_tokenizer(family, path)
    for reference in references:
        served = tokenizer.encode(reference.request.text, reference.request.source_lang)
        expected = [tokens[index] for index in reference.source]
        if served != expected:
            message = (
                f"the tokenizer does not fit the checkpoint: {reference.request.text!r} gives {' '.join(served)}, "
                f"and transformers reads {' '.join(expected)}"
            )
            raise VerificationError(message)


def _check_log_probs(
    converted: Path, references: Sequence[Reference], tokens: Sequence[str], quantization: Quantization
) -> float:
    """Return the mean difference from transformers' log-probabilities, which wrong scales cannot hide from."""
    translator = ctranslate2.Translator(str(converted), device="cpu")
    difference, count = 0.0, 0
    for reference in references:
        forced = [tokens[index] for index in reference.forced]
        [result] = translator.score_batch([[tokens[index] for index in reference.source]], [forced], max_input_length=0)
        # CTranslate2 scores the end of the sentence as well, which transformers may not have come to.
        scores = result.log_probs[: len(forced)]
        difference += sum(abs(ours - theirs) for ours, theirs in zip(scores, reference.log_probs, strict=True))
        count += len(forced)
    deviation = difference / count
    limit = LARGEST_DEVIATION[quantization]
    if not deviation <= limit:  # not a number is not within the limit
        message = (
            f"the converted model's log-probabilities differ from transformers' by {deviation:.4f} in the mean; "
            f"the limit for {quantization} is {limit}"
        )
        raise VerificationError(message)
    return deviation


def _count_equal(
    path: Path, family: Family, answers: _Answers, references: Sequence[Reference], tokens: Sequence[str]
) -> dict[int, int]:
    tokenizer = load_tokenizer(family, path)
    equal = dict.fromkeys(BEAM_SIZES, 0)
    for (beam_size, number), answer in answers.items():
        expected = [tokens[index] for index in references[number].answers[beam_size]]
        [choice] = answer.choices
        same = choice.text == tokenizer.decode(expected) and choice.completion_tokens == len(expected)
        equal[beam_size] += same
    return equal


def _check_equal(equal: dict[int, int], texts: int) -> None:
    for beam_size, count in equal.items():
        if count < SMALLEST_SHARE[beam_size] * texts:
            message = (
                f"{count} of {texts} answers with beam_size {beam_size} equal those of transformers; without "
                f"quantisation {SMALLEST_SHARE[beam_size]:.0%} have to"
            )
            raise VerificationError(message)


def _check_pruned(requests: Sequence[GoldenRequest], full: _Answers, pruned: _Answers) -> None:
    for (beam_size, number), answer in full.items():
        if answer.choices != pruned[beam_size, number].choices:
            message = (
                f"pruned, the model answers {requests[number].text!r} with "
                f"{pruned[beam_size, number].choices[0].text!r}, unpruned with {answer.choices[0].text!r} (beam_size "
                f"{beam_size}); keep more of the vocabulary"
            )
            raise VerificationError(message)
