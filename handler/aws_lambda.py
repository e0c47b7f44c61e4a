"""AWS Lambda's entry point, ``handler.aws_lambda.lambda_handler``: the order in which a cold start does its work."""

import os

from handler import lean_imports, packed_imports
from handler.preload import preload_tokenizers, preload_weights

with lean_imports.NoGarbageCollection():
    # What is read and loaded from here on, while the rest is imported, costs no time.
    with lean_imports.EngineWithoutExtensions():
        tokenizers = preload_weights(os.environ)
    packed_imports.install()
    lean_imports.import_asyncio_without_tls()
    lean_imports.complete_engine()
    preload_tokenizers(tokenizers)
    lean_imports.import_pydantic_without_plugins()
    lean_imports.import_settings_sources()
    lean_imports.import_fastapi_without_openapi()
    lean_imports.import_powertools()
    from handler.lambda_app import lambda_handler

    lean_imports.finish()
    packed_imports.release()

__all__ = ["lambda_handler"]
