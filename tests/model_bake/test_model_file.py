"""CTranslate2's model.bin: what is read is what is written, and nothing else is read."""

import struct
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from handler.settings import DEMO_MODELS
from model_bake.errors import CheckpointError
from model_bake.model_file import ModelFile, Variable, read_model, write_model

NLLB = DEMO_MODELS / "nllb-demo" / "model.bin"
T5 = DEMO_MODELS / "t5-demo" / "model.bin"
EMBEDDINGS = "decoder/embeddings/weight"


@pytest.mark.parametrize("path", [NLLB, T5], ids=lambda path: path.parent.name)
def test_a_model_is_written_as_it_was_read(tmp_path: Path, path: Path) -> None:
    """Byte for byte, and every byte is reported once."""
    done: list[int] = []

    write_model(read_model(path), tmp_path / "model.bin", done.append)

    assert (tmp_path / "model.bin").read_bytes() == path.read_bytes()
    assert sum(done) == path.stat().st_size


def test_variables_have_their_names_types_and_shapes() -> None:
    """Tied weights are stored once, the others under names of their own."""
    model = read_model(NLLB)

    weight = model.variables[EMBEDDINGS]
    assert (model.spec, weight.dtype, weight.shape) == ("TransformerSpec", "int8", (2006, 128))
    assert model.variables[f"{EMBEDDINGS}_scale"].array.dtype == np.float32
    assert model.aliases["decoder/projection/weight"] == EMBEDDINGS
    assert model.variables["decoder/num_heads"].array == 4


@pytest.mark.parametrize("rows", [[0, 1, 7, 2005], [2005], []], ids=["some", "one", "none"])
def test_only_the_chosen_rows_are_written(tmp_path: Path, rows: list[int]) -> None:
    """The bytes of those left out are reported as done too."""
    model = read_model(NLLB)
    chosen = replace(model.variables[EMBEDDINGS], rows=np.array(rows, np.intp))
    done: list[int] = []

    write_model(replace(model, variables={**model.variables, EMBEDDINGS: chosen}), tmp_path / "model.bin", done.append)

    written = read_model(tmp_path / "model.bin")
    assert np.array_equal(written.variables[EMBEDDINGS].array, model.variables[EMBEDDINGS].array[rows])
    assert written.variables.keys() == model.variables.keys()
    assert sum(done) == NLLB.stat().st_size


def test_rows_are_copied_a_few_at_a_time(tmp_path: Path) -> None:
    """A model of 622 MB must not need as much memory again."""
    matrix = np.zeros((1 << 16, 512), np.int8)
    model = ModelFile("TransformerSpec", 7, {"w": Variable(matrix, "int8", rows=np.arange(0, 1 << 16, 2))}, {})

    tracemalloc.start()
    write_model(model, tmp_path / "model.bin")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert read_model(tmp_path / "model.bin").variables["w"].shape == (1 << 15, 512)
    assert peak < matrix.nbytes / 2


@pytest.mark.parametrize("size", [0, 3, 10, 30, 70, 1000, 100_000, NLLB.stat().st_size - 1])
def test_a_truncated_file_is_refused(tmp_path: Path, size: int) -> None:
    """Wherever it ends: in a number, a name, a shape, a weight."""
    path = tmp_path / "model.bin"
    path.write_bytes(NLLB.read_bytes()[:size])

    with pytest.raises(CheckpointError, match=r"not a model\.bin of CTranslate2") as raised:
        read_model(path)

    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


CONTENT = NLLB.read_bytes()
NAME = b"decoder/embeddings/weight\0"
SHAPE = CONTENT.index(NAME) + len(NAME)
KIND = SHAPE + 1 + 2 * 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (struct.pack("<I", 5) + CONTENT[4:], "binary version 5, and only 6 is read"),
        (b"PK\3\4" + CONTENT[4:], "binary version 67324752, and only 6 is read"),
        (CONTENT + b"\0\0", "2 bytes follow its end"),
        (CONTENT[:KIND] + b"\7" + CONTENT[KIND + 1 :], "type 7 is unknown"),
        (CONTENT[: SHAPE + 1] + b"\0" + CONTENT[SHAPE + 2 :], "256768 bytes are no int8 array of shape"),
        (CONTENT[:6] + b"\xff" + CONTENT[7:], "can't decode byte 0xff"),
    ],
    ids=["other version", "another kind of file", "longer", "unknown type", "wrong shape", "name that is not UTF-8"],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """The error says what is wrong in one line."""
    path = tmp_path / "model.bin"
    path.write_bytes(content)

    with pytest.raises(CheckpointError, match=message) as raised:
        read_model(path)

    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "message"), [("nothing", "No such file"), ("", "Is a directory")], ids=["missing", "folder"]
)
def test_what_is_no_file_is_refused(tmp_path: Path, name: str, message: str) -> None:
    """With the operating system's reason."""
    with pytest.raises(CheckpointError, match=message):
        read_model(tmp_path / name)
