"""CTranslate2's ``model.bin``: the weights of a converted model, by name.

Little-endian, as ``ModelSpec._serialize`` in ctranslate2/specs/model_spec.py writes it: version, specification and its
revision, then each variable (name, shape, type, bytes), then names that share the bytes of another. Strings are counted
and end with a zero byte.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_bake.errors import CheckpointError
from model_bake.progress import Advance

BINARY_VERSION = 6
"""``CURRENT_BINARY_VERSION`` of ctranslate2/specs/model_spec.py."""

_DTYPES = ("float32", "int8", "int16", "int32", "float16", "bfloat16")
"""In the order of the DataType enum in include/ctranslate2/types.h."""
_UNKNOWN_TO_NUMPY = {"bfloat16": "uint16"}

_BLOCK = 4 << 20


@dataclass(frozen=True, slots=True)
class Variable:
    """One array of a model, or some of its rows."""

    array: NDArray[Any]
    """A view of the file, so that nothing is read before it is used; bfloat16 as uint16."""
    dtype: str
    """CTranslate2's name of the type."""
    rows: NDArray[np.intp] | None = None
    """The rows to write, ascending; ``None`` stands for all."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape it is written with."""
        return self.array.shape if self.rows is None else (len(self.rows), *self.array.shape[1:])

    def blocks(self) -> Iterator[tuple[NDArray[Any], int]]:
        """Yield a few MB of rows at a time, and how many bytes of the array these were chosen from."""
        table = np.atleast_1d(self.array)
        step = max(1, _BLOCK // max(1, table[:1].nbytes))
        for start in range(0, len(table), step):
            block = table[start : start + step]
            if self.rows is None:
                yield block, block.nbytes
            else:
                first, last = np.searchsorted(self.rows, (start, start + step))
                yield block[self.rows[first:last] - start], block.nbytes


@dataclass(frozen=True, slots=True)
class ModelFile:
    """What stands in a ``model.bin``."""

    spec: str
    """``TransformerSpec`` for every model this project serves."""
    revision: int
    variables: dict[str, Variable]
    aliases: dict[str, str]
    """Names that stand for a variable of another name: tied weights are stored once."""


class _Reader:
    """Takes one value after another from a file in memory."""

    def __init__(self, content: NDArray[np.uint8]) -> None:
        self._content = content
        self._at = 0

    @property
    def rest(self) -> int:
        return len(self._content) - self._at

    def model(self) -> ModelFile:
        version = self.number("I")
        if version != BINARY_VERSION:
            message = f"binary version {version}, and only {BINARY_VERSION} is read"
            raise ValueError(message)
        spec, revision = self.string(), self.number("I")
        variables = {self.string(): self.variable() for _ in range(self.number("I"))}
        aliases = {self.string(): self.string() for _ in range(self.number("I"))}
        if self.rest:
            message = f"{self.rest} bytes follow its end"
            raise ValueError(message)
        return ModelFile(spec, revision, variables, aliases)

    def take(self, size: int) -> NDArray[np.uint8]:
        if size > self.rest:
            message = f"it ends {size - self.rest} bytes too early"
            raise ValueError(message)
        self._at += size
        return self._content[self._at - size : self._at]

    def numbers(self, kind: str) -> tuple[int, ...]:
        layout = struct.Struct(f"<{kind}")
        return layout.unpack(self.take(layout.size).tobytes())

    def number(self, kind: str) -> int:
        return self.numbers(kind)[0]

    def string(self) -> str:
        return self.take(self.number("H")).tobytes()[:-1].decode()

    def variable(self) -> Variable:
        shape = self.numbers(f"{self.number('B')}I")
        kind, size = self.numbers("BI")
        if kind >= len(_DTYPES):
            message = f"type {kind} is unknown"
            raise ValueError(message)
        dtype = np.dtype(_UNKNOWN_TO_NUMPY.get(_DTYPES[kind], _DTYPES[kind])).newbyteorder("<")
        if size != math.prod(shape) * dtype.itemsize:
            message = f"{size} bytes are no {_DTYPES[kind]} array of shape {shape}"
            raise ValueError(message)
        return Variable(self.take(size).view(dtype).reshape(shape), _DTYPES[kind])


def read_model(path: Path) -> ModelFile:
    """Return what is in ``path``; the weights stay on disk until they are used.

    Raises:
        CheckpointError: It cannot be read, is damaged, or of another version than CTranslate2 4 writes.
    """
    try:
        return _Reader(np.memmap(path, np.uint8, "r")).model()
    except (OSError, ValueError) as error:  # a name that is not UTF-8 is a ValueError too
        message = f"{path}: not a model.bin of CTranslate2: {getattr(error, 'strerror', None) or error}"
        raise CheckpointError(message) from None


def write_model(model: ModelFile, path: Path, advance: Advance = lambda _: None) -> None:
    """Write ``model``.

    Args:
        model: What to write.
        path: Where to.
        advance: Is told the bytes that are done; of the rows that are left out too, so that they add up to the size of
            the file ``model`` was read from.

    Raises:
        OSError: The file cannot be written.
    """
    with path.open("wb") as file:
        version, counts = struct.pack("<I", BINARY_VERSION), struct.pack("<II", model.revision, len(model.variables))
        advance(file.write(version + _string(model.spec) + counts))
        for name, variable in model.variables.items():
            advance(file.write(_string(name) + _head(variable)))
            for block, done in variable.blocks():
                file.write(block.tobytes())
                advance(done)
        aliases = (name for pair in model.aliases.items() for name in pair)
        advance(file.write(struct.pack("<I", len(model.aliases)) + b"".join(map(_string, aliases))))


def _head(variable: Variable) -> bytes:
    shape, size = variable.shape, math.prod(variable.shape) * variable.array.itemsize
    dimensions = struct.pack(f"<B{len(shape)}I", len(shape), *shape)
    return dimensions + struct.pack("<BI", _DTYPES.index(variable.dtype), size)


def _string(text: str) -> bytes:
    return struct.pack("<H", len(text.encode()) + 1) + text.encode() + b"\0"
