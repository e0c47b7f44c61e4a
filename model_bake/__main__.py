"""Turn a checkpoint into the folder the server loads: ``python -m model_bake SOURCE --output DIR``."""

import handler.openmp  # noqa: F401 - before ctranslate2

# isort: split
import argparse
import io
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn, get_args

from handler.errors import HandlerError
from handler.settings import default_cache
from model_bake.bake import bake
from model_bake.errors import BakeError, VocabularyError
from model_bake.plan import Recipe, make_plan
from model_bake.progress import Progress
from model_bake.quantization import DEFAULT, QUANTIZATIONS
from model_bake.report import plan_as_json, plan_as_table, result_as_json, result_as_table
from model_bake.vocabulary import Method

FAILED, INTERRUPTED = 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code: 0, 1 with one line on standard error, or 130 when interrupted."""
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, _interrupt)
    progress = Progress(quiet=options.quiet or options.json)
    try:
        _run(options, progress)
    except (BakeError, HandlerError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


def _run(options: argparse.Namespace, progress: Progress) -> None:
    recipe = Recipe(
        source=options.source,
        output=options.output,
        name=options.name,
        revision=options.revision,
        quantization=options.quantization,
        languages=_languages(options.languages),
        vocabulary=options.vocabulary,
        vocabulary_corpus=tuple(options.vocabulary_corpus),
        vocabulary_size=options.vocabulary_size,
        max_deviation=options.max_deviation,
        cache=options.cache,
        force=options.force,
    )
    plan = make_plan(recipe)
    if options.dry_run:
        _show(json.dumps(plan_as_json(plan), indent=2) if options.json else plan_as_table(plan))
        return
    result = bake(recipe, plan, progress)
    if options.json:
        _show(json.dumps(result_as_json(result), ensure_ascii=False, indent=2))
    elif not options.quiet:
        _show(result_as_table(result, str(recipe.output)))


def _languages(given: str | None) -> tuple[str, ...]:
    languages = tuple(filter(None, (code.strip() for code in (given or "").split(","))))
    if given is not None and not languages:
        message = f"--languages {given!r}: names none; leave it out to keep all"
        raise VocabularyError(message)
    return languages


def _show(text: str) -> None:
    """Print the summary; a reader who has gone away does not undo a bake."""
    try:
        print(text, flush=True)
    except OSError as error:
        sys.stdout = None  # or the interpreter would try again at its end
        print(f"warning: the summary cannot be printed: {error.strerror}", file=sys.stderr)


def _path(text: str) -> Path:
    return Path(os.path.expanduser(text))  # noqa: PTH111 - which raises for a user that is not there


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model_bake",
        description="Turn an NLLB or T5 checkpoint into the folder the server loads.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("source", metavar="SOURCE", help="a model id of the Hub, a folder, or s3://bucket/prefix")
    add("--output", metavar="DIR", type=_path, required=True, help="the folder to write; must not be there yet")
    add("--name", metavar="NAME", help="the id the model is served under; default: the source's last part")
    add("--revision", metavar="SHA", help="commit on the Hub; a branch or tag is resolved once and the commit noted")
    add("--quantization", choices=QUANTIZATIONS, help=f"of the weights on disk; default: {DEFAULT}")
    add("--languages", metavar="CODES", help="with commas between; drops what no other language needs")
    add("--vocabulary", choices=get_args(Method), help="how the pieces that stay are chosen; default: scripts")
    add(
        "--vocabulary-corpus",
        metavar="FILE",
        type=_path,
        action="append",
        default=[],
        help="keep the pieces this text uses, a sentence a line; may be given again",
    )
    add("--vocabulary-size", metavar="ROWS", type=_positive, help="keep the most frequent pieces only")
    add(
        "--max-deviation",
        metavar="X",
        type=_deviation,
        help="accept a model so far from transformers' log-probabilities",
    )
    add("--cache", metavar="DIR", type=_path, default=default_cache(), help="where downloads from S3 stay")
    add("--force", action="store_true", help="replace a model that is there already")
    add("--dry-run", action="store_true", help="tell what would be done, and do nothing")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--quiet", action="store_true", help="print errors alone")
    shown.add_argument("--json", action="store_true", help="print the summary as one JSON object, and no progress")
    return parser


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):  # noqa: PLR2004 - rows enough
        message = f"{text[:40]!r} is not a positive number of rows"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _deviation(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 10:  # noqa: PLR2004 - e to the tenth is no model any more
        message = f"{text[:40]!r} is not a number between 0 and 10"
        raise argparse.ArgumentTypeError(message)
    return value


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """Turn SIGTERM into what Ctrl-C does, so that everything is tidied up."""
    del number, frame
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
