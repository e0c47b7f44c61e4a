"""What a cold start imports, seen in a fresh interpreter."""

import pytest
from conftest import run_python

BAKE_TIME = {"torch", "transformers", "huggingface_hub", "ctranslate2.converters", "ctranslate2.specs"}
# Powertools imports the bare package botocore to see whether it is there (0.5 ms); its modules are what costs.
NEVER_AT_START = BAKE_TIME | {"boto3", "botocore.session", "botocore.loaders", "numpy", "openai", "uvicorn"}
# What /docs and browsers need, for those who have them.
NEVER_AT_START |= {"fastapi_swagger", "handler.swagger_ui", "handler.examples", "starlette.middleware.cors"}
# What scrapes and spans need, once there are any.
NEVER_AT_START |= {"prometheus_client", "handler.prometheus", "handler.tracing", "opentelemetry.sdk", "handler.emf"}
NOT_ON_LAMBDA = {"handler.routes.metrics", "aws_lambda_powertools.metrics"}
WEB = {"fastapi", "starlette", "mangum", "uvicorn"}


def imported(module: str, candidates: set[str]) -> set[str]:
    """Return which of ``candidates`` a fresh interpreter holds once it has imported ``module``."""
    # Standard error, because a server that starts logs to standard output.
    code = f"""
import os, sys, {module}
print(*({candidates!r} & sys.modules.keys()), file=sys.stderr, flush=True)
os._exit(0)  # not waiting for models that are still loading
"""
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("module", ["handler.aws_lambda", "handler.main"])
def test_a_start_imports_no_package_that_serving_does_not_need(module: str) -> None:
    """Each would cost between 50 ms and seconds of every cold start."""
    assert imported(module, NEVER_AT_START) == set()


def test_a_function_imports_no_metrics_at_all() -> None:
    """A host has a page to show, which costs it a route; a function has nothing unless it is told to."""
    assert imported("handler.aws_lambda", NOT_ON_LAMBDA) == set()
    assert imported("handler.main", NOT_ON_LAMBDA) == NOT_ON_LAMBDA


@pytest.mark.parametrize(
    "module",
    ["engine", "tokenizer", "segmenter", "assembly", "languages", "instructions", "detector", "errors"],
)
def test_the_engine_and_what_is_below_it_import_no_web_framework(module: str) -> None:
    """So that the bake and other programs may use them alone."""
    assert imported(f"handler.{module}", WEB | NEVER_AT_START) == set()


def test_the_check_sees_what_is_imported() -> None:
    """A check that can never fail would prove nothing."""
    assert imported("handler.aws_lambda", {"fastapi", "mangum", "ctranslate2", "torch"}) == {
        "fastapi",
        "mangum",
        "ctranslate2",
    }


def test_a_process_that_ends_while_its_models_load_ends_cleanly() -> None:
    """As ``uvicorn handler.main:app`` does when its port is taken."""
    done = run_python("-c", "import handler.main")

    assert (done.returncode, done.stderr) == (0, "")
