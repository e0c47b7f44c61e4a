"""A model of the Hugging Face Hub: one commit of it, every file checked against the hash the Hub gives."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from model_bake.errors import OutputError, SourceError
from model_bake.progress import Advance, Progress
from model_bake.source import Fetched

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

_DEFAULT_REVISION = "main"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_WORKERS = 4
_TIMEOUT_S = 20.0
_BLOCK = 4 << 20


class HubModel:
    """The files of one commit; downloads stay in the Hub's own cache (``HF_HOME``), where they are resumed."""

    def __init__(self, model_id: str, *, revision: str | None) -> None:
        """Resolve ``revision`` to a commit, once.

        Raises:
            SourceError: There is no such model or revision, or the Hub cannot be reached.
        """
        import huggingface_hub  # noqa: PLC0415 - its client takes its time

        self._hub = huggingface_hub
        self.id = model_id
        wanted = revision or _DEFAULT_REVISION
        with self._refusals(f"revision {wanted!r}"):
            info = huggingface_hub.HfApi().model_info(
                model_id, revision=wanted, files_metadata=True, timeout=_TIMEOUT_S
            )
        self.commit = str(info.sha)
        if not _COMMIT.fullmatch(self.commit) or (_COMMIT.fullmatch(wanted) and wanted != self.commit):
            message = f"{model_id}: asked for revision {wanted!r}, the Hub answers with {self.commit!r}"
            raise SourceError(message)
        self._files = {file.rfilename: file for file in info.siblings or () if "/" not in file.rfilename}

    @property
    def store(self) -> Path:
        """Return where downloads go."""
        return Path(self._hub.constants.HF_HUB_CACHE)

    def list(self) -> Mapping[str, int]:
        """Return the names of the files and their sizes in bytes."""
        return {name: file.size or 0 for name, file in sorted(self._files.items())}

    def read(self, name: str) -> bytes:
        """Return a small file.

        Raises:
            SourceError: It cannot be had, or is not the one the Hub lists.
        """
        path = self._download(name)
        self._check(path, name, lambda _: None)
        return path.read_bytes()

    def missing(self, names: Sequence[str]) -> int:
        """Return how many bytes of the files are not in the cache."""
        return sum(
            self._files[name].size or 0
            for name in names
            if not isinstance(self._hub.try_to_load_from_cache(self.id, name, revision=self.commit), str)
        )

    def fetch(self, names: Sequence[str], progress: Progress) -> Fetched:
        """Download what the cache lacks and check the hash of every file.

        Raises:
            SourceError: A file cannot be had, or is not the one the Hub lists.
            OutputError: The cache's disk is full.
        """
        total = self.missing(names)
        if total:
            blobs = self.store / self._hub.constants.REPO_ID_SEPARATOR.join(["models", *self.id.split("/")]) / "blobs"
            before = _stored(blobs)
            with (
                progress.watch("download", total, lambda: _stored(blobs) - before),
                ThreadPoolExecutor(_WORKERS) as pool,
            ):
                list(pool.map(self._download, names))
        size = sum(self._files[name].size or 0 for name in names)
        with progress.step("check", size) as advance, ThreadPoolExecutor(_WORKERS) as pool:
            paths = [self._download(name) for name in names]
            list(pool.map(self._check, paths, names, [advance] * len(names)))
        return Fetched(paths[0].parent, self.commit)

    def _download(self, name: str) -> Path:
        with self._refusals(name):
            return Path(self._hub.hf_hub_download(self.id, name, revision=self.commit, etag_timeout=_TIMEOUT_S))

    def _check(self, path: Path, name: str, advance: Advance) -> None:
        """Compare a file with what the Hub lists: SHA-256 of large files, the hash git gives to the others."""
        file: Any = self._files[name]
        expected = file.lfs.sha256 if file.lfs else file.blob_id
        digest = hashlib.sha256() if file.lfs else hashlib.sha1(b"blob %d\0" % path.stat().st_size)  # noqa: S324 - git's
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
                advance(len(block))
        if digest.hexdigest() != expected:
            path.resolve().unlink()
            path.unlink(missing_ok=True)
            message = (
                f"{self.id}: {name} has the hash {digest.hexdigest()}, and the Hub says {expected}; the file was "
                "removed from the cache, run again"
            )
            raise SourceError(message)

    @contextmanager
    def _refusals(self, what: str) -> Iterator[None]:
        """Say in one line why the Hub gives nothing."""
        import requests  # noqa: PLC0415 - comes with the Hub's client

        try:
            yield
        except (OSError, ValueError) as error:
            reason = self._reason(error, what)
            if reason is None and isinstance(error, OSError) and not isinstance(error, requests.RequestException):
                message = f"{self.store}: {what} cannot be written: {error.strerror or error}"
                raise OutputError(message) from None
            reason = reason or f"the Hub refuses {what}: {_first_line(error)}; what was downloaded is kept"
            message = f"{self.id}: {reason}"
            raise SourceError(message) from None

    def _reason(self, error: Exception, what: str) -> str | None:
        """Return what is wrong in the project's own words, nothing for an error of another kind."""
        import requests  # noqa: PLC0415
        from huggingface_hub import errors  # noqa: PLC0415

        reasons: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
            ((errors.GatedRepoError,), "asks for its terms to be accepted; accept them on its page and set HF_TOKEN"),
            (
                (errors.RepositoryNotFoundError,),
                "there is no folder and no public model of this name; a private one needs HF_TOKEN",
            ),
            ((errors.RevisionNotFoundError,), f"has no {what}"),
            (
                (
                    errors.OfflineModeIsEnabled,
                    errors.LocalEntryNotFoundError,
                    requests.ConnectionError,
                    requests.Timeout,
                ),
                f"the Hub cannot be reached at {self._hub.constants.ENDPOINT}; what was downloaded is kept",
            ),
            ((errors.EntryNotFoundError,), f"has no file {what}"),
            ((errors.HFValidationError,), f"is no model id: {_first_line(error)}"),
        )
        return next((reason for kinds, reason in reasons if isinstance(error, kinds)), None)


def _stored(blobs: Path) -> int:
    """Return the bytes in the cache, those of unfinished files too."""
    try:
        return sum(path.stat().st_size for path in blobs.iterdir())
    except OSError:  # not there yet, or a file that has just been given its final name
        return 0


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200] or type(error).__name__
