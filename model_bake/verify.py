"""Holds a baked model to its source, through the server's own loader and engine."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ctranslate2

from handler.assembly import Choice, Decode
from handler.catalog import build_catalog
from handler.decoding_options import DecodingOptions
from handler.engine import Engine, Translation
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

At least four times what small random and trained models of every family were measured to have, and below the 0.3 of a
vocabulary with rows out of place: docs/decisions/0005-the-bake.md.
"""

_WORST_TEXT = 3
"""The mean over one text may be so many times that: one language out of place must not hide among fifteen."""
_DECIDED = 5
"""Where transformers' best token is so many times that likelier than the next, no quantisation may choose another.

The largest difference of a single token was measured at 2.3 times the limit (int8, a trained model's unlikely tokens),
and it takes the differences of two tokens for them to change places.
"""

SMALLEST_SHARE = 0.75
"""Answers of beam 4 that have to be transformers' where nothing is quantised.

The two beam searches end by different rules, CTranslate2's after a number of finished hypotheses, transformers' when no
better one can come, and differ on texts that have many likely ends.
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
    max_deviation: float | None,
    positions: int,
    requests: Sequence[GoldenRequest],
    references: Sequence[Reference] | None,
    progress: Progress,
) -> Verification:
    """Answer the verification text with the converted model, and with the pruned one where there is one.

    Args:
        converted: The model as converted.
        pruned: The same with a smaller vocabulary, described by its manifest.
        family: Of both.
        tokenizer: Name of the SentencePiece model in both.
        quantization: Decides how far log-probabilities may be from transformers'.
        max_deviation: How far instead, if it is given.
        positions: Of the encoder and the decoder each.
        requests: The text.
        references: transformers' answers to it; none where the source was converted already.
        progress: Is told of every answer.

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
            limit = max_deviation or LARGEST_DEVIATION[quantization]
            deviation = _check_log_probs(converted, references, tokens, limit)
            decode = load_tokenizer(family, converted / tokenizer).decode
            expected = {
                (beam_size, number): [tokens[index] for index in reference.answers[beam_size]]
                for beam_size in BEAM_SIZES
                for number, reference in enumerate(references)
            }
            for number, reference in enumerate(references):
                _check_greedy(reference, answers[1, number], expected[1, number], decode, _DECIDED * limit)
            equal = _count_equal(answers, expected, decode)
            if quantization == "float32":
                _check_beam(equal, len(requests))
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
        # transformers reads the text as it is, and what is compared is the model.
        settings = Settings(models={"model": model}, verify="sha256", normalize=False)
        spec = build_catalog(settings).models["model"]
        engine, report = load_engine(spec)
        start = time.process_time()
        answers = {}
        for beam_size in BEAM_SIZES:
            for number, request in enumerate(requests):
                answers[beam_size, number] = _translate(engine, request, beam_size)
                advance(1)
    except (HandlerError, RuntimeError, TypeError, ValueError, OSError) as error:  # TypeError: a path not in UTF-8
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


def _check_log_probs(converted: Path, references: Sequence[Reference], tokens: Sequence[str], limit: float) -> float:
    """Return the mean difference from transformers' log-probabilities, which wrong scales cannot hide from."""
    translator = ctranslate2.Translator(str(converted), device="cpu")
    difference, count = 0.0, 0
    for reference in references:
        forced = [tokens[index] for index in reference.forced]
        [result] = translator.score_batch([[tokens[index] for index in reference.source]], [forced], max_input_length=0)
        # CTranslate2 scores the end of the sentence as well, which transformers may not have come to.
        scores = result.log_probs[: len(forced)]
        differences = [abs(ours - theirs) for ours, theirs in zip(scores, reference.log_probs, strict=True)]
        _check_deviation(differences, _WORST_TEXT * limit, f"on {reference.request.text!r}")
        difference += sum(differences)
        count += len(differences)
    _check_deviation([difference / count], limit, f"on {len(references)} texts")
    return difference / count


def _check_deviation(differences: Sequence[float], limit: float, where: str) -> None:
    deviation = sum(differences) / len(differences)
    if not deviation <= limit:  # not a number is not within the limit
        message = (
            f"the converted model's log-probabilities differ from transformers' by {deviation:.4f} in the mean "
            f"{where}; the limit is {limit:.3g}: see --max-deviation"
        )
        raise VerificationError(message)


def _check_greedy(
    reference: Reference, answer: Translation, expected: Sequence[str], decode: Decode, limit: float
) -> None:
    """Refuse a served answer that leaves transformers' where that was sure of its next token, its end included."""
    [choice] = answer.choices
    if _is(choice, expected, decode):
        return
    same = 0
    while same < len(expected) and choice.text.startswith(decode(expected[: same + 1])):
        same += 1
    # What a token adds to a text may depend on its neighbours: the least sure of them counts.
    start = reference.prefix + same
    margin = min(reference.margins[max(reference.prefix, start - 1) : start + 2], default=0.0)
    if margin > limit:
        message = (
            f"the server answers {reference.request.text!r} with {choice.text!r}, and transformers with "
            f"{decode(expected)!r}, of which it is sure"
        )
        raise VerificationError(message)


def _count_equal(
    answers: _Answers, expected: Mapping[tuple[int, int], Sequence[str]], decode: Decode
) -> dict[int, int]:
    equal = dict.fromkeys(BEAM_SIZES, 0)
    for (beam_size, number), answer in answers.items():
        [choice] = answer.choices
        equal[beam_size] += _is(choice, expected[beam_size, number], decode)
    return equal


def _is(choice: Choice, expected: Sequence[str], decode: Decode) -> bool:
    return choice.text == decode(expected) and choice.completion_tokens == len(expected)


def _check_beam(equal: dict[int, int], texts: int) -> None:
    for beam_size, count in equal.items():
        if count < SMALLEST_SHARE * texts:
            message = (
                f"{count} of {texts} answers with beam_size {beam_size} equal those of transformers; without "
                f"quantisation {SMALLEST_SHARE:.0%} have to"
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
