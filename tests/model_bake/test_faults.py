"""What goes wrong ends in one line that names the thing, and leaves nothing that looks like a model."""

import json
import os
import shutil
import signal
import struct
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from bakery import DEMO, HERE, ROOT, command, contents, environment, run_bake
from checkpoints import write_checkpoint

MODEL = DEMO / "models" / "nllb-demo"
WAIT_S = 60.0


def left_over(folder: Path) -> list[str]:
    """Return the names in a folder, hidden ones too."""
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint to damage."""
    return write_checkpoint("nllb", tmp_path / "source" / "nllb")


@pytest.fixture
def converted(tmp_path: Path) -> Path:
    """A baked model to damage."""
    return Path(shutil.copytree(MODEL, tmp_path / "source" / "converted"))


def edit_json(path: Path, **changes: object) -> None:
    """Change keys of a JSON object on disk."""
    path.write_text(json.dumps(json.loads(path.read_bytes()) | changes), encoding="utf-8")


def truncate(path: Path) -> None:
    """Cut a file off, as an interrupted copy does."""
    path.write_bytes(path.read_bytes()[:-100])


def poison(path: Path) -> None:
    """Write a value that is not a number into the first tensor of a safetensors file."""
    data = bytearray(path.read_bytes())
    start = 8 + struct.unpack("<Q", data[:8])[0]
    data[start : start + 4] = struct.pack("<f", float("nan"))
    path.write_bytes(data)


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def other_architecture(folder: Path) -> None:
    """Make it a model of another kind."""
    edit_json(folder / "config.json", architectures=["MarianMTModel"], model_type="marian")


def wrong_sums(folder: Path) -> None:
    """List another hash than the file has."""
    (folder / "SHA256SUMS").write_text(f"{'0' * 64}  model.safetensors\n", encoding="utf-8")


def drop_tensor(folder: Path) -> None:
    """Rename a weight, so that the model lacks it."""
    path = folder / "model.safetensors"
    path.write_bytes(
        path.read_bytes().replace(b"model.encoder.layers.1.fc1.weight", b"model.encoder.layers.1.fcX.weight")
    )


@pytest.mark.parametrize(
    ("damage", "parts"),
    [
        (lambda folder: (folder / "config.json").unlink(), ["config.json", "nllb"]),
        (lambda folder: (folder / "config.json").write_text("{"), ["config.json", "not JSON"]),
        (other_architecture, ["MarianMTModel", "M2M100ForConditionalGeneration", "T5ForConditionalGeneration"]),
        (lambda folder: (folder / "sentencepiece.bpe.model").unlink(), ["SentencePiece", "sentencepiece.bpe.model"]),
        (lambda folder: (folder / "model.safetensors").unlink(), ["weights", "model.safetensors", "pytorch_model.bin"]),
        (wrong_sums, ["model.safetensors", "SHA-256", "SHA256SUMS"]),
        (lambda folder: edit_json(folder / "config.json", max_position_embeddings="many"), ["max_position", "'many'"]),
    ],
    ids=["no config", "broken config", "architecture", "no tokenizer", "no weights", "checksum", "positions"],
)
def test_a_source_that_cannot_be_baked_is_refused_without_torch(
    checkpoint: Path, tmp_path: Path, damage: Callable[[Path], object], parts: list[str]
) -> None:
    """Before anything large is read: an environment without torch says the same."""
    damage(checkpoint)

    line = run_bake(checkpoint, tmp_path / "out" / "baked", python=HERE).refusal()

    assert all(part in line for part in parts), line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("damage", "parts"),
    [
        (lambda folder: truncate(folder / "model.safetensors"), ["model.safetensors", "not readable as weights"]),
        (lambda folder: poison(folder / "model.safetensors"), ["model.safetensors", "not finite"]),
        (drop_tensor, ["missing", "model.encoder.layers.1.fc1.weight"]),
        (lambda folder: truncate(folder / "sentencepiece.bpe.model"), ["tokenizer"]),
        (lambda folder: edit_json(folder / "config.json", d_model=32), ["config.json", "size mismatch"]),
        (lambda folder: edit_json(folder / "config.json", vocab_size=100), ["config.json", "size mismatch"]),
    ],
    ids=["truncated", "not a number", "weight missing", "tokenizer", "shape", "vocabulary"],
)
def test_a_damaged_checkpoint_is_refused(
    checkpoint: Path, tmp_path: Path, damage: Callable[[Path], object], parts: list[str]
) -> None:
    """It loads in no other way than whole."""
    damage(checkpoint)

    line = run_bake(checkpoint, tmp_path / "out" / "baked").refusal()

    assert all(part in line for part in parts), line
    assert not (tmp_path / "out").exists()


def test_a_damaged_pickle_is_refused(tmp_path: Path) -> None:
    """The archive has checksums, which torch itself does not look at."""
    checkpoint = write_checkpoint("nllb", tmp_path / "nllb", weights="bin")
    path = checkpoint / "pytorch_model.bin"
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda info: info.file_size)
    data = bytearray(path.read_bytes())
    data[largest.header_offset + largest.file_size // 2] ^= 1
    path.write_bytes(data)

    line = run_bake(checkpoint, tmp_path / "out" / "baked").refusal()

    assert "pytorch_model.bin" in line
    assert "checksum" in line


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    """Weights are data."""
    checkpoint = write_checkpoint("nllb", tmp_path / "nllb", weights="bin")
    path, trace = checkpoint / "pytorch_model.bin", tmp_path / "ran"
    code = f"cposix\nsystem\n(S'touch {trace}'\ntR.".encode()
    with zipfile.ZipFile(path) as archive:
        entries = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, code if name.endswith("data.pkl") else content)

    line = run_bake(checkpoint, tmp_path / "out" / "baked").refusal()

    assert "pytorch_model.bin" in line
    assert not trace.exists()


def test_a_checkpoint_that_brings_code_is_not_run(checkpoint: Path, tmp_path: Path) -> None:
    """Transformers would ask whether to trust it, and a pipe may say yes."""
    trace = tmp_path / "ran"
    (checkpoint / "evil.py").write_text(f"open({str(trace)!r}, 'w')\nclass Evil: pass\n", encoding="utf-8")
    edit_json(checkpoint / "config.json", model_type="evil", auto_map={"AutoConfig": "evil.Evil"})

    done = subprocess.run(
        command(checkpoint, tmp_path / "out" / "baked"),
        cwd=ROOT,
        env=environment(),
        input="y\n" * 5,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert not trace.exists()


def test_what_was_not_checked_is_not_read(tmp_path: Path) -> None:
    """Transformers takes whatever it finds in a folder: a file that T5 does not need changed its tokens."""
    checkpoint = write_checkpoint("t5", tmp_path / "t5")
    (checkpoint / "tokenizer.json").write_text("not even JSON", encoding="utf-8")

    assert run_bake(checkpoint, tmp_path / "baked", "--quiet").code == 0


@pytest.mark.parametrize(
    ("damage", "parts"),
    [
        (lambda folder: flip(folder / "model.bin"), ["model.bin", "SHA-256", "manifest"]),
        (lambda folder: truncate(folder / "model.bin"), ["model.bin", "bytes", "manifest"]),
        (lambda folder: (folder / "manifest.json").write_text("{"), ["manifest.json", "JSON"]),
        (lambda folder: (folder / "shared_vocabulary.json").unlink(), ["shared_vocabulary.json"]),
        (lambda folder: (folder / "shared_vocabulary.json").write_text("[1]"), ["shared_vocabulary.json", "tokens"]),
    ],
    ids=["changed byte", "truncated", "broken manifest", "no vocabulary", "odd vocabulary"],
)
def test_a_damaged_converted_folder_is_refused(
    converted: Path, tmp_path: Path, damage: Callable[[Path], object], parts: list[str]
) -> None:
    """The manifest an earlier bake wrote is held to."""
    damage(converted)

    line = run_bake(converted, tmp_path / "out" / "baked", python=HERE).refusal()

    assert all(part in line for part in parts), line


def test_a_converted_model_of_another_kind_is_refused(converted: Path, tmp_path: Path) -> None:
    """Nothing in a converted folder says what it is but its tokens."""
    (converted / "manifest.json").unlink()
    tokens = [f"token{number}" for number in range(2006)]
    (converted / "shared_vocabulary.json").write_text(json.dumps(tokens), encoding="utf-8")

    assert "T5" in run_bake(converted, tmp_path / "out" / "baked", python=HERE).refusal()

    tokens[0] = "<extra_id_0>"
    (converted / "shared_vocabulary.json").write_text(json.dumps(tokens), encoding="utf-8")
    (converted / "sentencepiece.bpe.model").rename(converted / "spiece.model")
    assert "weights are of another family" in run_bake(converted, tmp_path / "out" / "baked", python=HERE).refusal()


def test_a_truncated_model_without_a_manifest_is_refused(converted: Path, tmp_path: Path) -> None:
    """Its own structure tells."""
    (converted / "manifest.json").unlink()
    truncate(converted / "model.bin")

    line = run_bake(converted, tmp_path / "out" / "baked", python=HERE).refusal()

    assert "model.bin" in line
    assert "bytes too early" in line


def test_without_torch_the_line_says_how_to_install_it(checkpoint: Path, tmp_path: Path) -> None:
    """The tests' own environment has none."""
    line = run_bake(checkpoint, tmp_path / "out" / "baked", python=HERE).refusal()

    assert "torch" in line
    assert "pip install" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--languages", "klingon"], ["--languages", "'klingon'", "nearest"]),
        (["--languages", "eng_Latn,zul_Latn"], ["'zul_Latn'", "deu_Latn"]),
        (["--vocabulary", "words"], ["--vocabulary", "--languages"]),
        (["--languages", "eng_Latn", "--vocabulary-size", "100"], ["--vocabulary-size", "words"]),
        (["--languages", "eng_Latn", "--vocabulary", "corpus"], ["--vocabulary-corpus"]),
        (["--languages", "eng_Latn", "--vocabulary", "words", "--vocabulary-size", "3"], ["3 rows", "too small"]),
        (["--vocabulary-corpus", "nowhere.txt"], ["nowhere.txt"]),
        (["--vocabulary-corpus", str(MODEL / "model.bin")], ["model.bin", "UTF-8"]),
        (["--quantization", "int16"], ["--quantization int16", "int8"]),
        (["--revision", "main"], ["--revision", "folder"]),
        (["--name", ""], ["--name"]),
        (["--languages", " , "], ["--languages", "names none"]),
        (["--vocabulary-corpus", "."], ["--vocabulary-corpus", "not a file"]),
    ],
)
def test_options_that_cannot_be_met_are_one_line(tmp_path: Path, options: list[str], parts: list[str]) -> None:
    """It names the option."""
    line = run_bake(MODEL, tmp_path / "out" / "baked", *options, python=HERE).refusal()

    assert all(part in line for part in parts), line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("/no/such/folder", ["/no/such/folder"]),
        ("./nowhere", ["./nowhere"]),
        ("a/b/c", ["a/b/c"]),
        ("gs://bucket/model", ["gs://bucket/model", "s3://"]),
        ("https://user:secret@host/model", ["//...@host/model", "s3://"]),
        ("x" * 5000, ["no such folder"]),
        ("", ["SOURCE"]),
        (str(DEMO), ["config.json"]),
    ],
)
def test_a_source_that_is_none_is_one_line(tmp_path: Path, source: str, parts: list[str]) -> None:
    """It says what a source may be."""
    line = run_bake(source, tmp_path / "baked", python=HERE, HF_HUB_OFFLINE="1").refusal()

    assert all(part in line for part in parts), line


# --- the output -------------------------------------------------------------------------------------------------------


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    """Without ``--force``, and what is no model even with it."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work", encoding="utf-8")

    assert "--force" in run_bake(MODEL, tmp_path / "mine", python=HERE).refusal()
    assert "no baked model" in run_bake(MODEL, tmp_path / "mine", "--force", python=HERE).refusal()
    assert left_over(tmp_path / "mine") == ["thesis.txt"]


def test_force_replaces_a_model(tmp_path: Path) -> None:
    """The new one stands in its place, and nothing of the old one is left."""
    assert run_bake(DEMO / "models" / "t5-demo", tmp_path / "baked", "--quiet", python=HERE).code == 0

    assert run_bake(MODEL, tmp_path / "baked", "--quiet", "--force", python=HERE).code == 0

    assert set(contents(tmp_path / "baked")) == set(contents(MODEL))
    assert left_over(tmp_path) == ["baked"]


def test_a_replaced_model_is_there_at_every_moment(tmp_path: Path) -> None:
    """A bake that is interrupted while it replaces a model leaves the one or the other."""
    output = tmp_path / "baked"
    assert run_bake(DEMO / "models" / "t5-demo", output, "--quiet", python=HERE).code == 0
    bake = subprocess.Popen(
        command(MODEL, output, "--force", "--quiet", python=HERE), cwd=ROOT, env=environment(), text=True
    )
    seen = set()
    while bake.poll() is None:
        seen.add(json.loads((output / "manifest.json").read_bytes())["id"])

    assert bake.returncode == 0
    assert "t5-demo" in seen
    assert seen <= {"t5-demo", "nllb-demo"}
    assert left_over(tmp_path) == ["baked"]


def test_force_leaves_alone_what_is_not_the_models_own(tmp_path: Path) -> None:
    """A source below the output, somebody's notes: --force replaces a model, not a folder."""
    model = Path(shutil.copytree(MODEL, tmp_path / "baked"))
    source = shutil.copytree(MODEL, model / "source")

    assert "'source'" in run_bake(source, model, "--force", python=HERE).refusal()
    assert (model / "source" / "model.bin").is_file()


def test_force_does_not_replace_the_working_directory(tmp_path: Path) -> None:
    """However its name is written."""
    model = Path(shutil.copytree(MODEL, tmp_path / "baked"))
    (tmp_path / "elsewhere").symlink_to(model)
    for output in ("../baked", "../elsewhere/../baked", "."):
        done = subprocess.run(
            command(MODEL, Path(output), "--force", python=HERE),
            cwd=model,
            env=environment(PYTHONPATH=str(ROOT)),
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
        assert done.returncode == 1
        assert "working directory" in done.stderr
        assert contents(model) == contents(MODEL)


def test_an_output_that_is_a_mount_point_is_refused_first(small_disk: Path) -> None:
    """No rename can put another folder in its place."""
    assert "mount point" in run_bake(MODEL, small_disk, python=HERE).refusal()


def test_a_date_that_is_none_is_refused_first(tmp_path: Path) -> None:
    """Whatever its length."""
    for date in ("yesterday", "-1", "9" * 5000):
        line = run_bake(MODEL, tmp_path / "out" / "baked", python=HERE, SOURCE_DATE_EPOCH=date).refusal()
        assert "SOURCE_DATE_EPOCH" in line
    assert not (tmp_path / "out").exists()


def test_a_failed_bake_leaves_no_folders_behind(tmp_path: Path) -> None:
    """Those it made for the output are removed again."""
    assert run_bake(DEMO / "checkpoints" / "t5-demo", tmp_path / "a" / "b" / "baked", python=HERE).code == 1

    assert left_over(tmp_path) == []


def test_a_summary_nobody_reads_does_not_undo_a_bake(tmp_path: Path) -> None:
    """The model is written; the exit code says so."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            command(MODEL, tmp_path / "baked", python=HERE),
            cwd=ROOT,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=WAIT_S,
            check=False,
        )

    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert contents(tmp_path / "baked") == contents(MODEL)


def test_an_output_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """With ``--force`` too."""
    (tmp_path / "file").write_text("", encoding="utf-8")

    assert "not a folder" in run_bake(MODEL, tmp_path / "file", "--force", python=HERE).refusal()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 80 MiB."""
    yield from _mounted(tmp_path / "disk", "size=80m")


@pytest.fixture
def read_only_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that nothing can be written to."""
    yield from _mounted(tmp_path / "disk", "ro")


def _mounted(folder: Path, options: str) -> Iterator[Path]:
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a file system takes root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_an_output_that_cannot_be_written_is_refused_first(read_only_disk: Path) -> None:
    """Before a long conversion, not after it."""
    line = run_bake(MODEL, read_only_disk / "baked", python=HERE).refusal()

    assert "--output" in line
    assert "Read-only" in line


def test_a_disk_without_room_is_refused_first(small_disk: Path) -> None:
    """It says how much is needed and how much there is."""
    (small_disk / "filler").write_bytes(bytes(60 << 20))

    line = run_bake(MODEL, small_disk / "baked", python=HERE).refusal()

    assert "needs" in line
    assert "are free" in line


def test_a_disk_that_fills_up_ends_the_bake(small_disk: Path) -> None:
    """Between the check and the writing, somebody else took the room."""
    bake = subprocess.Popen(
        command(DEMO / "checkpoints" / "nllb-demo", small_disk / "baked"),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    _wait_for(lambda: any(small_disk.glob(".baked.baking-*")), bake)
    with suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as filler:
        while filler.write(bytes(1 << 20)):
            pass

    _, errors = bake.communicate(timeout=WAIT_S)

    assert bake.returncode == 1, errors
    assert errors.splitlines()[-1].startswith("error: ")
    assert "No space left" in errors.splitlines()[-1]
    assert "Traceback" not in errors
    assert left_over(small_disk) == ["filler"]


# --- interruptions ----------------------------------------------------------------------------------------------------


def _wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def _start(folder: Path, until: str = "/converted") -> subprocess.Popen[str]:
    """Start a bake and return when it has come to writing the model, or so far that it has a folder for it."""
    bake = subprocess.Popen(
        command(DEMO / "checkpoints" / "nllb-demo", folder / "baked"),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    _wait_for(lambda: any(folder.glob(f".baked.baking-*{until}")), bake)
    return bake


def test_a_killed_bake_leaves_no_model_and_the_next_one_tidies_up(tmp_path: Path) -> None:
    """SIGKILL in the middle of the conversion."""
    bake = _start(tmp_path)
    bake.kill()
    bake.communicate(timeout=WAIT_S)
    assert not (tmp_path / "baked").exists()
    assert len(left_over(tmp_path)) == 1

    assert run_bake(MODEL, tmp_path / "baked", "--quiet", python=HERE).code == 0

    assert left_over(tmp_path) == ["baked"]


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_bake_leaves_nothing(tmp_path: Path, signal_number: signal.Signals) -> None:
    """Docker sends the one, a person the other."""
    bake = _start(tmp_path)
    bake.send_signal(signal_number)

    _, errors = bake.communicate(timeout=WAIT_S)

    assert bake.returncode == 130
    assert errors.splitlines()[-1] == "interrupted"
    assert "Traceback" not in errors
    assert left_over(tmp_path) == []


def test_a_bake_in_progress_is_not_swept_away(tmp_path: Path) -> None:
    """Two bakes of one output: the one that is done first stands, the other says so."""
    bake = _start(tmp_path, until="")

    assert run_bake(MODEL, tmp_path / "baked", "--quiet", python=HERE).code == 0
    _, errors = bake.communicate(timeout=WAIT_S)

    assert bake.returncode == 1, errors
    assert "is there already" in errors.splitlines()[-1]
    assert contents(tmp_path / "baked")["model.bin"] == (MODEL / "model.bin").read_bytes()
    assert left_over(tmp_path) == ["baked"]
