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
trace(lean_imports, "import_asyncio_without_tls", "import: asyncio")
trace(lean_imports, "import_pydantic_without_plugins", "import: pydantic")
trace(lean_imports, "import_settings_sources", "import: pydantic-settings")
trace(lean_imports, "import_fastapi_without_openapi", "import: FastAPI")
trace(lean_imports, "import_powertools", "import: Powertools")
packed_imports.install()
setattr(packed_imports, "install", bool)  # noqa: B010 - done already; a call without arguments
lean_imports.import_asyncio_without_tls()
setattr(lean_imports, "import_asyncio_without_tls", bool)  # noqa: B010 - as above
_begin = time.monotonic_ns()
from handler import pieces, weights  # noqa: E402 - as above

tell("import: CTranslate2, SentencePiece", _begin)
trace(weights, "open_translator", "load: weights")
trace(pieces, "open_processor", "load: tokenizer")
_begin = time.monotonic_ns()
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
