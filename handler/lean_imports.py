"""Lets the web framework be imported without what no cold start needs.

A third of FastAPI's import goes into models of OpenAPI documents, telemetry, TLS and command lines. None of that takes
part in answering a request here; what is wanted later (the document) is imported then. Nothing is taken away that is
already imported. Every module can be imported afterwards; what the framework has taken from one meanwhile stays absent:
in this process asyncio has no TLS, pydantic-settings reads no .env file, and FastAPI has its security schemes and
documents only once the document has been asked for. ``make bench-cold`` measures each gain: docs/cold-start.md.
"""

from __future__ import annotations

import gc
import http
import os
import sys
from importlib import import_module
from types import ModuleType

TYPE_CHECKING = False
# As typing has it, without typing: its import takes milliseconds.
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

_EXTENSIONS = "ctranslate2.extensions"
_OPENAPI = "fastapi.openapi.models"
_TELEMETRY = tuple(
    f"opentelemetry.{name}" for name in ("_logs", "metrics", "propagate", "propagators.textmap", "trace")
)
_POWERTOOLS = ("aws_lambda_powertools.metrics", "aws_lambda_powertools.tracing")
_SETTINGS_SOURCES = ("argparse", "dotenv", "pydantic_settings.sources.providers.cli")
_METADATA = "importlib.metadata"


class NoGarbageCollection:
    """Imports make no garbage worth looking for: collect none meanwhile, and never look at what they left again."""

    def __enter__(self) -> None:
        """Stop collecting."""
        gc.disable()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take what there is for permanent, and collect again."""
        gc.freeze()
        gc.enable()


class StandIns:
    """Modules that are there to be imported from, and hold an empty class of whatever name is asked for."""

    def __init__(self, *names: str) -> None:
        """Stand in for the modules ``names`` while the block runs, those that are imported already excepted."""
        self._modules = {name: self._made(name) for name in names if name not in sys.modules}

    @staticmethod
    def _made(name: str) -> ModuleType:
        return _StandIn(name)

    def __enter__(self) -> None:
        """Put them in place."""
        sys.modules.update(self._modules)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Make way for the real ones, whoever imports them from now on."""
        for name, module in self._modules.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


class _StandIn(ModuleType):
    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        # Good for what happens at import: annotations, X | None, a base class with parameters.
        made = _Absent(name, (), {"__module__": self.__name__, "__class_getitem__": classmethod(lambda cls, _: cls)})
        setattr(self, name, made)
        return made


class Deferred(StandIns):
    """Modules that are there to import functions from, and are imported when one of those is called."""

    @staticmethod
    def _made(name: str) -> ModuleType:
        return _Deferred(name)


class _Deferred(ModuleType):
    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the function takes and returns
            if sys.modules.get(self.__name__) is self:
                del sys.modules[self.__name__]
            return getattr(import_module(self.__name__), name)(*args, **kwargs)

        setattr(self, name, call)
        return call


class StatusPhrases(StandIns):
    """``http.client`` as far as a server needs it, which is its names of status codes: a client brings e-mail along."""

    def __init__(self) -> None:
        """Stand in for the one module."""
        super().__init__("http.client")

    @staticmethod
    def _made(name: str) -> ModuleType:
        module = ModuleType(name)
        vars(module)["responses"] = {status: status.phrase for status in http.HTTPStatus}
        return module

    def __enter__(self) -> None:
        """Put it in place, in the package too: who has imported it asks for it there."""
        super().__enter__()
        for module in self._modules.values():
            vars(http)["client"] = module


class _Absent(type):
    """The class of classes that are not there."""


class EngineWithoutExtensions(StandIns):
    """Lets CTranslate2 be imported without its Python extensions, which import asyncio: weights load without."""

    def __init__(self) -> None:
        """Stand in for the one module."""
        super().__init__(_EXTENSIONS)


def complete_engine() -> None:
    """Give CTranslate2 its extensions, if it was imported without."""
    if "ctranslate2" in sys.modules and _EXTENSIONS not in sys.modules:
        from ctranslate2.extensions import register_extensions  # noqa: PLC0415

        register_extensions()


def import_asyncio_without_tls() -> None:
    """Import asyncio as on a Python that was built without OpenSSL, unless either is there already.

    API Gateway speaks TLS, this process does not. Whoever imports ``ssl`` later gets it.
    """
    if not {"ssl", "asyncio"} & sys.modules.keys():
        sys.modules["ssl"] = None  # type: ignore[assignment] # how an import is made to fail
        try:
            import asyncio  # noqa: F401, PLC0415
        finally:
            del sys.modules["ssl"]


def import_pydantic_without_plugins() -> None:
    """Keep pydantic from searching every installed package for plugins (pydantic documentation, "Pydantic Plugins")."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # FastAPI looks for models of pydantic 1 among ours, and takes an import that fails for a pydantic without them.
    sys.modules.setdefault("pydantic.v1", None)  # type: ignore[arg-type] # how an import is made to fail
    with Deferred(_METADATA):
        import pydantic  # noqa: F401, PLC0415


def import_fastapi_without_openapi() -> None:
    """Import FastAPI without its models of OpenAPI documents, and without OpenTelemetry, which the app switches off."""
    with StandIns(_OPENAPI, *_TELEMETRY), StatusPhrases(), Deferred(_METADATA):
        import fastapi  # noqa: F401, PLC0415


def import_settings_sources() -> None:
    """Import pydantic-settings without its readers of .env files and command lines; ``handler`` has its own parser."""
    with StandIns(*_SETTINGS_SOURCES), Deferred(_METADATA):
        import pydantic_settings  # noqa: F401, PLC0415


def import_powertools() -> None:
    """Import Powertools without its metrics and its tracer, which this service does not use."""
    with StandIns(*_POWERTOOLS):
        import aws_lambda_powertools  # noqa: PLC0415
    package = vars(aws_lambda_powertools)
    absent = {name: value for name, value in package.items() if isinstance(value, _Absent)}
    for name in absent:
        del package[name]

    def find(name: str) -> Any:  # noqa: ANN401 - whatever the package offers
        if name not in absent:
            raise AttributeError(name)
        return getattr(import_module(absent[name].__module__), absent[name].__name__)

    # Who asks the package for them gets the real ones (PEP 562).
    package.setdefault("__getattr__", find)


def finish() -> None:
    """Let everything be imported again that only init was to do without."""
    if "pydantic.v1" in sys.modules and sys.modules["pydantic.v1"] is None:
        del sys.modules["pydantic.v1"]


def complete_openapi() -> None:
    """Give FastAPI its models of OpenAPI documents, if it was imported without."""
    import fastapi.openapi.models as real  # noqa: PLC0415

    for name, module in list(sys.modules.items()):
        if name.startswith("fastapi."):
            for attribute, value in list(vars(module).items()):
                if isinstance(value, _Absent) and value.__module__ == _OPENAPI:
                    setattr(module, attribute, getattr(real, value.__name__))
