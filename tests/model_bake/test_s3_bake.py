"""A checkpoint in a real S3 server: uploaded, its download interrupted, resumed, baked; a changed byte is refused."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bakery import DEMO, HERE, ROOT, command, contents, environment, run_bake
from object_storage import BUCKET, ObjectStorage, Wire, running_object_storage
from safetensors.numpy import load_file, save_file

CHECKPOINT = DEMO / "checkpoints" / "nllb-demo"
WAIT_S = 60.0
PADDING = 10_000_000
"""Weights that the model has no use for: they make the file one of three ranges."""


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStorage]:
    """A server with the demo's checkpoint and the model made of it."""
    folder = tmp_path_factory.mktemp("storage")
    large = folder / "model.safetensors"
    save_file(load_file(CHECKPOINT / large.name) | {"padding": np.zeros(PADDING, np.float32)}, large, {"format": "pt"})
    with running_object_storage(folder) as running:
        client = running.client()
        for path in CHECKPOINT.iterdir():
            client.upload_file(str(large if path.name == large.name else path), BUCKET, f"checkpoint/{path.name}")
        for path in (DEMO / "models" / "nllb-demo").iterdir():
            client.upload_file(str(path), BUCKET, f"models/nllb-demo/{path.name}")
        yield running


def test_an_interrupted_download_is_resumed_and_baked(storage: ObjectStorage, tmp_path: Path) -> None:
    """SIGKILL in the middle: the second run asks for what is missing, and the model is the committed one."""
    source, cache = f"s3://{BUCKET}/checkpoint", tmp_path / "cache"
    options = ["--cache", str(cache), "--name", "nllb-demo", "--quiet"]
    with Wire(storage).running() as wire:
        variables = storage.environment(AWS_ENDPOINT_URL_S3=wire.endpoint_url)
        wire.delay_s = 0.02
        bake = subprocess.Popen(
            command(source, tmp_path / "baked", *options),
            cwd=ROOT,
            env=environment(**variables),
            stderr=subprocess.PIPE,
            text=True,
        )
        there = _wait_for_ranges(cache, bake)
        bake.kill()
        bake.communicate(timeout=WAIT_S)
        assert not (tmp_path / "baked").exists()
        wire.delay_s = 0
        wire.requests.clear()

        done = run_bake(source, tmp_path / "baked", *options, **variables)  # type: ignore[arg-type] # none is a path

        assert done.code == 0, done.errors
        assert there
        asked = [asked for name, asked in wire.requests if name == "model.safetensors"]
        assert asked
        assert not there & set(asked)
    baked, committed = contents(tmp_path / "baked"), contents(DEMO / "models" / "nllb-demo")
    assert {name for name in baked if baked[name] != committed[name]} == {"manifest.json"}


def _wait_for_ranges(cache: Path, bake: "subprocess.Popen[str]") -> set[str]:
    """Return the ranges that the download has noted, as soon as there is one."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        assert bake.poll() is None, bake.communicate()
        for notes in cache.glob("s3/*/model.safetensors.part.ranges"):
            if noted := set(notes.read_text(encoding="utf-8").split("\n")[1:]) - {""}:
                return noted
        time.sleep(0.01)
    pytest.fail("the download did not begin")


def test_a_converted_model_is_baked_from_s3_without_torch(storage: ObjectStorage, tmp_path: Path) -> None:
    """Its manifest comes with it and is held to; the URL is the source of what has none."""
    variables = storage.environment()

    baked = run_bake(
        f"s3://{BUCKET}/models/nllb-demo",
        tmp_path / "baked",
        "--cache",
        str(tmp_path / "cache"),
        "--quiet",
        python=HERE,
        **variables,
    )

    assert baked.code == 0, baked.errors
    assert contents(tmp_path / "baked")["model.bin"] == contents(DEMO / "models" / "nllb-demo")["model.bin"]


def test_a_changed_byte_is_refused(storage: ObjectStorage, tmp_path: Path) -> None:
    """Somebody replaced an object, and the manifest beside it says what it was."""
    changed = bytearray((DEMO / "models" / "nllb-demo" / "model.bin").read_bytes())
    changed[len(changed) // 2] ^= 1
    client = storage.client()
    for path in (DEMO / "models" / "nllb-demo").iterdir():
        client.upload_file(str(path), BUCKET, f"changed/{path.name}")
    client.put_object(Bucket=BUCKET, Key="changed/model.bin", Body=bytes(changed))

    line = run_bake(
        f"s3://{BUCKET}/changed",
        tmp_path / "out" / "baked",
        "--cache",
        str(tmp_path / "cache"),
        python=HERE,
        **storage.environment(),
    ).refusal()

    assert "model.bin" in line
    assert "SHA-256" in line
    assert not (tmp_path / "out").exists()


def test_a_prefix_that_is_not_there_is_one_line(storage: ObjectStorage, tmp_path: Path) -> None:
    """It names the URL."""
    line = run_bake(f"s3://{BUCKET}/nowhere", tmp_path / "baked", python=HERE, **storage.environment()).refusal()

    assert f"s3://{BUCKET}/nowhere" in line
