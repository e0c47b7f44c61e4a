"""Which model answers to which name, and its engine: loaded once, however many ask for it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from threading import Lock, Thread
from time import monotonic, sleep

from handler.catalog import Catalog, ModelSpec
from handler.engine import Engine
from handler.errors import ModelLoadError, ModelNotFoundError
from handler.loader import LoadReport, load_engine
from handler.measurements import Measurements
from handler.schemas import ModelState
from handler.telemetry import logger

Loader = Callable[[ModelSpec], tuple[Engine, LoadReport]]

_RETRY_S = 5.0
"""How long a failed startup model is left alone by readiness probes; twice as long after each further failure.

A request tries again at once, unless the files come over a network: such a model is left alone by requests, too, and
they are answered as the last one was.
"""
_MOST_DOUBLINGS = 4
"""80 s is the longest."""

DEFAULT_NAME = "default"


class ModelManager:
    """The configured models. Thread-safe; loads run in threads of their own, off any event loop."""

    def __init__(
        self, catalog: Catalog, *, loader: Loader = load_engine, measurements: Measurements | None = None
    ) -> None:
        """Serve the models of ``catalog``; nothing is loaded yet.

        Args:
            catalog: Ids, aliases and the default model.
            loader: Makes an engine from a spec; raises whatever went wrong.
            measurements: Gets what each load took.
        """
        self._catalog = catalog
        self._loader = loader
        self._measurements = measurements or Measurements()
        self._lock = Lock()
        self._loads: dict[str, Future[Engine]] = {}
        self._attempted: dict[str, float] = {}
        self._failures: Counter[str] = Counter()
        self._users: Counter[str] = Counter()
        self._used: dict[str, float] = {}
        self._unused_reports: dict[str, LoadReport] = {}

    def __iter__(self) -> Iterator[ModelSpec]:
        """Iterate over the models in the order of the configuration."""
        return iter(self._catalog.models.values())

    def aliases(self, model_id: str) -> list[str]:
        """Return the other names of a model."""
        return [alias for alias, target in self._catalog.aliases.items() if target == model_id]

    @property
    def default(self) -> ModelSpec:
        """The model that serves requests naming none."""
        return self._catalog.models[self._catalog.default]

    def find(self, name: str | None) -> ModelSpec | None:
        """Return the model of this very name or alias; nothing and ``default`` mean the default model."""
        if name is None:
            return self.default
        model_id = self._catalog.aliases.get(name, name)
        spec = self._catalog.models.get(model_id)
        return self.default if spec is None and name == DEFAULT_NAME else spec

    def get(self, name: str | None) -> ModelSpec:
        """Return the model of this very name or alias.

        Raises:
            ModelNotFoundError: There is none.
        """
        spec = self.find(name)
        if spec is None:
            raise ModelNotFoundError(str(name))
        return spec

    def start(self) -> None:
        """Begin to load every model that is to be ready from the start; returns at once."""
        for spec in self:
            if spec.load == "startup":
                self._load(spec)

    def wait(self) -> None:
        """Return when no load is under way; failed ones are in the log."""
        with self._lock:
            loads = list(self._loads.values())
        wait_for(loads)

    async def engine(self, spec: ModelSpec) -> Engine:
        """Return the engine of ``spec``, loading it first if nobody has.

        Raises:
            ModelLoadError: The load failed; the next call tries again.
        """
        load = self._load(spec)
        try:
            # To wait for what is there already would take a turn of the event loop and a write to its own pipe.
            return load.result() if load.done() else await asyncio.wrap_future(load)
        except Exception as error:
            raise ModelLoadError(spec.id) from error

    @contextmanager
    def used(self, spec: ModelSpec, when_idle: Callable[[Callable[[], None]], None]) -> Iterator[None]:
        """Keep the model of ``spec`` loaded, once it is, until the block ends and no thread is busy with it.

        Args:
            spec: Of the model.
            when_idle: Calls what it is given as soon as no thread is busy.
        """
        with self._lock:
            self._users[spec.id] += 1
        try:
            yield
        finally:
            when_idle(partial(self._release, spec))

    def _release(self, spec: ModelSpec) -> None:
        with self._lock:
            self._users[spec.id] -= 1
            self._used[spec.id] = monotonic()

    def state(self, spec: ModelSpec) -> ModelState:
        """Return how far the model of ``spec`` is."""
        with self._lock:
            load = self._loads.get(spec.id)
        if load is None:
            return "unloaded"
        if not load.done():
            return "loading"
        return "failed" if load.exception() or load.result().broken else "loaded"

    def broken(self) -> bool:
        """Return whether some engine has failed so often that a new process may be needed."""
        return any(engine.broken for engine in self._engines())

    def try_broken(self) -> bool:
        """Let each broken engine translate a word and tell whether all can; those that do are not broken any more."""
        return all(engine.try_again() for engine in self._engines() if engine.broken)

    def _engines(self) -> list[Engine]:
        """Return those that are loaded."""
        with self._lock:
            loads = list(self._loads.values())
        return [load.result() for load in loads if load.done() and not load.exception()]

    def first_use_timings(self, spec: ModelSpec) -> dict[str, float]:
        """Return what loading took, to the first request that used the model, and nothing to later ones."""
        report = self._unused_reports.pop(spec.id, None)
        return {"load": report.fetch_ms + report.load_ms} if report else {}

    def ready(self) -> bool:
        """Return whether every startup model has answered its warm-up and no engine is broken.

        Sees to it that a model that failed to load is tried again.
        """
        ready = True
        for spec in self:
            if spec.load == "startup" and self.state(spec) != "loaded":
                ready = False
                if self._may_try(spec):
                    self._load(spec)
        return ready and not self.broken()

    def _may_try(self, spec: ModelSpec) -> bool:
        """Return whether the last attempt is long enough ago, if it failed."""
        doublings = min(max(self._failures[spec.id] - 1, 0), _MOST_DOUBLINGS)
        pause_s = _RETRY_S * (1 << doublings)
        return monotonic() - self._attempted.get(spec.id, 0.0) >= pause_s

    def _load(self, spec: ModelSpec) -> "Future[Engine]":
        with self._lock:
            load = self._loads.get(spec.id)
            if load is not None and not (load.done() and load.exception()):
                return load
            if load is not None and spec.folder.remote and not self._may_try(spec):
                return load
            load = self._loads[spec.id] = Future()
            # A running future cannot be cancelled: a caller who goes away must not take the load from the others.
            load.set_running_or_notify_cancel()
            self._attempted[spec.id] = monotonic()
        # A thread that ends: one that has loaded a model keeps OpenMP's threads, and where there are more of those than
        # CPUs none spins, whatever openmp.SPINS says (libgomp, gomp_throttled_spin_count_var). A model that the main
        # thread had loaded took twice as long to translate.
        Thread(target=self._run, args=(spec, load), name=f"load-{spec.id}").start()
        return load

    def _run(self, spec: ModelSpec, load: "Future[Engine]") -> None:
        try:
            engine, report = self._loader(spec)
        except BaseException as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            logger.error("model failed to load", extra={"model": spec.id, "reason": f"{type(error).__name__}: {error}"})
            self._measurements.model_failed()
            with self._lock:
                self._failures[spec.id] += 1
                self._attempted[spec.id] = monotonic()
            load.set_exception(error)
            return
        self._measurements.model_loaded((report.load_ms + report.warm_up_ms) / 1e3)
        self._unused_reports[spec.id] = report
        details = {key: round(value, 1) if isinstance(value, float) else value for key, value in asdict(report).items()}
        about = {"model": spec.id, "family": spec.family, "demo": spec.demo}
        logger.info("demo model loaded" if spec.demo else "model loaded", extra=about | details)
        with self._lock:
            self._failures[spec.id] = 0
            self._used[spec.id] = monotonic()
        load.set_result(engine)
        if spec.unload_after_s:
            # Another thread, because this one has to end and refers to the engine until it does.
            Thread(target=self._unload_when_idle, args=(spec,), name=f"unload-{spec.id}", daemon=True).start()

    def _unload_when_idle(self, spec: ModelSpec) -> None:
        while (left_s := self._unload_if_idle(spec)) > 0:
            sleep(left_s)

    def _unload_if_idle(self, spec: ModelSpec) -> float:
        """Let go of a model that nobody has used for its time, or return in how many seconds it may be due."""
        with self._lock:
            # In use, it cannot be due before its time has passed once more.
            idle_s = 0.0 if self._users[spec.id] else monotonic() - self._used[spec.id]
            if idle_s < spec.unload_after_s:
                return spec.unload_after_s - idle_s
            load = self._loads.pop(spec.id)
            self._unused_reports.pop(spec.id, None)
        load.result().close()
        del load  # nothing refers to the engine any more
        from handler.memory import return_memory  # noqa: PLC0415 - for those who have models unloaded

        return_memory()
        logger.info("model unloaded", extra={"model": spec.id, "idle_s": round(idle_s, 1)})
        return 0.0
