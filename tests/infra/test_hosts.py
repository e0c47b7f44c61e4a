"""What the files in ``infra/`` say of the server is so: settings, port, paths, user, and the time it takes to end."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from checkers import COMPOSE_FILES, ROOT
from conftest import running_server
from hosts import KEY, compose_service, targets

from handler import __version__

NAMES = ["infra/kubernetes/overlays/cpu", "infra/kubernetes/overlays/gpu", "infra/kubernetes/example"]
NAMES += ["ecs Fargate", "ecs GPU", "compose"]
every_target = pytest.mark.parametrize("name", NAMES)
DOCKERFILE = ROOT / "Dockerfile.gpu"
RULES = ROOT / "infra" / "observability" / "rules.yaml"

IMAGE_USER = 65532
EXIT_S = 10.0
"""Seconds that a process gets to end in, after the requests it was given time for."""


def test_every_target_is_tested() -> None:
    """The list above is written out, so that a target which cannot be read fails by its name."""
    assert set(targets()) == set(NAMES)


@every_target
def test_every_variable_is_a_setting(name: str, tmp_path: Path) -> None:
    """The server leaves alone what is no setting of its own, so a misspelt variable would do nothing."""
    target = targets()[name]

    given = {path[0] for path in target.settings(tmp_path).origins if len(path) == 1}

    assert {variable.lower() for variable in target.variables()} <= given
    assert ("CONFIG_FILE" in target.environment) == (target.config is not None)


@every_target
def test_it_listens_where_it_is_asked(name: str, tmp_path: Path) -> None:
    """The default address, 127.0.0.1, is not reached from outside the container."""
    target = targets()[name]

    settings = target.settings(tmp_path).settings

    assert settings.server_host == "0.0.0.0"  # noqa: S104 - in a container it is
    assert settings.server_port == target.port


@every_target
def test_it_is_killed_after_it_had_time_to_drain(name: str) -> None:
    """Running requests have DRAIN_S seconds; what the target gives must be longer."""
    target = targets()[name]

    assert target.stop_s >= float(target.environment["DRAIN_S"]) + EXIT_S


@every_target
def test_a_model_from_s3_has_a_folder_to_go_to(name: str) -> None:
    """The file system is read-only, so the cache is a volume or there is none."""
    target = targets()[name]

    cache = target.environment.get("MODEL_CACHE")

    assert target.writable == ({cache} if cache else set())
    assert cache or not target.environment.get("MODEL_PATH", "").startswith("s3:")


@every_target
def test_it_runs_as_the_images_user(name: str) -> None:
    """Another user could not write to a cache that the image made."""
    assert targets()[name].user == IMAGE_USER


def test_the_image_has_that_user_and_a_cache_of_its_own() -> None:
    """Docker and Fargate give a new volume the owner of the folder that it covers; where there is none, root's."""
    dockerfile = DOCKERFILE.read_text(encoding="utf-8")
    [cache] = {
        target.environment["MODEL_CACHE"] for target in targets().values() if "MODEL_CACHE" in target.environment
    }

    assert f"\nUSER {IMAGE_USER}" in dockerfile
    # Fargate looks for this line alone.
    assert re.findall(r"^VOLUME (\S+)", dockerfile, flags=re.MULTILINE) == [cache]
    assert f"mkdir -p /cache/{Path(cache).name} " in dockerfile
    assert f"\nCOPY --from=code --chown={IMAGE_USER}:{IMAGE_USER} /cache/ {Path(cache).parent}/\n" in dockerfile


def test_the_gpu_targets_want_a_gpu() -> None:
    """With "auto" a machine without one would serve on, slowly."""
    devices = {name: target.environment["DEVICE"] for name, target in targets().items()}

    assert {name for name, device in devices.items() if device == "cuda"} == {NAMES[1], "ecs GPU"}
    assert set(devices.values()) == {"cpu", "cuda"}


@every_target
def test_a_server_with_its_settings_answers_what_the_target_asks(name: str, tmp_path: Path) -> None:
    """Probes and scrapes carry no key; the API wants one."""
    target = targets()[name]
    # There is neither a GPU nor S3 here, and another server may have the port.
    other = {"DEVICE": "cpu", "MODEL_PATH": "", "DEFAULT_MODEL": ""}
    variables = target.variables() | other | {"CONFIG_FILE": str(target.config_file(tmp_path))}

    with running_server(tmp_path, "--host", "127.0.0.1", ready=True, **variables) as server:
        statuses = {path: server.request("GET", path).status for path in target.paths}
        without_key = server.request("GET", "/v1/models").status
        with_key = server.request("GET", "/v1/models", headers={"authorization": f"Bearer {KEY}"}).status

    assert all(status == 200 for status in statuses.values()), statuses
    assert (without_key, with_key) == (401, 200)


def test_the_image_is_this_version() -> None:
    """docs/deploy.md builds the image under this name."""
    images = {targets()[name].image for name in (*NAMES[:2], "compose")}
    with_gpu = yaml.safe_load(COMPOSE_FILES[1].read_text(encoding="utf-8"))["services"]["server"]

    assert images == {f"ctranslate2-server:{__version__}", f"ctranslate2-server:{__version__}-cpu"}
    assert with_gpu["image"] == f"ctranslate2-server:{__version__}"


def test_compose_locks_every_container_in() -> None:
    """No container may write to its image, have a capability, get one, or be reached from another machine."""
    for name in ("server", "prometheus"):
        service = compose_service(name)
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert int(service["user"].partition(":")[0]) > 0
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert "privileged" not in service


def test_compose_refuses_to_start_without_keys() -> None:
    """A variable that is not set is an error of compose, not an open server."""
    assert re.search(r"API_KEYS: \$\{API_KEYS:\?[^}]+\}", COMPOSE_FILES[0].read_text(encoding="utf-8"))


@pytest.fixture
def promtool() -> str:
    """The path of promtool; without it a test is skipped, or fails where CI wants it."""
    found = shutil.which("promtool")
    if found is None:
        message = "promtool is not installed: apt-get install prometheus"
        if os.environ.get("PROMETHEUS") == "required":
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    return found


def test_prometheus_takes_its_configuration(promtool: str, tmp_path: Path) -> None:
    """With the rules beside it, as compose mounts them; and not with a key that is misspelt."""
    config = (COMPOSE_FILES[0].parent / "prometheus.yaml").read_text(encoding="utf-8")
    shutil.copy(RULES, tmp_path)
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(config, encoding="utf-8")
    bad.write_text(config.replace("static_configs", "static_config"), encoding="utf-8")

    codes = [
        subprocess.run([promtool, "check", "config", file], capture_output=True, check=False).returncode
        for file in (good, bad)
    ]

    assert codes == [0, 1]


def test_compose_mounts_files_that_exist() -> None:
    """Docker makes a folder of a file that is not there, and Prometheus then reads a folder."""
    mounted = [volume.split(":")[0] for volume in compose_service("prometheus")["volumes"] if volume.startswith(".")]

    assert len(mounted) == 2
    assert all((COMPOSE_FILES[0].parent / path).is_file() for path in mounted)


def test_compose_builds_what_there_is() -> None:
    """Docker ignores an argument that no ARG names."""
    build = compose_service("server")["build"]
    context = COMPOSE_FILES[0].parent / build["context"]
    dockerfile = (context / build["dockerfile"]).read_text(encoding="utf-8")

    assert context.resolve() == ROOT
    assert set(build["args"]) <= set(re.findall(r"^ARG (\w+)", dockerfile, flags=re.MULTILINE))
