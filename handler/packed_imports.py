"""Imports from one file what a cold start imports from five hundred, and compiles nothing that was compiled before.

``python -m handler.packed_imports`` imports ``handler.aws_lambda`` and writes one file, by default beside this one:
the byte code of every module, and of what those modules compile while they are imported: the methods of dataclasses,
annotations that are text, regular expressions. The image build does that last, when nothing changes any more. A start
that finds the file looks up neither folders nor times of files; in an image that is loaded lazily it is one read
instead of hundreds of scattered ones. The key to whatever is looked up is its whole source text; another Python
ignores the file.
"""

from __future__ import annotations

import builtins
import marshal
import os
import re
import sys
from importlib.machinery import ExtensionFileLoader, ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import MAGIC_NUMBER, spec_from_file_location

TYPE_CHECKING = False
# As typing has it, without typing: its import takes milliseconds.
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType, ModuleType
    from typing import Any

    Entry = tuple[str, bool, int, int]

_PACK = f"{os.path.dirname(__file__)}/imports.pack"
_HEADER = MAGIC_NUMBER + sys.version.encode() + b"\n"
_LENGTH_BYTES = 8
_PYC_HEADER_BYTES = 16
_SEALED = MAGIC_NUMBER + b"\x01\x00\x00\x00"
"""How byte code begins that is never compared with its source; its header has 16 bytes (PEP 552)."""
_FILE = "<string>"
"""The name that dataclasses and typing give what they compile."""

_re_compiler: Any = re._compiler  # type: ignore[attr-defined] # noqa: SLF001 - where re compiles; since Python 3.11


class _Codes(dict):  # type: ignore[type-arg] # of (text, mode) to byte code
    """Byte code by source text and mode; what is not there is compiled, and kept if it is to be written."""

    keep = False

    def __missing__(self, key: tuple[str, str]) -> CodeType:
        text, mode = key
        # Not with the future statements of this module: dataclasses and typing have none.
        code: CodeType = compile(text, _FILE, mode, dont_inherit=True)
        if self.keep:
            self[key] = code
        return code


class _Expressions(dict):  # type: ignore[type-arg] # of (pattern, flags) to the arguments of _sre.compile
    """Compiled regular expressions by pattern and flags; what is not there is compiled, and kept if to be written."""

    keep = False

    def __missing__(self, key: tuple[str | bytes, int]) -> tuple[Any, ...]:
        pattern, flags = key
        parsed = _re_compiler._parser.parse(pattern, flags)  # noqa: SLF001 - the steps of re._compiler.compile
        code = _re_compiler._code(parsed, flags)  # noqa: SLF001 - as above
        names = parsed.state.groupdict
        groups: list[str | None] = [None] * parsed.state.groups
        for name, number in names.items():
            groups[number] = name
        # Plain numbers: re's constants are of classes of their own, which marshal does not know.
        numbers, flags = list(map(int, code)), int(flags | parsed.state.flags)
        arguments = (pattern, flags, numbers, len(groups) - 1, dict(names), tuple(groups))
        if self.keep:
            self[key] = arguments
        return arguments


class _Lookup:
    """Makes the modules that compile text look it up first."""

    def __init__(self, codes: _Codes, expressions: _Expressions) -> None:
        self._codes = codes
        self._expressions = expressions
        compile_parsed = _re_compiler.compile

        def compile_expression(pattern: Any, flags: int = 0) -> Any:  # noqa: ANN401 - whatever re takes
            # A pattern that is parsed already is re.Scanner's; text of a class derived from str may not equal its own.
            if type(pattern) not in {str, bytes}:
                return compile_parsed(pattern, flags)
            return _re_compiler._sre.compile(*expressions[pattern, int(flags)])  # noqa: SLF001 - as re ends, too

        _re_compiler.compile = compile_expression
        for name in ("dataclasses", "typing"):
            if name in sys.modules:
                self.attend(sys.modules[name])

    def release(self) -> None:
        """Forget what was looked up; what comes now is compiled."""
        self._codes.clear()
        self._expressions.clear()

    def attend(self, module: ModuleType) -> None:
        """Change how ``module`` compiles, if it is one of those; a global of it hides the built-in function."""
        codes = self._codes
        if module.__name__ == "dataclasses":
            vars(module)["exec"] = lambda text, *spaces: builtins.exec(codes[text, "exec"], *spaces)  # noqa: S102 - as dataclasses does
        elif module.__name__ == "typing":
            vars(module)["compile"] = lambda text, _, mode: codes[text, mode]


class _Finder:
    """Finds the modules of a pack."""

    def __init__(self, entries: dict[str, Entry], codes: memoryview, lookup: _Lookup) -> None:
        self._entries = entries
        self._codes = codes
        self._lookup = lookup

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 - the import system's signature
        target: ModuleType | None = None,  # noqa: ARG002 - as above
    ) -> ModuleSpec | None:
        entry = self._entries.get(name)
        if entry is None:
            return None
        origin, is_package, start, end = entry
        if start == end:
            return spec_from_file_location(name, origin, loader=ExtensionFileLoader(name, origin))
        loader = _Loader(name, origin, self._codes[start:end], self._lookup)
        locations = [os.path.dirname(origin)] if is_package else None
        return spec_from_file_location(name, origin, loader=loader, submodule_search_locations=locations)

    def release(self) -> None:
        """Forget the pack: its codes are a view of the whole file."""
        self._codes = memoryview(b"")
        self._lookup.release()


class _Loader(SourceFileLoader):
    """Loads a module from its byte code in memory; everything else about it is as the file system has it."""

    def __init__(self, name: str, origin: str, code: memoryview, lookup: _Lookup) -> None:
        super().__init__(name, origin)
        self._code: memoryview | None = code
        self._lookup = lookup

    def get_code(self, fullname: str) -> CodeType | None:
        if self._code is None:
            return super().get_code(fullname)
        code: CodeType = marshal.loads(self._code)  # noqa: S302 - as trusted as the byte code beside the modules
        # The module outlives its code, whose memory is the whole file's.
        self._code = None
        return code

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        self._lookup.attend(module)


def install(path: str = _PACK) -> bool:
    """Import from the file at ``path`` from now on; return whether there is one that fits."""
    try:
        with open(path, "rb") as file:
            data = memoryview(file.read())
    except OSError:
        return False
    start = len(_HEADER) + _LENGTH_BYTES
    if data[: len(_HEADER)] != _HEADER:
        return False
    end = start + int.from_bytes(data[len(_HEADER) : start], "big")
    try:
        entries, codes, expressions = marshal.loads(data[start:end])  # noqa: S302 - as above
        complete = end + max(entry[3] for entry in entries.values()) == len(data)
    except (EOFError, ValueError, TypeError, AttributeError):
        return False
    if not complete:
        return False
    lookup = _Lookup(_Codes(codes), _Expressions(expressions))
    # Behind the finders of built-in and frozen modules, before the one that searches folders.
    place = sys.meta_path.index(PathFinder)
    sys.meta_path.insert(place, _Finder(entries, data[end:], lookup))
    return True


def release() -> None:
    """Import and compile as ever from now on, and give the pack's memory back."""
    for finder in [finder for finder in sys.meta_path if isinstance(finder, _Finder)]:
        sys.meta_path.remove(finder)
        finder.release()


def _byte_code(name: str, loader: SourceFileLoader, cached: str | None) -> bytes:
    """Return the byte code of a module, where it is sealed as its file has it: marshal's own form is not repeatable."""
    try:
        with open(cached or "", "rb") as file:
            sealed = file.read()
    except OSError:
        sealed = b""
    if sealed[: len(_SEALED)] == _SEALED:
        return sealed[_PYC_HEADER_BYTES:]
    return marshal.dumps(loader.get_code(name))


def write(path: str = _PACK) -> int:
    """Import what a cold start imports and write it to a file at ``path``; return how many modules it holds."""
    codes, expressions = _Codes(), _Expressions()
    codes.keep = expressions.keep = True
    import dataclasses  # noqa: F401, PLC0415 - to be attended to
    import typing  # noqa: F401, PLC0415

    _Lookup(codes, expressions)
    import handler.aws_lambda  # noqa: F401, PLC0415

    entries: dict[str, Entry] = {}
    modules: list[bytes] = []
    end = 0
    for name, module in sorted(sys.modules.items()):
        spec = getattr(module, "__spec__", None)
        # A module may stand in the list under other names, too.
        if spec is None or spec.name != name or name == "__main__":
            continue
        if type(spec.loader) is ExtensionFileLoader:
            entries[name] = (spec.origin, False, 0, 0)
        elif type(spec.loader) is SourceFileLoader:
            modules.append(_byte_code(name, spec.loader, spec.cached))
            start, end = end, end + len(modules[-1])
            entries[name] = (spec.origin, spec.submodule_search_locations is not None, start, end)
    index = marshal.dumps((entries, dict(codes), dict(expressions)))
    with open(path, "wb") as file:
        file.write(b"".join([_HEADER, len(index).to_bytes(_LENGTH_BYTES, "big"), index, *modules]))
    return len(entries)


if __name__ == "__main__":
    _path = sys.argv[1] if len(sys.argv) > 1 else _PACK
    # What is there would be imported from, instead of what is to be packed.
    if os.path.exists(_PACK):
        os.unlink(_PACK)
    print(f"{write(_path)} modules in {_path}")  # noqa: T201 - for whoever builds the image
