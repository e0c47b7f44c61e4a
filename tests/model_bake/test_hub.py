"""Models of the Hub, from a stand-in on the loopback interface: one commit, hashes, resumed downloads, refusals."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from bakery import DEMO, HERE, Bake, contents, run_bake
from checkpoints import BAKE_PYTHON, write_checkpoint
from hub_server import COMMIT, Hub, running_hub

MODEL_ID = "someone/nllb-small"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """The converted demo model as a repository, which needs no torch to be baked."""
    folder = tmp_path / "repository"
    folder.mkdir()
    for name, content in contents(DEMO / "models" / "nllb-demo").items():
        if name != "manifest.json":
            (folder / name).write_bytes(content)
    (folder / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n", encoding="utf-8")
    (folder / "flax_model.msgpack").write_bytes(bytes(200_000))
    with running_hub(MODEL_ID, folder) as running:
        yield running


def bake(hub: Hub, tmp_path: Path, *options: str, source: str = MODEL_ID, **variables: str) -> Bake:
    """Bake from the stand-in, with a cache of the test's own."""
    environment = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_DISABLE_XET": "1"} | variables
    return run_bake(source, tmp_path / "baked", *options, python=HERE, **environment)


@pytest.mark.parametrize("options", [[], ["--revision", COMMIT], ["--revision", "main"]], ids=["none", "sha", "branch"])
def test_the_commit_is_written_down(hub: Hub, tmp_path: Path, options: list[str]) -> None:
    """A branch is resolved once; what was baked can be found again."""
    report = bake(hub, tmp_path, "--json", *options).json()

    assert report["source"] == {"id": MODEL_ID, "revision": COMMIT}
    manifest = json.loads((tmp_path / "baked" / "manifest.json").read_bytes())
    assert manifest["source"] == {"id": MODEL_ID, "revision": COMMIT}
    assert (manifest["id"], manifest["license"]) == ("nllb-small", "cc-by-nc-4.0")
    assert (tmp_path / "baked" / "model.bin").read_bytes() == (hub.folder / "model.bin").read_bytes()


def test_only_what_is_needed_is_fetched_and_only_once(hub: Hub, tmp_path: Path) -> None:
    """Other frameworks' weights stay where they are; a second bake uses the cache."""
    assert bake(hub, tmp_path, "--quiet").code == 0
    assert "flax_model.msgpack" not in hub.sent
    assert hub.sent["model.bin"] == (hub.folder / "model.bin").stat().st_size
    hub.sent.clear()

    assert bake(hub, tmp_path, "--quiet", "--force").code == 0

    assert hub.sent == {}


def test_a_broken_download_is_resumed(hub: Hub, tmp_path: Path) -> None:
    """In the same run or the next, by the Hub's own client: at most what was on its way is fetched again."""
    hub.break_after = 400_000
    first = bake(hub, tmp_path, "--quiet")
    if first.code:
        assert bake(hub, tmp_path, "--quiet").code == 0

    size = (hub.folder / "model.bin").stat().st_size
    assert size <= hub.sent["model.bin"] <= size + 400_000
    assert (tmp_path / "baked" / "model.bin").read_bytes() == (hub.folder / "model.bin").read_bytes()


@pytest.mark.parametrize("name", ["model.bin", "config.json"], ids=["large file", "small file"])
def test_a_changed_byte_is_refused_and_not_kept(hub: Hub, tmp_path: Path, name: str) -> None:
    """SHA-256 of what is stored with LFS, git's own hash of the rest; the next run fetches the file anew."""
    hub.wrong = {name}

    line = bake(hub, tmp_path).refusal()

    assert name in line
    assert "run again" in line
    assert not (tmp_path / "baked").exists()
    hub.wrong = set()
    assert bake(hub, tmp_path, "--quiet").code == 0


def test_a_cache_that_was_changed_is_refused(hub: Hub, tmp_path: Path) -> None:
    """A disk can fail, and a file in the cache is only as good as its hash."""
    assert bake(hub, tmp_path, "--quiet").code == 0
    [cached] = (tmp_path / "cache").rglob("snapshots/*/model.bin")
    blob = cached.resolve()
    data = bytearray(blob.read_bytes())
    data[1000] ^= 1
    blob.write_bytes(data)

    assert "model.bin" in bake(hub, tmp_path, "--force").refusal()
    assert bake(hub, tmp_path, "--quiet", "--force").code == 0


def test_a_dry_run_fetches_no_weights(hub: Hub, tmp_path: Path) -> None:
    """It tells what would be fetched."""
    plan = bake(hub, tmp_path, "--dry-run", "--json").json()

    assert plan["download_bytes"] > 1_800_000
    assert plan["source"] == MODEL_ID
    assert "model.bin" in plan["files"]
    assert "model.bin" not in hub.sent
    assert not (tmp_path / "baked").exists()


@pytest.mark.parametrize(
    ("options", "source", "parts"),
    [
        (["--revision", "nowhere"], MODEL_ID, ["'nowhere'", MODEL_ID]),
        (["--revision", "f" * 40], MODEL_ID, ["f" * 40]),
        ([], "someone/else", ["someone/else", "HF_TOKEN"]),
    ],
    ids=["no branch", "no commit", "no model"],
)
def test_what_is_not_there_is_one_line(
    hub: Hub, tmp_path: Path, options: list[str], source: str, parts: list[str]
) -> None:
    """It names the model and what was asked of it."""
    line = bake(hub, tmp_path, *options, source=source).refusal()

    assert all(part in line for part in parts), line


@pytest.mark.parametrize(("code", "part"), [("GatedRepo", "terms"), ("RepoNotFound", "no public model")])
def test_what_the_hub_refuses_is_one_line(hub: Hub, tmp_path: Path, code: str, part: str) -> None:
    """It says what would help."""
    hub.refused = code

    line = bake(hub, tmp_path).refusal()

    assert MODEL_ID in line
    assert part in line


def test_a_hub_that_cannot_be_reached_is_one_line(hub: Hub, tmp_path: Path) -> None:
    """Nobody listens there, or the network is off by the client's own switch."""
    assert "cannot be reached" in bake(hub, tmp_path, HF_ENDPOINT="http://127.0.0.1:9").refusal()
    assert "cannot be reached" in bake(hub, tmp_path, HF_HUB_OFFLINE="1").refusal()


def test_a_checkpoint_of_the_hub_is_converted(tmp_path: Path) -> None:
    """The whole way, with torch."""
    checkpoint = write_checkpoint("flan", tmp_path / "flan")
    with running_hub("google/flan-small", checkpoint) as hub:
        environment = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_DISABLE_XET": "1"}
        report = run_bake("google/flan-small", tmp_path / "baked", "--json", python=BAKE_PYTHON, **environment).json()

    assert report["source"] == {"id": "google/flan-small", "revision": COMMIT}
    assert report["license"] == "apache-2.0"
