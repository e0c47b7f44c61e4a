"""The function with one lever taken away, the one that ``WITHOUT`` names: what it gives is the difference."""

import os
from contextlib import nullcontext

from handler import lean_imports, packed_imports, preload


def _import_plainly() -> None:
    """Leave the import to whoever needs it."""


CHANGES = {
    "pack": lambda: setattr(packed_imports, "install", lambda: False),
    "collector": lambda: setattr(lean_imports, "NoGarbageCollection", nullcontext),
    "extensions": lambda: setattr(lean_imports, "EngineWithoutExtensions", nullcontext),
    "tls": lambda: setattr(lean_imports, "import_asyncio_without_tls", _import_plainly),
    "pydantic": lambda: setattr(lean_imports, "import_pydantic_without_plugins", _import_plainly),
    "settings": lambda: setattr(lean_imports, "import_settings_sources", _import_plainly),
    "openapi": lambda: setattr(lean_imports, "import_fastapi_without_openapi", _import_plainly),
    "powertools": lambda: setattr(lean_imports, "import_powertools", _import_plainly),
    "preload": lambda: setattr(preload, "preload_weights", lambda _: []),
    "read-ahead": lambda: setattr(preload, "read_ahead", lambda _: False),
}
CHANGES[os.environ["WITHOUT"]]()

from handler.aws_lambda import lambda_handler  # noqa: E402 - after the change

__all__ = ["lambda_handler"]
