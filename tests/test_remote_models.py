"""Models in object storage, from a real S3 server: fetched once, resumed, shared, checked, or one clear line."""

import asyncio
import hashlib
import json
import logging
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from conftest import Server, run_python, running_server
from object_storage import (
    BUCKET,
    LISTER_KEY,
    LISTER_SECRET,
    STRANGER_KEY,
    STRANGER_SECRET,
    ObjectStorage,
    Wire,
    running_object_storage,
)

from handler import models as models_module
from handler.catalog import Catalog, ModelSpec, build_catalog
from handler.engine import Engine
from handler.errors import DownloadError, ManifestError, ModelLoadError, SettingsError
from handler.loader import LoadReport, load_engine
from handler.models import ModelManager
from handler.s3 import PART_BYTES
from handler.settings import DEMO_MODELS, ModelSettings, Settings

PADDING = "padding.bin"
PADDING_BYTES = 2 * PART_BYTES + PART_BYTES // 2
"""Three ranges, of which the last is there first."""
RANGES = 3
SMALL_FILES_BYTES = 3_000_000
"""More than all the rest of the model and the heads of all answers."""
SLOW_S = 0.1
"""Before each 64 KiB: a range takes 25 s."""
PATIENCE_S = 60.0
QUESTION = {"text": "Where is the train station?", "target_lang": "fra_Latn"}
ANSWER = "Où est la gare ?"


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStorage]:
    """A server with the embedded models in a folder, and one of them with a file that takes its time."""
    folder = tmp_path_factory.mktemp("storage")
    large = folder / "large"
    shutil.copytree(DEMO_MODELS / "nllb-demo", large)
    (large / PADDING).write_bytes(Random(1).randbytes(PADDING_BYTES))
    edit_manifest(large, lambda manifest: manifest["files"].update({PADDING: entry(large / PADDING)}))
    with running_object_storage(folder) as running:
        upload(running, large, "large")
        for path in DEMO_MODELS.iterdir():
            upload(running, path, f"all/{path.name}")
        yield running


@pytest.fixture
def wire(storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """The way to the server that boto3 is told to take, in this process and in those it starts."""
    with Wire(storage).taken(storage, monkeypatch) as wire:
        yield wire


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """An empty cache folder."""
    return tmp_path / "cache"


def entry(path: Path) -> dict[str, Any]:
    """Return what a manifest says of a file."""
    data = path.read_bytes()
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def edit_manifest(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what a folder says of itself."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_bytes())
    change(manifest)
    path.write_text(json.dumps(manifest), encoding="utf-8")


def upload(storage: ObjectStorage, folder: Path, prefix: str) -> str:
    """Upload a folder and return its URL."""
    client = storage.client()
    for path in folder.iterdir():
        client.upload_file(str(path), BUCKET, f"{prefix}/{path.name}")
    return f"s3://{BUCKET}/{prefix}"


def upload_demo(
    storage: ObjectStorage, tmp_path: Path, prefix: str, change: Callable[[dict[str, Any]], object] | None = None
) -> str:
    """Upload the embedded NLLB model, with another manifest, and return its URL."""
    folder = tmp_path / f"of-{prefix}"
    shutil.copytree(DEMO_MODELS / "nllb-demo", folder)
    if change:
        edit_manifest(folder, change)
    return upload(storage, folder, prefix)


def catalog_of(url: str, cache: Path, **settings: Any) -> Catalog:
    """Return what is served of a URL."""
    return build_catalog(Settings(model_path=url, model_cache=cache, **settings))


def spec_of(url: str, cache: Path, **settings: Any) -> ModelSpec:
    """Return the one model that is served of a URL."""
    [spec] = catalog_of(url, cache, **settings).models.values()
    return spec


def one_line(error: BaseException) -> str:
    """Return the message of an error, which has to be one line."""
    assert "\n" not in str(error)
    return str(error)


def wait_until(condition: Callable[[], bool]) -> None:
    """Return once ``condition`` holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def noted(cache: Path) -> set[str]:
    """Return the ranges of the large file that an unfinished download has noted."""
    for notes in cache.glob(f"models/*/*.part/{PADDING}.part.ranges"):
        return set(notes.read_text(encoding="utf-8").split("\n")[1:])
    return set()


def versions(cache: Path) -> list[str]:
    """Return the names of the copies in a cache, complete or not."""
    return sorted(path.name for path in cache.glob("models/*/*"))


def asked_for(wire: Wire, name: str = PADDING) -> list[str]:
    """Return the ranges of a file that have been asked for, as often as they have been."""
    return [asked for file, asked in wire.requests if file == name]


def logged(server: Server, message: str) -> list[dict[str, Any]]:
    """Return the lines of a server's log with this message."""
    return [line for line in server.log_lines() if line["message"] == message]


# --- served -----------------------------------------------------------------------------------------------------------


def test_a_folder_of_models_in_object_storage_is_served(wire: Wire, tmp_path: Path, cache: Path) -> None:
    """As a folder of this machine is, and at the second start from the copy."""
    settings = {"MODEL_PATH": f"s3://{BUCKET}/all/", "MODEL_CACHE": str(cache)}
    with running_server(tmp_path, ready=True, **settings) as server:
        first = server.chat(**QUESTION, model="nllb-demo")
        listed = server.request("GET", "/v1/models").json()["data"]
    fetched = asked_for(wire, "model.bin")
    wire.requests.clear()
    with running_server(tmp_path, ready=True, **settings) as server:
        second = server.chat("translate English to German: I have lost my umbrella in Venice.", model="t5-demo")

    assert first.json()["choices"][0]["message"]["content"] == ANSWER
    assert second.json()["choices"][0]["message"]["content"] == "Ich habe meinen Regenschirm in Venedig verloren."
    assert [(model["id"], model["demo"]) for model in listed] == [("nllb-demo", True), ("t5-demo", True)]
    assert all(model["created"] > time.time() - 3600 for model in listed)
    assert len(fetched) == 2
    assert {name for name, _ in wire.requests} == {"manifest.json"}


def test_a_server_lives_while_it_downloads_and_is_ready_when_it_has(wire: Wire, tmp_path: Path, cache: Path) -> None:
    """The load is told of like any other; its files are written nowhere but into the cache."""
    wire.delay_s = 0.005
    settings = {"MODEL_PATH": f"s3://{BUCKET}/large", "MODEL_CACHE": str(cache)}
    with running_server(tmp_path, ready=False, **settings) as server:
        live = server.request("GET", "/health/live").status
        ready = server.request("GET", "/health/ready")
        [unfinished] = versions(cache)
        wait_until(lambda: server.request("GET", "/health/ready").status == 200)
        answer = server.chat(**QUESTION)
        [downloaded] = logged(server, "model downloaded")
        [loaded] = logged(server, "demo model loaded")

    assert (live, ready.status, ready.json()["status"]) == (200, 503, "loading")
    assert unfinished.endswith(".part")
    assert answer.json()["choices"][0]["message"]["content"] == ANSWER
    assert downloaded["url"] == f"s3://{BUCKET}/large"
    assert PADDING_BYTES < downloaded["bytes"] < PADDING_BYTES + SMALL_FILES_BYTES
    assert loaded["fetch_ms"] >= 1000
    assert versions(cache) == [unfinished.removesuffix(".part")]
    assert {path.name for path in tmp_path.iterdir()} == {"cache", "server.log"}


def test_a_lazy_model_is_downloaded_by_the_first_request(wire: Wire, tmp_path: Path, cache: Path) -> None:
    """The start looks at the manifest alone."""
    config = tmp_path / "config.toml"
    config.write_text(
        f'model_cache = "{cache}"\nload = "lazy"\n[models.mine]\npath = "s3://{BUCKET}/all/nllb-demo"\n',
        encoding="utf-8",
    )
    with running_server(tmp_path, "--config", str(config)) as server:
        before = {name for name, _ in wire.requests}
        assert not cache.exists()
        answer = server.chat(**QUESTION, model="mine")
        timing = answer.headers["server-timing"]

    assert before == {"manifest.json"}
    assert answer.json()["choices"][0]["message"]["content"] == ANSWER
    assert "load;dur=" in timing


def test_a_folder_without_a_manifest_needs_its_type(
    wire: Wire, storage: ObjectStorage, tmp_path: Path, cache: Path
) -> None:
    """Only what a server may need is fetched of it: a checkpoint may lie beside."""
    folder = tmp_path / "plain"
    shutil.copytree(DEMO_MODELS / "nllb-demo", folder)
    (folder / "manifest.json").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"large")
    url = upload(storage, folder, "plain")

    def catalog(**table: Any) -> Catalog:
        return build_catalog(Settings(models={"x": ModelSettings(path=url, **table)}, model_cache=cache))

    with pytest.raises(SettingsError, match=rf"models\.x\.model_type: {url} has no manifest\.json"):
        catalog()
    with pytest.raises(SettingsError, match=rf"model_path: {url} has no manifest\.json"):
        catalog_of(url, cache)
    spec = catalog(model_type="nllb").models["x"]
    engine, _ = load_engine(spec)

    assert engine.languages == {"deu_Latn", "eng_Latn", "fra_Latn", "spa_Latn"}
    assert {path.name for path in spec.path.iterdir()} == {path.name for path in folder.iterdir()} - {
        "pytorch_model.bin"
    }
    assert not asked_for(wire, "pytorch_model.bin")


# --- resumed and shared -----------------------------------------------------------------------------------------------


def test_a_killed_download_is_resumed(wire: Wire, tmp_path: Path, cache: Path) -> None:
    """SIGKILL in the middle: the next process asks for what is missing, and for nothing that was there."""
    wire.delay_s = 0.01
    settings = {"MODEL_PATH": f"s3://{BUCKET}/large", "MODEL_CACHE": str(cache)}
    with running_server(tmp_path, ready=False, **settings) as server:
        wait_until(lambda: bool(noted(cache)))
        server.process.kill()
        server.process.wait(10)
    there = noted(cache)
    assert len(there) == 1
    wire.delay_s = 0
    wire.requests.clear()
    wire.sizes.clear()

    with running_server(tmp_path, ready=True, **settings) as server:
        answer = server.chat(**QUESTION)

    assert answer.json()["choices"][0]["message"]["content"] == ANSWER
    assert len(asked_for(wire)) == RANGES - 1
    assert not there & set(asked_for(wire))
    assert 2 * PART_BYTES < wire.served < 2 * PART_BYTES + SMALL_FILES_BYTES


def test_processes_of_one_machine_share_a_download(wire: Wire, tmp_path: Path, cache: Path) -> None:
    """The second waits, and finds it complete."""
    wire.delay_s = SLOW_S
    settings = {"MODEL_PATH": f"s3://{BUCKET}/large", "MODEL_CACHE": str(cache)}
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with (
        running_server(tmp_path / "a", ready=False, **settings) as first,
        running_server(tmp_path / "b", ready=False, **settings) as second,
    ):
        time.sleep(0.5)
        wire.delay_s = 0.005
        for server in (first, second):
            wait_until(lambda server=server: server.request("GET", "/health/ready").status == 200)  # type: ignore[misc]
            assert server.chat(**QUESTION).json()["choices"][0]["message"]["content"] == ANSWER
        counts = {len(logged(server, "model downloaded")) for server in (first, second)}
        found = [logged(server, "model was downloaded by another process") for server in (first, second)]

    assert len(asked_for(wire)) == RANGES
    assert counts == {0, 1}
    assert sorted(map(len, found)) == [0, 1]
    assert PADDING_BYTES < wire.served < PADDING_BYTES + SMALL_FILES_BYTES


def test_who_waits_for_a_process_that_is_killed_takes_over(wire: Wire, tmp_path: Path, cache: Path) -> None:
    """A lock is gone with its holder; what that has fetched is not fetched again."""
    wire.delay_s = SLOW_S
    settings = {"MODEL_PATH": f"s3://{BUCKET}/large", "MODEL_CACHE": str(cache)}
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with running_server(tmp_path / "a", ready=False, **settings) as first:
        wait_until(lambda: bool(asked_for(wire)))
        with running_server(tmp_path / "b", ready=False, **settings) as second:
            wire.delay_s = 0.01
            wait_until(lambda: bool(noted(cache)))
            wire.delay_s = SLOW_S
            assert not logged(second, "model is being downloaded")
            first.process.kill()
            first.process.wait(10)
            there = noted(cache)
            wire.requests.clear()
            wire.delay_s = 0
            wait_until(lambda: second.request("GET", "/health/ready").status == 200)
            [downloaded] = logged(second, "model downloaded")

    assert there
    assert not there & set(asked_for(wire))
    assert downloaded["bytes"] < PADDING_BYTES


@pytest.mark.parametrize("waiting", [False, True], ids=["downloads", "waits"])
def test_a_process_that_is_told_to_end_ends(wire: Wire, tmp_path: Path, cache: Path, *, waiting: bool) -> None:
    """The download of a large model would hold it up for minutes."""
    wire.delay_s = SLOW_S
    settings = {"MODEL_PATH": f"s3://{BUCKET}/large", "MODEL_CACHE": str(cache)}
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with running_server(tmp_path / "a", ready=False, **settings) as first:
        wait_until(lambda: bool(asked_for(wire)))
        with running_server(tmp_path / "b", ready=False, **settings) as second:
            ending = second if waiting else first
            start = time.monotonic()
            ending.process.send_signal(signal.SIGTERM)
            ending.process.wait(PATIENCE_S)
            took_s = time.monotonic() - start

    assert took_s < 10
    assert ending.process.returncode == 0
    assert not list(cache.glob("models/*/*[!t]"))


# --- versions ---------------------------------------------------------------------------------------------------------


def test_a_replaced_object_is_another_copy(wire: Wire, storage: ObjectStorage, tmp_path: Path, cache: Path) -> None:
    """A new start takes it whole; the old copy stays for the process that has loaded it, and goes with that."""
    url = upload_demo(storage, tmp_path, "replaced")
    old = spec_of(url, cache)
    unused = spec_of(url, cache)
    old.folder.fetch()
    old_version = versions(cache)
    storage.client().put_object(Bucket=BUCKET, Key="replaced/config.json", Body=(old.path / "config.json").read_bytes())
    assert spec_of(url, cache).path == old.path, "the same bytes are the same version"
    changed = json.dumps({"changed": True}).encode()
    edited = json.loads((old.path / "manifest.json").read_bytes())
    edited["files"]["config.json"] = {"size": len(changed), "sha256": hashlib.sha256(changed).hexdigest()}
    for name, data in {"config.json": changed, "manifest.json": json.dumps(edited).encode()}.items():
        storage.client().put_object(Bucket=BUCKET, Key=f"replaced/{name}", Body=data)

    new = spec_of(url, cache)
    new.folder.fetch()

    assert new.path != old.path
    assert (new.path / "config.json").read_bytes() == changed
    assert {path.name for path in new.path.iterdir()} == {path.name for path in old.path.iterdir()}
    assert versions(cache) == sorted([*old_version, new.path.name]), "in use"
    wire.requests.clear()
    old.folder.fetch()
    assert wire.requests == []
    assert unused.path == old.path


def test_a_copy_that_nobody_uses_goes_when_another_comes(storage: ObjectStorage, tmp_path: Path, cache: Path) -> None:
    """And so does what is left of a download that nobody will resume."""
    url = upload_demo(storage, tmp_path, "renewed")
    code = "import sys; from handler.catalog import *; from handler.settings import *\n"
    code += "[s] = build_catalog(Settings(model_path=sys.argv[1], model_cache=sys.argv[2])).models.values()\n"
    code += "s.folder.fetch(); print(s.path.name)"
    done = run_python("-c", code, url, str(cache), **storage.environment())
    assert done.returncode == 0, done.stderr
    old = done.stdout.splitlines()[-1]
    assert versions(cache) == [old]
    [parent] = cache.glob("models/*/")
    (parent / "0123456789abcdef.part").mkdir()
    (parent / "0123456789abcdef.part" / "model.bin.part").write_bytes(b"half")
    manifest = json.loads((DEMO_MODELS / "nllb-demo" / "manifest.json").read_bytes()) | {"description": "new"}
    storage.client().put_object(Bucket=BUCKET, Key="renewed/manifest.json", Body=json.dumps(manifest).encode())

    done = run_python("-c", code, url, str(cache), **storage.environment())

    assert done.returncode == 0, done.stderr
    assert versions(cache) == [done.stdout.splitlines()[-1]] != [old]


@pytest.mark.usefixtures("wire")
def test_an_object_replaced_after_the_start_is_not_mixed_in(
    storage: ObjectStorage, tmp_path: Path, cache: Path
) -> None:
    """What was listed is what is served; the line says what to do."""
    url = upload_demo(storage, tmp_path, "late")
    spec = spec_of(url, cache)
    data = bytearray((DEMO_MODELS / "nllb-demo" / "model.bin").read_bytes())
    data[-1] ^= 1
    storage.client().put_object(Bucket=BUCKET, Key="late/model.bin", Body=bytes(data))

    with pytest.raises(DownloadError) as caught:
        spec.folder.fetch()

    assert one_line(caught.value) == f"{url}/model.bin: it was replaced after it had been listed; start again"
    assert not spec.path.exists()


@pytest.mark.usefixtures("wire")
@pytest.mark.parametrize("verify", ["size", "sha256"])
def test_a_damaged_copy_is_fetched_anew(cache: Path, verify: str) -> None:
    """A size is always looked at, contents where they are asked for."""
    spec = spec_of(f"s3://{BUCKET}/all/nllb-demo", cache, verify=verify)
    spec.folder.fetch()
    weights = spec.path / "model.bin"
    good = weights.read_bytes()
    weights.write_bytes(good[:-1] + (b"" if verify == "size" else bytes([good[-1] ^ 1])))

    spec.folder.fetch()

    assert weights.read_bytes() == good
    assert versions(cache) == [spec.path.name]


@pytest.mark.usefixtures("wire")
def test_a_cache_that_cannot_be_written_serves_what_it_holds(cache: Path) -> None:
    """As a volume that several machines read."""
    spec_of(f"s3://{BUCKET}/all/nllb-demo", cache).folder.fetch()
    for folder in (cache, *cache.rglob("*")):
        folder.chmod(0o555 if folder.is_dir() else 0o444)

    spec = spec_of(f"s3://{BUCKET}/all/nllb-demo", cache)
    engine, report = load_engine(spec)

    for folder in (cache, *cache.rglob("*")):
        folder.chmod(0o755 if folder.is_dir() else 0o644)
    assert engine.family == "nllb"
    assert report.fetch_ms < 1000


# --- refused ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "variables", "said"),
    [
        ("s3://no-such-bucket/m", {}, "s3://no-such-bucket/m/: there is no such bucket"),
        (f"s3://{BUCKET}/nowhere", {}, f"s3://{BUCKET}/nowhere: nothing stands below this prefix"),
        (
            f"s3://{BUCKET}/large",
            {"AWS_ACCESS_KEY_ID": STRANGER_KEY, "AWS_SECRET_ACCESS_KEY": STRANGER_SECRET},
            f"s3://{BUCKET}/large/: access is denied; it takes s3:ListBucket",
        ),
        (
            f"s3://{BUCKET}/large",
            {"AWS_ACCESS_KEY_ID": LISTER_KEY, "AWS_SECRET_ACCESS_KEY": LISTER_SECRET},
            f"s3://{BUCKET}/large/config.json: access is denied; it takes",
        ),
        (f"s3://{BUCKET}/large", {"AWS_SECRET_ACCESS_KEY": "wrong"}, "the credentials are refused"),
        (f"s3://{BUCKET}/large", {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}, "check the network"),
        ("s3:/bucket/m", {}, "s3:/bucket/m: not of the form s3://bucket/prefix"),
        ("s3://me:test-secret@bucket/m", {}, "s3://...@bucket/m: not of the form"),
        (f"s3://{BUCKET}/large", {"AWS_LAMBDA_FUNCTION_NAME": "f"}, "a Lambda function downloads no models; bake"),
    ],
    ids=["bucket", "prefix", "listing", "reading", "secret", "network", "form", "password", "lambda"],
)
def test_a_wrong_place_stops_the_start_with_one_line(
    storage: ObjectStorage, tmp_path: Path, path: str, variables: dict[str, str], said: str
) -> None:
    """That names the setting, the bucket, the key and what to do."""
    environment = storage.environment(MODEL_PATH=path, MODEL_CACHE=str(tmp_path / "cache"), **variables)

    done = run_python("-m", "handler", "--port", "0", **environment)

    [line] = done.stderr.splitlines()
    assert done.returncode == 2
    assert line.startswith("error: environment variable MODEL_PATH: s3:")
    assert said in line
    assert "test-secret" not in line
    assert not (tmp_path / "cache").exists()


@pytest.mark.usefixtures("wire")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda manifest: manifest["files"].update({"more.bin": {"size": 1, "sha256": ""}}), "/more.bin: the manifest"),
        (lambda manifest: manifest["files"]["model.bin"].update(size=5), "/model.bin: 1865340 bytes, and the manifest"),
        (lambda manifest: manifest.update(schema_version=2), "/manifest.json: schema_version is 2"),
    ],
    ids=["missing", "size", "manifest"],
)
def test_a_folder_that_is_not_what_was_baked_stops_the_start(
    storage: ObjectStorage,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    change: Callable[[dict[str, Any]], object],
    said: str,
) -> None:
    """Whatever can be seen before the weights are here."""
    url = upload_demo(storage, tmp_path, f"broken-{request.node.callspec.id}", change)

    with pytest.raises(ManifestError) as caught:
        catalog_of(url, tmp_path / "cache")

    assert one_line(caught.value).startswith(url)
    assert said in str(caught.value)


@pytest.mark.usefixtures("wire")
def test_a_table_whose_url_holds_no_model_is_one_line(storage: ObjectStorage, cache: Path) -> None:
    """It names the model's own setting."""
    storage.client().put_object(Bucket=BUCKET, Key="nested/folder/model.txt", Body=b"")
    settings = Settings(models={"x": ModelSettings(path=f"s3://{BUCKET}/all")}, model_cache=cache)

    with pytest.raises(SettingsError, match=rf"^models\.x\.path: s3://{BUCKET}/all holds no model\.bin$"):
        build_catalog(settings)
    with pytest.raises(SettingsError, match="and neither do its folders"):
        catalog_of(f"s3://{BUCKET}/nested", cache)


def test_a_wrong_hash_is_not_served(storage: ObjectStorage, tmp_path: Path, cache: Path) -> None:
    """The line is in the log, requests are answered 503, and nothing has the copy's name."""
    wrong = "0" * 64
    url = upload_demo(
        storage, tmp_path, "wrong-hash", lambda manifest: manifest["files"]["model.bin"].update(sha256=wrong)
    )
    environment = storage.environment(MODEL_PATH=url, MODEL_CACHE=str(cache))
    with running_server(tmp_path, ready=False, **environment) as server:
        wait_until(lambda: bool(logged(server, "model failed to load")))
        [failed] = logged(server, "model failed to load")
        answer = server.chat(**QUESTION)
        ready = server.request("GET", "/health/ready")

    right = json.loads((DEMO_MODELS / "nllb-demo" / "manifest.json").read_bytes())["files"]["model.bin"]["sha256"]
    assert failed["reason"].startswith(
        f"DownloadError: {url}/model.bin: sha256 of the download is {right}, expected {wrong}; "
    )
    assert (answer.status, answer.json()["error"]["code"]) == (503, "model_load_failed")
    assert (ready.status, ready.json()["status"]) == (503, "failed")
    assert [name[-5:] for name in versions(cache)] == [".part"]
    assert not list(cache.glob("models/*/*/model.bin*"))


@pytest.mark.usefixtures("wire")
def test_a_disk_without_room_is_left_alone(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be full for everybody else as well."""
    spec = spec_of(f"s3://{BUCKET}/large", cache)
    usage = shutil.disk_usage(cache.parent)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    with pytest.raises(DownloadError) as caught:
        spec.folder.fetch()

    assert one_line(caught.value).startswith(f"s3://{BUCKET}/large: {spec.path.parent}: ")
    assert "44.1 MB are to be written and 1 MB are free; make room" in str(caught.value).replace("1.00", "1")
    assert f"(model_cache = {cache})" in str(caught.value)
    assert versions(cache) == []


@pytest.mark.usefixtures("wire")
def test_a_disk_that_becomes_full_is_one_line(cache: Path) -> None:
    """What was fetched stays for the next attempt."""
    spec = spec_of(f"s3://{BUCKET}/all/nllb-demo", cache)
    unfinished = spec.path.with_name(f"{spec.path.name}.part")
    unfinished.mkdir(parents=True)
    (unfinished / "model.bin.part").symlink_to("/dev/full")

    with pytest.raises(DownloadError) as caught:
        spec.folder.fetch()

    assert one_line(caught.value) == (
        f"s3://{BUCKET}/all/nllb-demo: {unfinished / 'model.bin.part'}: cannot be written: No space left on device; "
        f"make room and try again, what has been fetched is kept (model_cache = {cache})"
    )
    (unfinished / "model.bin.part").unlink()
    spec.folder.fetch()
    assert versions(cache) == [spec.path.name]


@pytest.mark.usefixtures("wire")
def test_a_cache_that_is_no_folder_is_one_line(cache: Path) -> None:
    """Of the load: what is wrong with the cache does not matter to who needs none."""
    cache.write_bytes(b"")
    spec = spec_of(f"s3://{BUCKET}/all/nllb-demo", cache)

    with pytest.raises(DownloadError, match=r"^s3://\S+: /\S+: cannot be written: Not a directory \(model_cache = "):
        spec.folder.fetch()


# --- tried again ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("wire")
def test_a_failed_download_is_tried_again_after_a_pause(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither requests nor probes hammer the store, and each failure makes the pause longer."""
    caplog.set_level(logging.CRITICAL)
    calls: list[float] = []
    works = False

    def loader(spec: ModelSpec) -> tuple[Engine, LoadReport]:
        calls.append(time.monotonic())
        if not works:
            message = "no"
            raise DownloadError(message)
        return load_engine(spec)

    monkeypatch.setattr(models_module, "_RETRY_S", 0.4)
    manager = ModelManager(catalog_of(f"s3://{BUCKET}/all/nllb-demo", cache), loader=loader)
    manager.start()
    manager.wait()
    for _ in range(20):
        with pytest.raises(ModelLoadError):
            asyncio.run(manager.engine(manager.default))
        assert not manager.ready()
    assert len(calls) == 1

    while len(calls) < 4:
        manager.ready()
        time.sleep(0.01)
    manager.wait()
    pauses = [later - earlier for earlier, later in pairwise(calls)]
    assert 0.4 <= pauses[0] < 0.8 <= pauses[1] < 1.6 <= pauses[2]

    works = True
    wait_until(manager.ready)
    assert asyncio.run(manager.engine(manager.default))
