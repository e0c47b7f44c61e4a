"""A model in a folder of this machine."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from model_bake.checksums import check_folder
from model_bake.errors import SourceError
from model_bake.progress import Progress
from model_bake.source import Fetched


class LocalFolder:
    """A folder of this machine; used where it is."""

    def __init__(self, folder: Path) -> None:
        """Read from ``folder``.

        Raises:
            SourceError: It is not a folder that can be read.
        """
        self._folder = folder
        try:
            self._files = {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.is_file()}
        except OSError as error:
            message = f"{folder}: not a folder that can be read: {error.strerror}"
            raise SourceError(message) from None

    @property
    def id(self) -> str:
        """Return the folder's name."""
        return self._folder.resolve().name

    @property
    def store(self) -> Path:
        """Return the folder itself: nothing is downloaded."""
        return self._folder

    def list(self) -> Mapping[str, int]:
        """Return the names of the files and their sizes in bytes."""
        return self._files

    def read(self, name: str) -> bytes:
        """Return a small file.

        Raises:
            SourceError: It cannot be read.
        """
        try:
            return (self._folder / name).read_bytes()
        except OSError as error:
            message = f"{self._folder / name}: {error.strerror}"
            raise SourceError(message) from None

    def missing(self, names: Sequence[str]) -> int:
        """Return 0: the files are used where they are."""
        del names
        return 0

    def fetch(self, names: Sequence[str], progress: Progress) -> Fetched:
        """Hash the files, and compare them with ``SHA256SUMS`` where there is one.

        Raises:
            SourceError: A file cannot be read, or is not the one that ``SHA256SUMS`` lists.
        """
        return Fetched(self._folder, check_folder(self._folder, names, progress))
