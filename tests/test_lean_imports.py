"""What a cold start leaves out of its imports, and that nothing is missing afterwards."""

import json

import pytest
from conftest import run_python

from handler.app import create_app
from handler.catalog import build_catalog
from handler.models import ModelManager
from handler.settings import Settings


def run(code: str) -> str:
    """Return the last line that ``code`` prints in a fresh interpreter."""
    done = run_python("-c", code, LOG_LEVEL="ERROR")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "module",
    [
        *("pydantic.v1", "ssl", "http.client", "importlib.metadata", "argparse"),
        *("fastapi.openapi.models", "opentelemetry.trace", "dotenv", "aws_lambda_powertools.metrics"),
    ],
)
def test_a_cold_start_does_without(module: str) -> None:
    """Each costs milliseconds of every start."""
    code = f"import handler.aws_lambda, sys; print(sys.modules.get({module!r}) is None)"

    assert run(code) == "True"
    assert run("import fastapi, asyncio, sys; print('fastapi.openapi.models' in sys.modules)") == "True"


@pytest.mark.parametrize(
    "statement",
    [
        "import ssl; ssl.create_default_context()",
        "import boto3; boto3.client('s3', region_name='us-east-1')",
        "from opentelemetry import trace; trace.get_tracer('x').start_span('y').end()",
        "from opentelemetry.metrics import get_meter; get_meter('x').create_counter('y').add(1)",
        "import aws_lambda_powertools.metrics as m; m.Metrics(namespace='n', service='s')",
        "from aws_lambda_powertools import Metrics, Tracer, single_metric; Metrics(namespace='n', service='s')",
        "import pydantic.v1; assert pydantic.v1.BaseModel",
        "import dotenv; dotenv.dotenv_values('/nowhere')",
        "from fastapi.openapi.models import OpenAPI; OpenAPI(openapi='3.1.0', info={'title': 't', 'version': '1'})",
        "import ctranslate2; ctranslate2.Translator.generate_tokens, ctranslate2.extensions.AsyncGenerator",
        "import asyncio; asyncio.run(asyncio.sleep(0))",
        "import urllib.request, http.client; http.client.responses[200]; http.client.HTTPConnection('127.0.0.1')",
        "from starlette.exceptions import HTTPException; assert HTTPException(404).detail == 'Not Found'",
        "from pydantic.plugin._loader import entry_points; assert len(entry_points(group='console_scripts')) > 3",
        "import argparse; argparse.ArgumentParser().parse_args([])",
    ],
    ids=[
        "ssl",
        "boto3",
        "traces",
        "otel metrics",
        "powertools metrics",
        "powertools package",
        "pydantic 1",
        "dotenv",
        "openapi",
        "engine",
        "asyncio",
        "http",
        "status",
        "metadata",
        "argparse",
    ],
)
def test_what_was_left_out_can_be_imported_afterwards(statement: str) -> None:
    """Other code in the process finds the real thing."""
    assert run(f"import handler.aws_lambda\n{statement}\nprint('works')") == "works"


def test_the_document_is_the_same() -> None:
    """FastAPI gets its models back before it needs them."""
    settings = Settings()
    full = create_app(ModelManager(build_catalog(settings)), settings).openapi()

    code = "import handler.aws_lambda, json; from handler.lambda_app import app; print(json.dumps(app.openapi()))"

    assert json.loads(run(code)) == full


def test_nothing_is_taken_from_code_that_was_there_first() -> None:
    """An extension of the runtime may have imported asyncio with TLS, or OpenTelemetry."""
    code = """
import ssl, asyncio, opentelemetry.trace as trace, aws_lambda_powertools.metrics as metrics
import handler.aws_lambda, sys
print(sys.modules["ssl"] is ssl, sys.modules["opentelemetry.trace"] is trace, asyncio.sslproto.ssl is ssl,
      sys.modules["aws_lambda_powertools.metrics"] is metrics)
"""
    assert run(code) == "True True True True"


def test_the_collector_is_on_again() -> None:
    """And does not look at what init has left."""
    code = "import handler.aws_lambda, gc; print(gc.isenabled(), gc.get_freeze_count() > 50_000)"

    assert run(code) == "True True"
