"""AWS Lambda's entry point, ``handler.aws_lambda.lambda_handler``: the order in which a cold start does its work."""

import os

from handler import lean_imports, packed_imports

with lean_imports.NoGarbageCollection():
    packed_imports.install()
    # The engine's package imports asyncio, too.
    lean_imports.import_asyncio_without_tls()
    # What is read and loaded from here on, while the rest is imported, costs no time.
    from handler.preload import preload

    preload(os.environ)
    lean_imports.import_pydantic_without_plugins()
    lean_imports.import_settings_sources()
    lean_imports.import_fastapi_without_openapi()
    lean_imports.import_powertools()
    from handler.lambda_app import lambda_handler

__all__ = ["lambda_handler"]
