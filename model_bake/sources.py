"""From what a command line names to a source: a folder, a model of the Hub, a prefix in object storage."""

import os
import re
from pathlib import Path

from handler.errors import shorten
from model_bake.errors import SourceError
from model_bake.local import LocalFolder
from model_bake.source import Source

_HUB_ID = re.compile(r"(?=.{1,96}\Z)[\w-][\w.-]*(/[\w-][\w.-]*)?", re.ASCII)
"""At most 96 characters: https://huggingface.co/docs/huggingface_hub/package_reference/utilities, validate_repo_id."""
_PATH = re.compile(r"[./~]|\w:\\")


def open_source(name: str, *, revision: str | None, cache: Path) -> Source:
    """Return the source that a command line names.

    Args:
        name: A folder, ``s3://bucket/prefix``, or a model id of the Hub; a folder of that name comes first.
        revision: Commit, tag or branch on the Hub.
        cache: Where downloads from object storage stay, so that they can be resumed.

    Raises:
        SourceError: It is none of these, or a revision is given for what has none.
        DownloadError: Object storage does not have it, or cannot be reached.
    """
    folder = Path(os.path.expanduser(name))  # noqa: PTH111 - which raises for a user that is not there
    if name and _is_folder(folder):
        _refuse_revision(name, revision, "a folder")
        return LocalFolder(folder)
    if "://" in name and not name.startswith("s3://"):
        message = f"SOURCE {shorten(_without_password(name))}: of URLs only s3://bucket/prefix is allowed"
        raise SourceError(message)
    if "://" in name:
        from model_bake.s3_source import S3Source  # noqa: PLC0415 - boto3 takes its time

        _refuse_revision(_without_password(name), revision, "object storage")
        return S3Source(name, cache)
    if _PATH.match(name) or not _HUB_ID.fullmatch(name):
        message = (
            f"SOURCE {shorten(name)}: there is no such folder, and it is neither s3://bucket/prefix nor a model id"
        )
        raise SourceError(message)
    from model_bake.hub import HubModel  # noqa: PLC0415 - neither a folder nor S3 needs it

    return HubModel(name, revision=revision)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that is too long
        return False


def _without_password(url: str) -> str:
    return re.sub(r"//.*@", "//...@", url)


def _refuse_revision(name: str, revision: str | None, kind: str) -> None:
    if revision is not None:
        message = f"--revision {revision}: {name} is {kind}, and only models of the Hub have revisions"
        raise SourceError(message)
