"""Dockerfile.gpu's image on a machine without a GPU: it serves, ends when it is told to, and holds only what runs."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from engine import Docker
from host_image import PARTS, build_host_image, running_host, size_table
from image import HARDENED, inspect, own_layers, own_sizes

pytestmark = pytest.mark.containers
pytest_plugins = ["container_fixtures"]

MOST_PACKAGES_AND_CODE = 200_000_000
"""Bytes, unpacked: without the model and the CUDA libraries."""
MOST_STOPPING_S = 10.0
"""After which Docker would kill it."""
HEALTH_TIMEOUT_S = 60.0
USAGE = 2

LOOK = """
import importlib.util, json, os, sys
from pathlib import Path

app = Path("/app")
files = [path for path in (*app.rglob("*"), *Path("/opt/models").rglob("*"))]
library = Path(os.__file__).parent
byte_code = {str(path): int.from_bytes(path.read_bytes()[4:8], "little")
             for path in (*app.rglob("*.pyc"), *library.glob("*/*.pyc"))}
print(json.dumps({
    "folders": sorted({path.name for path in files if path.is_dir()}),
    "unreadable": [str(path) for path in files if not os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0))],
    "times": sorted({int(path.lstat().st_mtime) for path in files}),
    "flags": sorted(set(byte_code.values())),
    "compiled": len(list(app.rglob("*.pyc"))) - len(list(app.rglob("*.py"))),
    "debug": [str(path) for path in app.glob("ctranslate2*/*.so*") if b".debug_info" in path.read_bytes()],
    "found": [name for name in %r if importlib.util.find_spec(name)],
    "models": sorted(path.name for path in Path("/opt/models").iterdir()),
    "build": [path for path in ("/build", "/layer", "/packages", "/tmp/interpreter.py") if Path(path).exists()],
    "writable": [str(path) for path in (app, *files) if os.access(path, os.W_OK)],
}))
"""
NOT_IN_IT = (
    *("torch", "transformers", "huggingface_hub", "numpy", "openai", "pytest", "model_bake", "infra"),
    *("pip", "setuptools", "wheel", "ensurepip", "nvidia"),
)
CHECKED_BY_HASH_ONLY_IF_ASKED = 0b01
"""The flags of byte code that is never compared with its source: PEP 552."""


@pytest.fixture(scope="module")
def content(docker: Docker, host_image: str) -> dict[str, Any]:
    """What the server's user finds in the image."""
    python = ("--network", "none", "--entrypoint", "python", host_image, "-B", "-c", LOOK % (NOT_IN_IT,))
    found: dict[str, Any] = json.loads(docker.output("run", "--rm", *python))
    return found


def test_it_translates_without_rights_and_on_a_read_only_file_system(docker: Docker, host_image: str) -> None:
    """Both families, with the language of the source detected."""
    with running_host(docker, host_image, *HARDENED) as host:
        french = host.translation("Where is the train station?", model="nllb-demo", target_lang="fra_Latn")
        german = host.translation("translate English to German: Where is the train station?", model="t5-demo")
        log = host.log()

    assert (french, german) == ("Où est la gare ?", "Wo ist der Bahnhof?")
    assert "no GPU is used" not in log
    assert [json.loads(line)["device"] for line in log.splitlines() if '"demo model loaded"' in line] == ["cpu", "cpu"]


def test_it_ends_when_it_is_told_to(docker: Docker, host_image: str) -> None:
    """The server is the first process of the container, which the kernel gives no signal that it does not handle."""
    with running_host(docker, host_image, *HARDENED) as host:
        started = time.monotonic()
        docker.run("stop", "--time", "30", host.name)
        took_s = time.monotonic() - started
        state, log = host.state(), host.log()

    assert took_s < MOST_STOPPING_S
    assert state["ExitCode"] == 0
    assert "Traceback" not in log


def test_its_health_check_follows_the_port_and_finds_it_healthy(docker: Docker, host_image: str) -> None:
    """As the engine asks it."""
    with running_host(docker, host_image, *HARDENED, variables={"SERVER_PORT": "9000"}) as host:
        deadline = time.monotonic() + HEALTH_TIMEOUT_S
        while (health := host.state()["Health"])["Status"] == "starting" and time.monotonic() < deadline:
            time.sleep(0.5)

    assert health["Status"] == "healthy", health


def test_its_health_check_fails_where_nothing_answers(docker: Docker, host_image: str) -> None:
    """Else healthy would say nothing."""
    kind, program, *arguments = inspect(docker, host_image)["Config"]["Healthcheck"]["Test"]

    done = docker.run("run", "--rm", "--entrypoint", program, host_image, *arguments, check=False)

    assert kind == "CMD"
    assert done.returncode == 1
    assert "ConnectionRefusedError" in done.stderr


def test_a_gpu_that_is_asked_for_and_absent_ends_it_with_one_line(docker: Docker, host_image: str) -> None:
    """Flags and variables alike."""
    reason = "model 'nllb-demo': 'cuda', and no GPU and driver are to be found; allowed: auto, cpu"
    for origin, asked in {
        "--device": (host_image, "--device", "cuda"),
        "environment variable DEVICE": ("--env", "DEVICE=cuda", host_image),
    }.items():
        done = docker.run("run", "--rm", *HARDENED, *asked, check=False)

        assert done.returncode == USAGE
        assert done.stdout + done.stderr == f"error: {origin}: {reason}\n"


def test_only_what_runs_is_in_it(content: dict[str, Any]) -> None:
    """Neither the bake and its packages, nor tests, nor what installs or built anything."""
    assert content["found"] == []
    assert content["build"] == []
    assert not {"tests", "test", "bin", "include"} & set(content["folders"])
    assert content["debug"] == []
    assert content["models"] == ["nllb-demo", "t5-demo"]


def test_its_user_may_read_everything_and_write_nothing(content: dict[str, Any]) -> None:
    """Also without ``--read-only``."""
    assert content["unreadable"] == []
    assert content["writable"] == []


def test_byte_code_is_there_and_never_compared_with_its_source(content: dict[str, Any]) -> None:
    """The standard library's, too, which Python's own image comes without."""
    assert content["flags"] == [CHECKED_BY_HASH_ONLY_IF_ASKED]
    assert content["compiled"] == 0
    assert content["times"] == [315_532_800]


def test_its_configuration_is_a_hosts(docker: Docker, host_image: str) -> None:
    """Who it runs as, what it listens on, and what it is."""
    config = inspect(docker, host_image)["Config"]
    variables = dict(variable.split("=", 1) for variable in config["Env"])

    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["python", "-m", "handler"]
    assert not config["Cmd"]
    assert list(config["ExposedPorts"]) == ["8000/tcp"]
    assert (variables["SERVER_HOST"], variables["SERVER_PORT"]) == ("0.0.0.0", "8000")  # noqa: S104 - in a container
    assert variables["MODEL_PATH"] == "/opt/models"
    # The CPU image keeps what was baked, and asks NVIDIA's runtime for nothing.
    assert not {"COMPUTE_TYPE", "NVIDIA_DRIVER_CAPABILITIES", "NVIDIA_VISIBLE_DEVICES"} & variables.keys()
    assert config["Labels"]["org.opencontainers.image.title"] == "ctranslate2-server"


def test_two_builds_give_the_same_layers(docker: Docker, host_base: str, host_image: str, context: Path) -> None:
    """From checkouts of other times and modes, with the cache of nothing; but for that of the interpreter."""
    again = build_host_image(docker, host_base, "--no-cache", tag="ctranslate2-server:host-again", context=context)
    try:
        assert own_layers(docker, host_image, PARTS) == own_layers(docker, again, PARTS)
    finally:
        docker.run("rmi", again)


def test_it_is_small_without_the_cuda_libraries(docker: Docker, host_image: str) -> None:
    """Packages and code; the model has the size it has."""
    print(f"\n{size_table(docker, host_image)}")
    sizes = own_sizes(docker, host_image, PARTS)

    assert sizes["packages"] + sizes["code"] <= MOST_PACKAGES_AND_CODE
    assert sizes["CUDA libraries"] == 0


def test_a_new_volume_for_models_can_be_written(docker: Docker, host_image: str) -> None:
    """It has the owner of the folder in the image, who is the one that the server runs as."""
    script = "import os; open(os.environ['MODEL_CACHE'] + '/model', 'x').close()"

    docker.run("run", "--rm", "--read-only", "--cap-drop", "ALL", "--entrypoint", "python", host_image, "-c", script)
