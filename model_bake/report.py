"""What a bake says when it is done: a table for people, an object for programs."""

from typing import Any

from handler.sizes import format_size
from model_bake.bake import Result
from model_bake.frequencies import WORD_LISTS
from model_bake.plan import Plan
from model_bake.verify import ModelFigures


def plan_as_json(plan: Plan) -> dict[str, Any]:
    """Return what a dry run found out."""
    return {
        "id": plan.name,
        "source": plan.source.id,
        "form": plan.checkpoint.form,
        "architecture": plan.checkpoint.architecture,
        "family": plan.checkpoint.family,
        "license": plan.checkpoint.card.license,
        "quantization": plan.quantization,
        "languages": list(plan.languages),
        "files": list(plan.checkpoint.files),
        "bytes": plan.checkpoint.size,
        "download_bytes": plan.download,
        "disk_bytes": plan.room,
    }


def plan_as_table(plan: Plan) -> str:
    """Return what a dry run found out, for people."""
    checkpoint = plan.checkpoint
    rows = [
        ("model", plan.name),
        ("source", plan.source.id),
        ("holds", f"{checkpoint.architecture} ({checkpoint.family}), {format_size(checkpoint.size)}"),
        ("licence", checkpoint.card.license),
        ("quantization", plan.quantization or "as it is"),
        ("languages", ", ".join(plan.languages) or "all it has"),
        ("to download", format_size(plan.download)),
        ("disk needed", format_size(plan.room)),
        ("files", ", ".join(checkpoint.files)),
    ]
    return _table(rows)


def result_as_json(result: Result) -> dict[str, Any]:
    """Return everything a bake found out and measured."""
    verification, selection = result.verification, result.selection
    return {
        "id": result.plan.name,
        "source": {"id": result.plan.source.id, "revision": result.fetched.revision},
        "family": result.plan.checkpoint.family,
        "license": result.plan.checkpoint.card.license,
        "quantization": result.quantization,
        "languages": list(result.languages),
        "bytes": result.size,
        "vocabulary": {
            "rows": len(selection.rows) if selection else result.rows,
            "of": result.rows,
            "kept": dict(selection.reasons) if selection else {},
            "methods": dict(selection.methods) if selection else {},
            "coverage": selection.coverage if selection else None,
        },
        "verification": {
            "texts": verification.texts,
            "equal_to_transformers": (
                {str(beam): count for beam, count in verification.equal.items()} if verification.equal else None
            ),
            "mean_log_prob_deviation": verification.deviation,
            "ended": verification.ended,
        },
        "before": _figures(verification.full),
        "after": _figures(verification.pruned) if verification.pruned else None,
    }


def _figures(figures: ModelFigures) -> dict[str, float]:
    return {
        "model_bytes": figures.size,
        "load_s": round(figures.load_s, 3),
        "decode_cpu_s": round(figures.cpu_s, 3),
    }


def result_as_table(result: Result, output: str) -> str:
    """Return the summary for people."""
    verification, selection = result.verification, result.selection
    full, pruned = verification.full, verification.pruned
    rows = [
        ("model", result.plan.name),
        ("source", f"{result.plan.source.id} at {result.fetched.revision}"),
        ("licence", result.plan.checkpoint.card.license),
        ("languages", _languages(result.languages)),
        ("quantization", result.quantization),
        ("folder", f"{output}, {format_size(result.size)}"),
    ]
    if selection:
        kept = ", ".join(f"{reason} {count:,}" for reason, count in selection.reasons.items())
        rows.append(("vocabulary", f"{len(selection.rows):,} of {result.rows:,} rows: {kept}"))
        methods = sorted(set(selection.methods.values()))
        rows += [
            (f"by {method}", _languages([code for code, by in selection.methods.items() if by == method]))
            for method in (methods if len(methods) > 1 else ())
        ]
        if selection.coverage is not None:
            counted = [code for code in selection.methods if code in WORD_LISTS]
            of = "held-out lines" if result.corpus else f"the word lists of {_languages(counted)}"
            rows.append(("coverage", f"{selection.coverage:.2%} of the pieces in {of} stay"))
    if pruned:
        rows += [
            ("model.bin", f"{format_size(full.size)} -> {format_size(pruned.size)}"),
            ("load", f"{full.load_s:.2f} s -> {pruned.load_s:.2f} s"),
            ("decode CPU", f"{full.cpu_s:.2f} s -> {pruned.cpu_s:.2f} s for {2 * verification.texts} answers"),
            ("pruned", f"{2 * verification.texts} of {2 * verification.texts} answers equal the unpruned model's"),
        ]
    else:
        rows += [
            ("load", f"{full.load_s:.2f} s"),
            ("decode CPU", f"{full.cpu_s:.2f} s for {2 * verification.texts} answers"),
        ]
    if verification.equal:
        equal = ", ".join(f"beam {beam} {count}/{verification.texts}" for beam, count in verification.equal.items())
        rows.append(("transformers", f"{equal} answers equal; log-probabilities off by {verification.deviation:.4f}"))
    else:
        rows.append(("transformers", "not compared: the source was converted already"))
    return _table(rows)


def _languages(codes: tuple[str, ...] | list[str]) -> str:
    shown = ", ".join(codes[:8])
    return f"{shown} and {len(codes) - 8} more" if len(codes) > 8 else shown or "none of its own"  # noqa: PLR2004


def _table(rows: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
