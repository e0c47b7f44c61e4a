"""Fetching a file by many reads at once."""

import os
import threading
import time
from pathlib import Path

import pytest

from handler.read_ahead import read_ahead


def _wait() -> None:
    deadline = time.monotonic() + 10
    while any(thread.name.startswith("read-ahead") for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("size", [16 * 524_288, 16 * 524_288 + 1, 40 * 524_288 - 1], ids=["exact", "one more", "less"])
def test_every_block_is_read_once(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the file is closed afterwards."""
    path = tmp_path / "model.bin"
    path.write_bytes(bytes(size))
    offsets: list[int] = []
    real = os.preadv

    def preadv(file: int, buffers: list[bytearray], offset: int, *flags: int) -> int:
        if flags:
            raise BlockingIOError
        offsets.append(offset)
        return real(file, buffers, offset)

    monkeypatch.setattr(os, "preadv", preadv)
    before = _open_files()

    assert read_ahead(str(path))
    _wait()

    assert sorted(offsets) == list(range(0, size, 524_288))
    assert _open_files() == before


def test_what_is_in_memory_is_not_read_again(tmp_path: Path) -> None:
    """A file that was just written is."""
    path = tmp_path / "model.bin"
    path.write_bytes(bytes(32 * 524_288))
    before = _open_files()

    assert not read_ahead(str(path))
    assert _open_files() == before


def test_a_small_file_is_left_to_its_reader(tmp_path: Path) -> None:
    """Threads cost more than they bring."""
    path = tmp_path / "model.bin"
    path.write_bytes(bytes(16 * 524_288 - 1))

    assert not read_ahead(str(path))


def test_a_file_that_is_not_there_is_left_to_its_reader(tmp_path: Path) -> None:
    """Whose message says so."""
    assert not read_ahead(str(tmp_path / "none"))


def test_a_read_that_fails_ends_the_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is raised, nothing is left open."""
    path = tmp_path / "model.bin"
    path.write_bytes(bytes(32 * 524_288))

    def preadv(*_: object) -> int:
        raise OSError

    monkeypatch.setattr(os, "preadv", preadv)
    before = _open_files()

    assert read_ahead(str(path))
    _wait()

    assert _open_files() == before
