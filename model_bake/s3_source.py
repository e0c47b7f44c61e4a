"""A model in object storage, downloaded to a folder of the cache that a later run resumes."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from handler.s3 import S3Folder
from model_bake.checksums import check_folder
from model_bake.progress import Progress
from model_bake.source import Fetched


class S3Source:
    """The files directly below one prefix."""

    def __init__(self, url: str, cache: Path) -> None:
        """List what stands below ``url``.

        Raises:
            DownloadError: The URL is malformed, or the bucket cannot be read.
        """
        self.id = url.rstrip("/")
        self._remote = S3Folder(url)
        self._files = {file.name: file for file in self._remote.list()}
        # One folder for each URL: names of buckets and prefixes are no safe names of folders.
        self.store = cache / "s3" / hashlib.sha256(self.id.encode()).hexdigest()[:16]

    def list(self) -> Mapping[str, int]:
        """Return the names of the files and their sizes in bytes."""
        return {name: file.size for name, file in self._files.items()}

    def read(self, name: str) -> bytes:
        """Return a small file.

        Raises:
            DownloadError: It cannot be had.
        """
        return self._remote.read(name)

    def missing(self, names: Sequence[str]) -> int:
        """Return how many bytes of the files are not in the cache yet."""
        return sum(self._files[name].size for name in names if not (self.store / name).is_file())

    def fetch(self, names: Sequence[str], progress: Progress) -> Fetched:
        """Download what the cache lacks; what it holds is checked again.

        Raises:
            DownloadError: A file cannot be had, its bytes are not those that were stored, or the cache's disk is full.
            SourceError: A file is not the one that ``SHA256SUMS`` lists.
        """
        unchecked = [name for name in names if not self._files[name].check]
        with progress.step("download", sum(self._files[name].size for name in names)) as advance:
            self._remote.download(names, self.store, advance)
        if unchecked:
            progress.warn(f"{self.id} has no hash of {', '.join(unchecked)}; their sizes alone were checked")
        return Fetched(self.store, check_folder(self.store, names, progress))
