"""The function with one lever taken away, the one that ``WITHOUT`` names: what it gives is the difference."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from importlib import import_module

from handler import lean_imports, packed_imports, preload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def _import_plainly() -> None:
    """Leave the import to whoever needs it."""


def _install_nothing(path: str = "") -> bool:  # noqa: ARG001 - as the real one
    """Leave the pack where it is."""
    return False


def _compile_everything() -> None:
    """Compile what is imported from here on, as in an image without ``.pyc`` files."""
    packed_imports.install = _install_nothing
    sys.pycache_prefix = "/nowhere"
    sys.dont_write_bytecode = True


def _build_schemas() -> None:
    """Build what an answer's or the document's first use would build."""
    schemas = import_module("handler.schemas")
    for value in vars(schemas).values():
        if isinstance(value, type) and value.__module__ == schemas.__name__ and hasattr(value, "model_rebuild"):
            value.model_rebuild()


CHANGES: dict[str, Callable[[], object]] = {
    "pack": lambda: setattr(packed_imports, "install", _install_nothing),
    "pack and byte code": _compile_everything,
    "collector": lambda: setattr(lean_imports, "NoGarbageCollection", nullcontext),
    "extensions": lambda: setattr(lean_imports, "EngineWithoutExtensions", nullcontext),
    "tls": lambda: setattr(lean_imports, "import_asyncio_without_tls", _import_plainly),
    "pydantic": lambda: setattr(lean_imports, "import_pydantic_without_plugins", _import_plainly),
    "settings": lambda: setattr(lean_imports, "import_settings_sources", _import_plainly),
    "openapi": lambda: setattr(lean_imports, "import_fastapi_without_openapi", _import_plainly),
    "powertools": lambda: setattr(lean_imports, "import_powertools", _import_plainly),
    "preload": lambda: setattr(preload, "preload_weights", lambda _: []),
    "schemas built later": lambda: setattr(lean_imports, "finish", _build_schemas),
    "read-ahead": lambda: setattr(preload, "read_ahead", lambda _: False),
}
CHANGES[os.environ["WITHOUT"]]()

from handler.aws_lambda import lambda_handler  # noqa: E402 - after the change

__all__ = ["lambda_handler"]
