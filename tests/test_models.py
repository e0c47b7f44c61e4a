"""Models by name, loaded once however many ask, and tried again after a failure."""

import asyncio
import shutil
from pathlib import Path
from threading import Barrier, Lock

import pytest

from handler import models as models_module
from handler.catalog import ModelSpec, build_catalog
from handler.engine import Engine
from handler.errors import EngineError, ModelLoadError, ModelNotFoundError
from handler.loader import LoadReport, load_engine
from handler.models import ModelManager
from handler.settings import DEMO_MODELS, Settings


class CountingLoader:
    """The real loader, with a count."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._lock = Lock()

    def __call__(self, spec: ModelSpec) -> tuple[Engine, LoadReport]:
        """Load, and count."""
        with self._lock:
            self.calls.append(spec.id)
        return load_engine(spec)


def _manager(loader: CountingLoader, **settings: object) -> ModelManager:
    return ModelManager(build_catalog(Settings(**settings)), loader=loader)  # type: ignore[arg-type]


async def test_twenty_callers_cause_one_load() -> None:
    """All of them get the one engine."""
    loader = CountingLoader()
    manager = _manager(loader, load="lazy")
    spec = manager.get("nllb-demo")
    assert manager.state(spec) == "unloaded"

    engines = await asyncio.gather(*(manager.engine(spec) for _ in range(20)))

    assert loader.calls == ["nllb-demo"]
    assert len(set(map(id, engines))) == 1
    assert manager.state(spec) == "loaded"


def test_callers_in_many_threads_cause_one_load() -> None:
    """Event loops of different threads share the manager."""
    loader = CountingLoader()
    manager = _manager(loader, load="lazy")
    barrier = Barrier(8)

    def call() -> Engine:
        barrier.wait(timeout=10)
        return asyncio.run(manager.engine(manager.get(None)))

    async def run() -> list[Engine]:
        return await asyncio.gather(*(asyncio.to_thread(call) for _ in range(8)))

    # The default pool of to_thread may be smaller than the barrier on a small machine.
    loop = asyncio.new_event_loop()
    try:
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - beside its one use

        with ThreadPoolExecutor(8) as pool:
            loop.set_default_executor(pool)
            engines = loop.run_until_complete(run())
    finally:
        loop.close()

    assert loader.calls == ["nllb-demo"]
    assert len(set(map(id, engines))) == 1


async def test_a_caller_who_goes_away_does_not_take_the_load_along() -> None:
    """The others still get their engine."""
    loader = CountingLoader()
    manager = _manager(loader, load="lazy")
    spec = manager.get(None)
    first = asyncio.create_task(manager.engine(spec))
    second = asyncio.create_task(manager.engine(spec))
    await asyncio.sleep(0)
    first.cancel()

    assert await second
    assert loader.calls == ["nllb-demo"]


async def test_a_failed_load_is_reported_to_each_and_tried_again(tmp_path: Path) -> None:
    """Once the file is mended the next caller is served."""
    shutil.copytree(DEMO_MODELS / "nllb-demo", tmp_path / "model")
    weights = tmp_path / "model" / "model.bin"
    good = weights.read_bytes()
    weights.write_bytes(b"\0" * len(good))
    loader = CountingLoader()
    manager = _manager(loader, model_path=tmp_path, load="lazy")
    spec = manager.get(None)

    failures = await asyncio.gather(*(manager.engine(spec) for _ in range(5)), return_exceptions=True)

    assert [type(failure) for failure in failures] == [ModelLoadError] * 5
    assert str(tmp_path) not in str(failures[0])
    assert manager.state(spec) == "failed"
    weights.write_bytes(good)
    assert await manager.engine(spec)
    assert manager.state(spec) == "loaded"


def test_the_log_says_why_the_first_word_failed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In CTranslate2's words: what a client is told would help no operator."""

    def fail(_: Engine) -> None:
        raise EngineError from RuntimeError("CUDA failed with error out of memory")

    monkeypatch.setattr(Engine, "warm_up", fail)
    manager = _manager(CountingLoader())
    manager.start()
    manager.wait()

    reasons = [vars(record)["reason"] for record in caplog.records]
    assert reasons == ["RuntimeError: CUDA failed with error out of memory"] * 2


async def test_startup_models_are_loaded_before_anyone_asks() -> None:
    """Ready means that each has answered its warm-up; lazy ones wait."""
    loader = CountingLoader()
    manager = _manager(loader)
    assert not manager.ready()

    manager.start()
    manager.wait()

    assert sorted(loader.calls) == ["nllb-demo", "t5-demo"]
    assert manager.ready()


def test_a_readiness_probe_tries_a_failed_startup_model_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any request the process recovers, and probes do not start a load each."""
    shutil.copytree(DEMO_MODELS / "nllb-demo", tmp_path / "model")
    weights = tmp_path / "model" / "model.bin"
    good = weights.read_bytes()
    weights.write_bytes(b"\0" * len(good))
    loader = CountingLoader()
    manager = _manager(loader, model_path=tmp_path)
    manager.start()
    manager.wait()
    weights.write_bytes(good)

    assert not manager.ready()
    assert len(loader.calls) == 1
    monkeypatch.setattr(models_module, "_RETRY_S", 0.0)
    assert not manager.ready()
    manager.wait()

    assert manager.ready()
    assert len(loader.calls) == 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [(None, "nllb-demo"), ("default", "nllb-demo"), ("t5-demo", "t5-demo"), ("five", "t5-demo")],
    ids=["absent", "default", "id", "alias"],
)
def test_names_find_models(name: str | None, expected: str) -> None:
    """Ids and aliases, and the default model for no name."""
    manager = _manager(CountingLoader(), aliases={"five": "t5-demo"})

    assert manager.get(name).id == expected
    assert manager.aliases("t5-demo") == ["five"]


@pytest.mark.parametrize("name", ["", " nllb-demo", "NLLB-demo", "nllb", "nllb-demo/"])
def test_names_match_exactly(name: str) -> None:
    """An empty or nearly right name is not the default model."""
    with pytest.raises(ModelNotFoundError):
        _manager(CountingLoader()).get(name)


async def test_load_timings_are_told_once() -> None:
    """The first request after a load learns what it cost."""
    manager = _manager(CountingLoader(), load="lazy")
    spec = manager.get(None)
    await manager.engine(spec)

    assert manager.first_use_timings(spec)["load"] > 0
    assert manager.first_use_timings(spec) == {}
