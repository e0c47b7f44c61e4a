"""The clients: how each is run, and what it calls the errors."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conftest import ROOT
from phrases import CLIENT_TIMEOUT_S

_OWN_PYTHON = ROOT / ".venv-clients" / "bin" / "python"
_PLAY = Path(__file__).with_name("play.py")
_NODE = (Path(sys.executable).with_name("node"), ROOT / "tests" / "node" / "client.mjs")
_QUIET = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LANGSMITH_TRACING": "false"}
"""LiteLLM fetches a list of prices when it is imported, and LangChain can tell LangSmith about every call."""


@dataclass(frozen=True, slots=True)
class Program:
    """One client."""

    command: tuple[str | Path, ...]
    errors: dict[int | None, str]
    """Classes by status; without one, of an error in a stream."""
    silent: tuple[int | None, ...] = ()
    """Errors whose message the client passes on, but neither code nor parameter."""

    def report(self, job: dict[str, Any], home: Path) -> dict[str, Any]:
        """Return what the client made of ``job``; it finds no settings but the folder ``home``."""
        assert Path(self.command[0]).exists(), f"{self.command[0]} is missing: make test sets it up"
        done = subprocess.run(
            self.command,
            input=json.dumps(job),
            cwd=home,
            env={"HOME": str(home), "PATH": os.environ["PATH"], **_QUIET},
            capture_output=True,
            text=True,
            timeout=CLIENT_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        printed: dict[str, Any] = json.loads(done.stdout)
        return printed


_OPENAI: dict[int | None, str] = {
    400: "BadRequestError",
    401: "AuthenticationError",
    404: "NotFoundError",
    None: "APIError",
}
_LANGCHAIN: dict[int | None, str] = {
    400: "OpenAIInvalidRequestError",
    401: "OpenAIAuthenticationError",
    404: "OpenAIModelNotFoundError",
    None: "APIError",
}
_LITELLM = {**_OPENAI, None: "MidStreamFallbackError"}
_PYDANTIC_AI: dict[int | None, str] = {
    400: "ModelRequestRejectedError",
    401: "ModelAuthenticationError",
    404: "ModelNotFoundError",
    None: "ModelServerError",
}
_CURL = dict.fromkeys(_OPENAI, "CurlError")

PROGRAMS = {
    "openai": Program((sys.executable, _PLAY, "openai_blocking"), _OPENAI),
    "openai-async": Program((sys.executable, _PLAY, "openai_awaiting"), _OPENAI),
    "openai-node": Program(_NODE, _OPENAI),
    "langchain": Program((_OWN_PYTHON, _PLAY, "with_langchain"), _LANGCHAIN),
    "litellm": Program((_OWN_PYTHON, _PLAY, "with_litellm"), _LITELLM, silent=(401, 404, None)),
    "pydantic-ai": Program((_OWN_PYTHON, _PLAY, "with_pydantic_ai"), _PYDANTIC_AI),
    "curl": Program((sys.executable, _PLAY, "with_curl"), _CURL),
}
