"""What a model comes from, wherever it is: names of files, their bytes, and the folder they are fetched to."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from model_bake.progress import Progress


class Fetched(NamedTuple):
    """The files of a model on this machine, complete and checked."""

    folder: Path
    revision: str
    """The Hub's commit, else a hash of all the files."""


class Source(Protocol):
    """Files of one model, somewhere."""

    @property
    def id(self) -> str:
        """Return the name the manifest gives the source; never a path of this machine."""

    @property
    def store(self) -> Path:
        """Return the folder that downloads go to."""

    def list(self) -> Mapping[str, int]:
        """Return the names of the files and their sizes in bytes."""

    def read(self, name: str) -> bytes:
        """Return a small file."""

    def missing(self, names: Sequence[str]) -> int:
        """Return how many bytes of the files would be written to this machine's disk."""

    def fetch(self, names: Sequence[str], progress: Progress) -> Fetched:
        """Bring the files here and check their hashes."""
