"""A model folder in object storage, as it was when the server started, and its copy in a cache folder.

.. code-block:: text

    CACHE/models/<hash of the URL>.lock                              held by whoever downloads, so that one does
    CACHE/models/<hash of the URL>/<hash of the files' ETags>        complete and checked, never changed
    CACHE/models/<hash of the URL>/<hash of the files' ETags>.part   on its way, resumed by whoever comes next

Whoever has loaded a copy holds a shared lock on it; without one, a copy goes when another version of it arrives.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from time import monotonic

from handler.errors import DownloadError, SettingsError
from handler.manifest import MANIFEST_NAME, Manifest, check_sizes, parse_manifest
from handler.model_folder import CONFIG_FILE, MODEL_FILE, TOKENIZER_NAMES, VOCABULARY_FILE, ModelFolder
from handler.partial_file import alone, writing
from handler.remote_object import RemoteFile
from handler.s3 import Listing, S3Folder
from handler.settings import KeyPath, Verify
from handler.sizes import format_size
from handler.telemetry import logger

_WITHOUT_MANIFEST = {
    MODEL_FILE,
    CONFIG_FILE,
    VOCABULARY_FILE,
    *(name for names in TOKENIZER_NAMES.values() for name in names),
}
"""What a server may need of a folder that says nothing of its files: a checkpoint may lie beside them."""
_BLOCK_BYTES = 512
"""The unit of ``st_blocks``, whatever the file system's own is (stat(2))."""


class RemoteFolder:
    """A folder in object storage. It is looked at once: what is replaced later is found by the next start."""

    remote = True

    def __init__(self, url: str, cache: Path, *, key: KeyPath, verify: Verify) -> None:
        """Name the folder; nobody is asked yet.

        Args:
            url: ``s3://bucket/prefix``.
            cache: Where copies stay.
            key: The setting that names it, for messages.
            verify: What is compared with the manifest of a copy that is there already; one that is fetched is always
                held to the hashes.

        Raises:
            SettingsError: The URL is of another form, or this is a Lambda function.
        """
        self._url = url.rstrip("/")
        self._cache = cache
        self._key = key
        self._verify = verify
        self._claimed: int | None = None
        if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
            message = f"{url}: a Lambda function downloads no models; bake them into its image (MODEL_SOURCE)"
            raise SettingsError(message, key=key)
        with self._refusals():
            self._remote = S3Folder(url)

    def __str__(self) -> str:
        return self._url

    def holds(self, name: str) -> bool:
        """Tell whether there is a file of this name."""
        return name in self._listing.files

    def read(self, name: str) -> bytes:
        """Return a small file."""
        with self._refusals():
            return self._remote.read(name)

    def manifest(self) -> Manifest | None:
        """Return what the bake wrote, or nothing for a folder that was not baked."""
        return self._manifest

    def folders(self) -> Sequence[ModelFolder]:
        """Return the folders in it, by name; they may hold anything."""
        if not self._listing.files and not self._listing.folders:
            message = f"{self}: nothing stands below this prefix; check its name, or upload the model"
            raise SettingsError(message, key=self._key)
        return [
            RemoteFolder(f"{self}/{name}", self._cache, key=self._key, verify=self._verify)
            for name in self._listing.folders
        ]

    def check(self, manifest: Manifest) -> None:
        """Compare the sizes with the manifest; hashes are compared once the bytes are here."""
        sizes = {name: file.size for name, file in self._files.items()}
        check_sizes(manifest, sizes.get, where=str(self))
        self._remote.expect({name: entry.sha256 for name, entry in manifest.files.items()})

    def modified_s(self) -> float:
        """Return when the model file was put there, in Unix seconds."""
        return self._remote.modified_s(MODEL_FILE)

    def revision(self) -> str:
        """Return a hash of the model file's ETag."""
        return self._remote.version([MODEL_FILE])[:12]

    @cached_property
    def path(self) -> Path:
        """Where the copy is once it is complete."""
        of_url = hashlib.sha256(str(self).encode()).hexdigest()[:16]
        with self._refusals():
            return self._cache / "models" / of_url / self._remote.version(self._wanted)[:16]

    def fetch(self) -> None:
        """Bring the files to ``path``, if they are not there.

        Raises:
            DownloadError: They cannot be had, are not what was published, or cannot be kept.
        """
        if self._claim():
            return
        start = monotonic()
        with self._advice(), alone(self.path.parent.with_suffix(".lock")):
            if self._claim():
                logger.info("model was downloaded by another process", extra={"url": str(self), "path": str(self.path)})
                return
            fetched = self._download()
            self._claim()
        details = {"url": str(self), "path": str(self.path), "bytes": fetched, "took_s": round(monotonic() - start, 1)}
        logger.info("model downloaded", extra=details)

    def _download(self) -> int:
        """Fetch what is missing and give the folder its name; return how many bytes came."""
        unfinished = self.path.with_name(f"{self.path.name}.part")
        if self.path.exists():
            # Somebody changed it. Who serves it has it in memory.
            logger.warning("a damaged copy of a model is fetched anew", extra={"path": str(self.path)})
            with writing(self.path):
                shutil.rmtree(self.path)
        size = sum(self._files[name].size for name in self._wanted)
        self._check_room(size, unfinished)
        logger.info("model is being downloaded", extra={"url": str(self), "path": str(self.path), "bytes": size})
        fetched = self._remote.download(sorted(self._wanted), unfinished, lambda _: None)
        with writing(self.path):
            unfinished.rename(self.path)
        self._remove_others()
        return fetched

    def _check_room(self, size: int, unfinished: Path) -> None:
        """Refuse what the disk has no room for, before it is full and others have none."""
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            there = sum(path.stat().st_blocks * _BLOCK_BYTES for path in unfinished.glob("*"))
            free = shutil.disk_usage(self.path.parent).free
        if size - there > free:
            needed = format_size(size - there)
            message = f"{self.path.parent}: {needed} are to be written and {format_size(free)} are free; make room"
            raise DownloadError(message)

    def _claim(self) -> bool:
        """Tell whether the copy is complete, and keep it for as long as this process lives."""
        if self._claimed is not None:
            os.close(self._claimed)
            self._claimed = None
        try:
            handle = os.open(self.path, os.O_RDONLY)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:  # it is being removed
            os.close(handle)
            return False
        except OSError:
            pass  # a file system without locks, where nothing is removed
        contents = self._verify == "sha256"
        if not all(self._remote.matches(name, self.path / name, contents=contents) for name in self._wanted):
            os.close(handle)
            return False
        self._claimed = handle
        return True

    def _remove_others(self) -> None:
        """Remove what there is of other versions, unless a process of this machine may load it again."""
        for other in self.path.parent.iterdir():
            if other != self.path:
                with suppress(OSError):
                    handle = os.open(other, os.O_RDONLY)
                    try:
                        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        shutil.rmtree(other)
                    finally:
                        os.close(handle)

    @cached_property
    def _listing(self) -> Listing:
        with self._refusals():
            return self._remote.look()

    @cached_property
    def _files(self) -> dict[str, RemoteFile]:
        with self._refusals():
            return {file.name: file for file in self._remote.list()}

    @cached_property
    def _manifest(self) -> Manifest | None:
        if MANIFEST_NAME not in self._files:
            return None
        return parse_manifest(self.read(MANIFEST_NAME), where=f"{self}/{MANIFEST_NAME}")

    @cached_property
    def _wanted(self) -> set[str]:
        if self._manifest is not None:
            return {MANIFEST_NAME, *self._manifest.files}
        return _WITHOUT_MANIFEST & self._files.keys()

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """Name the setting in what ends the start."""
        try:
            yield
        except DownloadError as error:
            raise SettingsError(str(error), key=self._key) from None

    @contextmanager
    def _advice(self) -> Iterator[None]:
        """Name the URL in what is wrong with the cache, of which the error knows the file alone."""
        try:
            yield
        except DownloadError as error:
            if str(error).startswith("s3:"):
                raise
            message = f"{self}: {error} (model_cache = {self._cache})"
            raise DownloadError(message) from None
