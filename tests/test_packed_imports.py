"""A cold start from one file of byte code does what one from hundreds does."""

import json
from pathlib import Path

import pytest
from conftest import run_python
from test_events import SENTENCE, TRANSLATION, chat_event

TIMEOUT_S = 120

ASK = """
import json, sys
from handler import packed_imports
installed = packed_imports.install(sys.argv[1])
compiled = []
import ast, builtins
real = builtins.compile
def compile(source, filename, mode, flags=0, *rest, **options):
    if not flags & ast.PyCF_ONLY_AST:  # anyio looks at its own syntax
        compiled.append(str(source))
    return real(source, filename, mode, flags, *rest, **options)
builtins.compile = compile
import handler.aws_lambda
builtins.compile = real
event = json.loads(sys.argv[2])
answer = handler.aws_lambda.lambda_handler(event, None)
unpacked = [name for name, module in sys.modules.items()
            if type(getattr(getattr(module, "__spec__", None), "loader", None)).__name__ == "SourceFileLoader"]
import inspect, fastapi, importlib.resources
from handler.lambda_app import app, lambda_handler
print(json.dumps({
    "installed": installed,
    "content": json.loads(answer["body"])["choices"][0]["message"]["content"],
    "compiled": compiled,
    "unpacked": unpacked,
    "source": inspect.getsource(lambda_handler).splitlines()[0],
    "file": fastapi.__file__,
    "resources": importlib.resources.files("fastapi").joinpath("py.typed").is_file(),
    "document": len(json.dumps(app.openapi())),
}))
"""


def ask(path: Path) -> dict[str, object]:
    """Start cold with the file at ``path``, and return what came of it."""
    done = run_python("-c", ASK, str(path), json.dumps(chat_event("http_api_v2", SENTENCE)), LOG_LEVEL="ERROR")
    assert (done.returncode, done.stderr) == (0, "")
    result: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack of this environment."""
    path = tmp_path_factory.mktemp("pack") / "imports.pack"
    done = run_python(
        "-c", f"from handler import packed_imports; print(packed_imports.write({str(path)!r}))", LOG_LEVEL="ERROR"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 300
    return path


def test_a_start_from_the_pack_answers_and_compiles_nothing(pack: Path, tmp_path: Path) -> None:
    """And what can be asked of a module is what it says without."""
    packed, plain = ask(pack), ask(tmp_path / "none")

    assert packed["installed"]
    assert not plain["installed"]
    assert packed["content"] == TRANSLATION
    assert packed["compiled"] == []
    assert len(plain["unpacked"]) > 200  # type: ignore[arg-type] # a list
    assert not [name for name in packed["unpacked"] if name.startswith(("fastapi", "pydantic"))]  # type: ignore[attr-defined] # a list
    for same in ("content", "source", "file", "resources", "document"):
        assert packed[same] == plain[same]


@pytest.mark.parametrize("change", [b"\x00", b"3.9.1"], ids=["another format", "another Python"])
def test_a_pack_of_another_interpreter_is_ignored(change: bytes, pack: Path, tmp_path: Path) -> None:
    """Byte code is good for one version alone."""
    other = tmp_path / "imports.pack"
    other.write_bytes(change + pack.read_bytes()[len(change) :])

    assert not ask(other)["installed"]


def test_a_dataclass_that_is_made_later_has_the_methods_it_always_has(pack: Path, tmp_path: Path) -> None:
    """Its generated methods carry types, not the text of some module's annotations."""
    code = """
import sys, inspect, typing
from handler import packed_imports
packed_imports.install(sys.argv[1])
import dataclasses
@dataclasses.dataclass(frozen=True, slots=True)
class A:
    x: int
    y: str = "a"
import handler.catalog
print(inspect.signature(A), typing.get_type_hints(A.__init__), inspect.signature(handler.catalog.Catalog))
packed_imports.release()
@dataclasses.dataclass
class B:
    z: float
print(inspect.signature(B), [type(finder).__name__ for finder in sys.meta_path if "_Finder" in type(finder).__name__])
"""
    packed, plain = (
        run_python("-c", code, str(pack), LOG_LEVEL="ERROR"),
        run_python("-c", code, str(tmp_path / "none"), LOG_LEVEL="ERROR"),
    )

    assert (packed.returncode, packed.stderr) == (0, "")
    assert "(x: int, y: str = 'a') -> None" in packed.stdout
    assert packed.stdout == plain.stdout


@pytest.mark.parametrize("end", [50, 20_000, -100], ids=["header", "index", "byte code"])
def test_a_pack_that_ends_early_is_ignored(end: int, pack: Path, tmp_path: Path) -> None:
    """The start goes the usual way."""
    cut = tmp_path / "imports.pack"
    cut.write_bytes(pack.read_bytes()[:end])

    assert not ask(cut)["installed"]
