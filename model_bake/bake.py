"""The steps of a bake, in order: inspect, fetch, convert, prune, describe, verify, publish."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handler.errors import ManifestError
from handler.manifest import check_files
from handler.model_folder import MODEL_FILE, VOCABULARY_FILE, language_codes
from model_bake.checkpoint import CONFIG_FILE
from model_bake.converted import describe
from model_bake.errors import CheckpointError, SourceError
from model_bake.golden import GoldenRequest
from model_bake.m2m100 import flores_code, rename_languages
from model_bake.manifest import write_manifest
from model_bake.output import check_space, publish, workspace
from model_bake.plan import MARGIN, Plan, Recipe, parse_code
from model_bake.progress import Progress
from model_bake.pruning import prune
from model_bake.quantization import DEFAULT, Quantization
from model_bake.reference import Reference, generate, known_languages
from model_bake.samples import verification_requests
from model_bake.source import Fetched
from model_bake.transformers_model import load_checkpoint
from model_bake.verify import Verification, verify
from model_bake.vocabulary import Selection, read_tokens, select


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a bake made."""

    plan: Plan
    fetched: Fetched
    quantization: Quantization
    languages: tuple[str, ...]
    rows: int
    """Of the vocabulary as converted."""
    selection: Selection | None
    corpus: bool
    """Whether pieces were chosen by the operator's text."""
    verification: Verification
    size: int
    """Bytes of the folder."""


def bake(recipe: Recipe, plan: Plan, progress: Progress) -> Result:
    """Carry out ``plan``: the output folder appears whole, by one rename, or not at all.

    Raises:
        BakeError: It could not be done; nothing is left of it but a download that can be resumed.
    """
    needs = {recipe.output: plan.room}
    if plan.download:
        needs[plan.source.store] = plan.download + MARGIN
    check_space(needs, purpose="the bake")
    with workspace(recipe.output, force=recipe.force) as folder:
        fetched = plan.source.fetch(plan.checkpoint.files, progress)
        result, model = _bake_in(folder, recipe, plan, fetched, progress)
        publish(model, recipe.output, force=recipe.force)
    return result


def _bake_in(folder: Path, recipe: Recipe, plan: Plan, fetched: Fetched, progress: Progress) -> tuple[Result, Path]:
    """Make the model in ``folder``; return the result and the folder inside that is to become the output."""
    checkpoint = plan.checkpoint
    converted, model = folder / "converted", folder / "model"
    if checkpoint.form == "transformers":
        made = _convert(converted, recipe, plan, _only(folder / "source", fetched.folder, checkpoint.files), progress)
    else:
        made = _adopt(converted, recipe, plan, fetched.folder, progress)
    rows = len(read_tokens(converted))
    selection = None
    if recipe.prunes:
        selection = select(
            converted,
            tokenizer=converted / checkpoint.tokenizer,
            family=checkpoint.family,
            languages=_spoken(plan, made.languages),
            method=recipe.method,
            corpus=recipe.vocabulary_corpus,
            size=recipe.vocabulary_size,
        )
        with progress.step("prune", (converted / MODEL_FILE).stat().st_size) as advance:
            prune(converted, model, tokenizer_name=checkpoint.tokenizer, selection=selection, advance=advance)
    else:
        model = converted
    vocabulary: dict[str, Any] = {"rows": rows}
    if selection is not None:
        vocabulary = {"rows": len(selection.rows), "of": rows, "method": recipe.method}
    write_manifest(
        model,
        name=plan.name,
        checkpoint=checkpoint,
        source={"id": plan.source.id, "revision": fetched.revision},
        languages=made.languages,
        quantization=made.quantization,
        positions=made.positions,
        vocabulary=vocabulary,
    )
    verification = verify(
        converted,
        model if selection else None,
        family=checkpoint.family,
        tokenizer=checkpoint.tokenizer,
        quantization=made.quantization,
        max_deviation=recipe.max_deviation,
        positions=made.positions,
        requests=made.requests,
        references=made.references,
        progress=progress,
    )
    size = sum(path.stat().st_size for path in model.iterdir())
    result = Result(
        plan=plan,
        fetched=fetched,
        quantization=made.quantization,
        languages=made.languages,
        rows=rows,
        selection=selection,
        corpus=bool(recipe.vocabulary_corpus),
        verification=verification,
        size=size,
    )
    return result, model


def _only(folder: Path, source: Path, names: Sequence[str]) -> Path:
    """Make ``folder`` of links to the files that were checked: transformers reads whatever else lies beside them."""
    folder.mkdir()
    for name in names:
        (folder / name).symlink_to((source / name).absolute())
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """A converted folder, and what it is to be verified with."""

    quantization: Quantization
    languages: tuple[str, ...]
    positions: int
    requests: list[GoldenRequest]
    references: list[Reference] | None


def _convert(converted: Path, recipe: Recipe, plan: Plan, source: Path, progress: Progress) -> _Made:
    """Make ``converted`` of a checkpoint, and ask transformers for the answers it will be held to."""
    checkpoint = plan.checkpoint
    quantization = plan.quantization or DEFAULT
    loaded = load_checkpoint(source, checkpoint, progress)
    languages = _languages(plan, known_languages(loaded))
    requests = verification_requests(
        checkpoint.family,
        _spoken(plan, languages),
        tokens=loaded.tokenizer.get_vocab(),
        corpus=recipe.vocabulary_corpus,
    )
    # Before the conversion, which spends the loaded model.
    references = generate(loaded, checkpoint.family, requests, progress)
    from model_bake.convert import convert  # noqa: PLC0415 - imports transformers, which load_checkpoint prepares

    convert(loaded, source, checkpoint, converted, quantization=quantization, progress=progress)
    return _Made(
        quantization=quantization,
        languages=languages,
        positions=checkpoint.positions,
        requests=requests,
        references=references,
    )


def _adopt(converted: Path, recipe: Recipe, plan: Plan, source: Path, progress: Progress) -> _Made:
    """Make ``converted`` of a folder that is converted already."""
    checkpoint = plan.checkpoint
    if checkpoint.manifest is not None:
        try:
            check_files(source, checkpoint.manifest, verify="sha256")
        except ManifestError as error:
            raise SourceError(str(error)) from None
    description = describe(source / MODEL_FILE)
    if plan.quantization not in {None, description.quantization}:
        message = (
            f"--quantization {plan.quantization}: the source is converted already, as {description.quantization}; "
            "leave it out, or bake the checkpoint it was made of"
        )
        raise CheckpointError(message)
    if (description.positions is None) != (checkpoint.family == "t5"):
        message = (
            f"{plan.source.id}: the vocabulary is that of {checkpoint.family}, and the weights are of another family"
        )
        raise CheckpointError(message)
    vocabulary = [flores_code(token) or token for token in read_tokens(source)]
    if description.rows != (len(vocabulary),):
        message = (
            f"{plan.source.id}: {len(vocabulary)} tokens in {VOCABULARY_FILE}, and {description.rows} rows in the model"
        )
        raise CheckpointError(message)
    languages = _languages(plan, language_codes(vocabulary))
    converted.mkdir()
    with progress.step("copy", checkpoint.size) as advance:
        for name in (CONFIG_FILE, MODEL_FILE, VOCABULARY_FILE, checkpoint.tokenizer):
            shutil.copyfile(source / name, converted / name)
            advance((converted / name).stat().st_size)
    rename_languages(converted / VOCABULARY_FILE)
    return _Made(
        quantization=description.quantization,
        languages=languages,
        positions=description.positions or checkpoint.positions,
        requests=verification_requests(
            checkpoint.family, _spoken(plan, languages), tokens=vocabulary, corpus=recipe.vocabulary_corpus
        ),
        references=None,
    )


def _spoken(plan: Plan, deployed: tuple[str, ...]) -> tuple[str, ...]:
    """Return the languages to prune to and to verify with: T5's card may name hundreds, which asks for neither."""
    return deployed if plan.checkpoint.family == "nllb" else plan.languages


def _languages(plan: Plan, known: Sequence[str]) -> tuple[str, ...]:
    """Return the codes to deploy: those asked for, which NLLB has to know, else all it knows or T5's card names."""
    if plan.checkpoint.family == "t5":
        return plan.languages or plan.checkpoint.card.languages
    if not known:
        message = f"{plan.source.id}: the vocabulary has no language code, so this is no NLLB model"
        raise CheckpointError(message)
    for language in plan.languages:
        parse_code(language, known)
    return plan.languages or tuple(known)
