"""The function, telling on standard error when each part of its start began and ended, as JSON lines."""

import json
import sys
import time
from typing import Any

START_NS = time.monotonic_ns()


def tell(name: str, begin_ns: int) -> None:
    """Write one span that ends now, in nanoseconds of ``CLOCK_MONOTONIC``."""
    span = {"span": name, "begin_ns": begin_ns, "end_ns": time.monotonic_ns()}
    sys.stderr.write(json.dumps(span) + "\n")
    sys.stderr.flush()


def trace(owner: Any, name: str, label: str) -> None:
    """Let a function of a module tell about each of its calls."""
    function = getattr(owner, name)

    def traced(*args: Any, **kwargs: Any) -> Any:
        begin = time.monotonic_ns()
        try:
            return function(*args, **kwargs)
        finally:
            tell(label, begin)

    traced.__name__ = name
    setattr(owner, name, traced)


from handler import lean_imports, packed_imports  # noqa: E402 - timed from here

trace(packed_imports, "install", "import: pack")
trace(lean_imports, "complete_engine", "import: the engine's extensions")
trace(lean_imports, "import_asyncio_without_tls", "import: asyncio")
trace(lean_imports, "import_pydantic_without_plugins", "import: pydantic")
trace(lean_imports, "import_settings_sources", "import: pydantic-settings")
trace(lean_imports, "import_fastapi_without_openapi", "import: FastAPI")
trace(lean_imports, "import_powertools", "import: Powertools")
_begin = time.monotonic_ns()
with lean_imports.EngineWithoutExtensions():
    from handler import weights

tell("import: CTranslate2", _begin)
trace(weights, "open_translator", "load: weights")
from handler import aws_lambda  # noqa: E402 - as above

tell("init", START_NS)
_handle = aws_lambda.lambda_handler


def lambda_handler(event: Any, context: Any) -> Any:
    """Answer, and tell how long that took."""
    begin = time.monotonic_ns()
    try:
        return _handle(event, context)
    finally:
        tell("invoke", begin)
