"""Models by name, loaded once however many ask, and tried again after a failure."""

import asyncio
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Lock

import numpy as np
import pytest
from conftest import run_python, running_server

from handler import models as models_module
from handler.catalog import ModelSpec, build_catalog
from handler.engine import Engine
from handler.errors import EngineError, ModelLoadError, ModelNotFoundError, SettingsError
from handler.loader import LoadReport, load_engine
from handler.models import ModelManager
from handler.settings import DEMO_MODELS, ModelSettings, Settings
from handler.workers import Workers
from model_bake.model_file import Variable, read_model, write_model

PATIENCE_S = 30.0
WEIGHTS_MIB = 100
MEASURE_UNLOADING = """
import asyncio, re, sys, time
from functools import partial
from pathlib import Path
from handler.catalog import build_catalog
from handler.loader import load_engine
from handler.models import ModelManager
from handler.settings import ModelSettings, Settings

def resident_mib():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024

table = ModelSettings(path=sys.argv[1], model_type="nllb", max_source_tokens=256, max_target_tokens=256)
settings = Settings(models={"m": table}, load="lazy", unload_after_s=0.2)
manager = ModelManager(build_catalog(settings), loader=partial(load_engine, batching=True))
print(resident_mib(), file=sys.stderr)
for _ in range(3):
    asyncio.run(manager.engine(manager.default))
    print(resident_mib(), file=sys.stderr)
    while manager.state(manager.default) != "unloaded":
        time.sleep(0.01)
    time.sleep(0.3)
    print(resident_mib(), file=sys.stderr)
"""


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


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def _at_once(call: Callable[[], None]) -> None:
    """Call it: no thread is busy."""
    call()


def test_an_idle_model_gives_its_memory_back(tmp_path: Path) -> None:
    """As often as it comes back: what the process holds is what it held before."""
    shutil.copytree(DEMO_MODELS / "nllb-demo", tmp_path / "fat")
    (tmp_path / "fat" / "manifest.json").unlink()
    weights = tmp_path / "fat" / "model.bin"
    model = read_model(DEMO_MODELS / "nllb-demo" / "model.bin")
    # Of the size of a layer's: from 32 MiB on, glibc asks the system for each block and gives it back by itself.
    fat = {f"fat_{number}": Variable(np.ones(1 << 20, np.float32), "float32") for number in range(WEIGHTS_MIB // 4)}
    write_model(replace(model, variables=model.variables | fat), weights)

    done = run_python("-c", MEASURE_UNLOADING, str(tmp_path / "fat"))

    assert done.returncode == 0, done.stderr
    before, *cycles = [int(line) for line in done.stderr.splitlines() if line.isdecimal()]
    print(f"resident MiB: {before} before, then loaded and unloaded {cycles}")
    for loaded, unloaded in zip(cycles[::2], cycles[1::2], strict=True):
        assert loaded - before > 0.9 * WEIGHTS_MIB
        assert unloaded - before < 0.25 * WEIGHTS_MIB


async def test_an_idle_model_is_loaded_again_by_the_next_who_asks() -> None:
    """The state says which it is; nothing else has changed."""
    loader = CountingLoader()
    manager = _manager(loader, load="lazy", unload_after_s=2.0)
    spec, other = manager.get("nllb-demo"), manager.get("t5-demo")
    fingerprint = (await manager.engine(spec)).fingerprint
    assert manager.state(spec) == "loaded"
    await asyncio.to_thread(_wait_until, lambda: manager.state(spec) == "unloaded")

    assert (await manager.engine(spec)).fingerprint == fingerprint
    assert manager.state(spec) == "loaded"
    assert manager.first_use_timings(spec)["load"] > 0
    assert manager.state(other) == "unloaded"
    assert loader.calls == ["nllb-demo", "nllb-demo"]


async def test_a_model_in_use_is_not_unloaded() -> None:
    """However long it is in use; its time begins anew with each end of a use."""
    manager = _manager(CountingLoader(), load="lazy", unload_after_s=2.0)
    spec = manager.get(None)
    with manager.used(spec, _at_once), manager.used(spec, _at_once):
        await manager.engine(spec)
        await asyncio.sleep(3.0)
        assert manager.state(spec) == "loaded"
    for _ in range(4):
        await asyncio.sleep(0.7)
        assert manager.state(spec) == "loaded"
        with manager.used(spec, _at_once):
            pass
    start = time.monotonic()

    await asyncio.to_thread(_wait_until, lambda: manager.state(spec) == "unloaded")

    assert 1.9 <= time.monotonic() - start < 5.0


async def test_a_thread_that_outlives_its_request_keeps_the_model() -> None:
    """A client has gone away, and its translation has not ended yet."""
    manager = _manager(CountingLoader(), load="lazy", unload_after_s=0.2)
    spec = manager.get(None)
    workers = Workers(1, max_queued=1)
    release = threading.Event()

    async def request() -> None:
        with workers.place() as place, manager.used(spec, place.when_idle):
            await manager.engine(spec)
            await place.run(lambda _: release.wait(PATIENCE_S))

    running = asyncio.create_task(request())
    await asyncio.to_thread(_wait_until, lambda: manager.state(spec) == "loaded")
    await asyncio.sleep(0.1)
    running.cancel()
    await asyncio.sleep(0.8)
    assert running.done()
    assert manager.state(spec) == "loaded"

    release.set()

    await asyncio.to_thread(_wait_until, lambda: manager.state(spec) == "unloaded")


async def test_no_thread_waits_where_nothing_is_unloaded() -> None:
    """Nor for a startup model, whatever holds for all models."""
    before = set(threading.enumerate())
    never = _manager(CountingLoader(), load="lazy")
    await never.engine(never.default)
    startup = _manager(CountingLoader(), unload_after_s=0.1, models={"t5-demo": {"load": "lazy"}})
    startup.start()
    startup.wait()
    await asyncio.sleep(0.3)

    assert startup.ready()
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("unload-")]


def test_unloading_a_startup_model_is_refused() -> None:
    """Its table contradicts itself; a table of a lazy one does not."""
    with pytest.raises(
        SettingsError, match=r"^models\.t5-demo\.unload_after_s: 5, and only models with load = \"lazy\""
    ):
        build_catalog(Settings(models={"t5-demo": ModelSettings(unload_after_s=5)}))
    tables = {"t5-demo": ModelSettings(unload_after_s=5, load="lazy")}
    catalog = build_catalog(Settings(models=tables, unload_after_s=7, model_path=DEMO_MODELS))

    assert {name: spec.unload_after_s for name, spec in catalog.models.items()} == {"t5-demo": 5, "nllb-demo": 0}


def test_a_server_unloads_an_idle_model_and_answers_again(tmp_path: Path) -> None:
    """What a client sees of it: a state, and the same answer."""
    question = {"text": "Where is the train station?", "target_lang": "fra_Latn", "model": "nllb-demo"}
    with running_server(tmp_path, LOAD="lazy", UNLOAD_AFTER_S="2") as server:

        def state() -> str:
            return str(server.request("GET", "/v1/models/nllb-demo").json()["state"])

        assert state() == "unloaded"
        first = server.chat(**question)
        assert state() == "loaded"
        _wait_until(lambda: state() == "unloaded")
        second = server.chat(**question, stream=True)
        assert second.status == 200
        # A model counts as unloaded before its memory is free, and only then is it logged.
        _wait_until(lambda: any(line["message"] == "model unloaded" for line in server.log_lines()))
        unloaded = [line for line in server.log_lines() if line["message"] == "model unloaded"]

    assert first.json()["choices"][0]["message"]["content"] == "Où est la gare ?"
    assert "gare" in second.body.decode()
    assert [(line["model"], line["idle_s"] >= 2) for line in unloaded[:1]] == [("nllb-demo", True)]
