"""What Dockerfile.lambda's image holds and what not, how large it is, and that a build of it can be repeated."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from engine import Docker, EngineError
from image import HARDENED, build_image, inspect, own_layers, own_sizes, running_container, size_table
from test_events import TRANSLATION, answer_of, chat_event, http_event

pytestmark = pytest.mark.containers
pytest_plugins = ["container_fixtures"]

MOST_OVER_THE_BASE = 180_000_000
"""Bytes, unpacked, without the model: every one of them is read from a cold cache at some first start."""
MOST_CODE = 10_000_000
"""Most of it is the byte code of a cold start, in one file."""

LOOK = """
import importlib.util, json, os, sys
from pathlib import Path

task = Path("/var/task")
sys.path.insert(0, "/var/task")
files = [path for path in (*task.rglob("*"), *Path("/opt").rglob("*"))]
byte_code = {str(path): int.from_bytes(path.read_bytes()[4:8], "little") for path in task.rglob("*.pyc")}
print(json.dumps({
    "top": sorted(path.name for path in task.iterdir()),
    "folders": sorted({path.name for path in files if path.is_dir()}),
    "unreadable": [str(path) for path in files if not os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0))],
    "times": sorted({int(path.lstat().st_mtime) for path in (task, *files)}),
    "flags": sorted(set(byte_code.values())),
    "sources": sum(1 for path in task.rglob("*.py")),
    "byte_code": len(byte_code),
    "debug": [str(path) for path in task.glob("ctranslate2*/*.so*") if b".debug_info" in path.read_bytes()],
    "found": [name for name in %r if importlib.util.find_spec(name)],
    "models": sorted(path.name for path in Path("/opt/models").iterdir()),
    "build": Path("/build").exists() or Path("/layer").exists(),
    "file": sys.modules["handler"].__file__ if importlib.import_module("handler") else None,
    "compiled": importlib.import_module("handler").__spec__.loader.get_code("handler").co_filename,
}))
"""
NOT_IN_IT = ("torch", "transformers", "huggingface_hub", "numpy", "model_bake", "pytest", "uvicorn", "openai")
CHECKED_BY_HASH_ONLY_IF_ASKED = 0b01
"""The flags of byte code that is never compared with its source: PEP 552."""


@pytest.fixture(scope="module")
def content(docker: Docker, image: str) -> dict[str, Any]:
    """What a user without rights finds in the image."""
    found: dict[str, Any] = json.loads(run_python(docker, image, LOOK % (NOT_IN_IT,)))
    return found


def run_python(docker: Docker, image: str, code: str, *options: str) -> str:
    """Run a program on the image's interpreter, as a user without rights, and return what it prints."""
    python = (
        "--entrypoint",
        "python3",
        "--user",
        "65532:65532",
        "--network",
        "none",
        *options,
        image,
        "-B",
        "-c",
        code,
    )
    return docker.output("run", "--rm", *python)


def test_the_image_over_its_base_is_small(docker: Docker, image: str) -> None:
    """Packages and code; the model has the size it has."""
    print(f"\n{size_table(docker, image)}")
    sizes = own_sizes(docker, image)

    assert sizes["packages"] + sizes["code"] <= MOST_OVER_THE_BASE
    assert sizes["code"] <= MOST_CODE


def test_two_builds_give_the_same_layers(docker: Docker, base: str, image: str, context: Path) -> None:
    """From checkouts of other times and modes, with the cache of nothing."""
    again = build_image(docker, base, "--no-cache", tag="ctranslate2-server:again", context=context)
    try:
        first, second = own_layers(docker, image), own_layers(docker, again)
        print("\n" + "\n".join(f"{part:8} {digest} {second[part]}" for part, digest in first.items()))
        assert first == second
    finally:
        docker.run("rmi", again)


def test_only_what_runs_is_in_it(content: dict[str, Any]) -> None:
    """Neither the bake and its packages, nor the tests, nor what built the image."""
    assert content["found"] == []
    assert not {"pip", "bin", "boto3", "botocore", "awslambdaric", "tests"} & set(content["top"])
    assert not {"tests", "test"} & set(content["folders"])
    assert not content["build"]
    assert content["debug"] == []


def test_the_base_brings_boto3_and_the_runtime_client(docker: Docker, image: str) -> None:
    """On the path that the runtime gives the function."""
    code = "import sys; sys.path += ['/var/runtime']; import awslambdaric, boto3; boto3.client('s3', 'us-east-1')"

    run_python(docker, image, code)


def test_the_embedded_models_are_served_without_arguments(content: dict[str, Any]) -> None:
    """And lie where ``MODEL_PATH`` says."""
    assert content["models"] == ["nllb-demo", "t5-demo"]


def test_everybody_may_read_it(content: dict[str, Any]) -> None:
    """Lambda runs a function as a user of no name."""
    assert content["unreadable"] == []


def test_no_file_has_the_time_of_the_build(content: dict[str, Any]) -> None:
    """All have one, 1980."""
    assert content["times"] == [315_532_800]


def test_byte_code_is_there_and_never_compared_with_its_source(content: dict[str, Any]) -> None:
    """Nobody could write a new one; and it names its source where that is."""
    assert content["flags"] == [CHECKED_BY_HASH_ONLY_IF_ASKED]
    assert content["byte_code"] == content["sources"]
    assert content["compiled"] == content["file"] == "/var/task/handler/__init__.py"


def test_its_configuration_is_lambdas(docker: Docker, image: str) -> None:
    """The handler, the model's place, and what makes the runtime client write UTF-8."""
    config = inspect(docker, image)["Config"]
    variables = dict(variable.split("=", 1) for variable in config["Env"])

    assert config["Cmd"] == ["handler.aws_lambda.lambda_handler"]
    assert variables["MODEL_PATH"] == "/opt/models"
    assert variables["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.13"
    assert config["Labels"]["org.opencontainers.image.title"] == "ctranslate2-server"
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert not config["User"]


def test_a_model_option_without_a_model_fails_the_build(docker: Docker, base: str) -> None:
    """It would have been meant for another model than the embedded ones."""
    with pytest.raises(EngineError, match="error: --languages without MODEL_SOURCE"):
        build_image(docker, base, "--build-arg", "MODEL_LANGUAGES=eng_Latn", tag="ctranslate2-server:never")


def test_libraries_that_do_not_work_fail_the_build(docker: Docker, base: str, context: Path) -> None:
    """Stripping is worth 70 MB and a risk, so what it leaves has to translate."""
    trim = context / "infra" / "image" / "trim.py"
    with trim.open("a", encoding="utf-8") as file:
        file.write(
            "    for path in Path(sys.argv[1]).glob('ctranslate2.libs/libctranslate2*'): path.write_bytes(b'')\n"
        )

    with pytest.raises(EngineError, match="ImportError"):
        build_image(docker, base, tag="ctranslate2-server:never", context=context)


def test_a_folder_of_the_context_is_baked_without_torch(docker: Docker, base: str, context: Path) -> None:
    """A converted one; so goes a model whose checkpoint wants a token: no secret meets the builder."""
    shutil.copytree(context / "model_bake" / "demo" / "models" / "nllb-demo", context / "models" / "mine")
    arguments = {"MODEL_SOURCE": "models/mine", "MODEL_NAME": "org/phrases", "MODEL_LANGUAGES": "English,fra_Latn"}
    options = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]

    baked = build_image(docker, base, *options, tag="ctranslate2-server:baked", context=context)
    try:
        with running_container(docker, baked, *HARDENED) as container:
            models = answer_of(container.invoke(http_event("http_api_v2", path="/v1/models"))).json()["data"]
            answer = answer_of(container.invoke(chat_event("http_api_v2")))
        assert [model["id"] for model in models] == ["org/phrases"]
        assert answer.json()["choices"][0]["message"]["content"] == TRANSLATION
        assert run_python(docker, baked, "import os; print(os.listdir('/opt/models'))") == "['org--phrases']"
    finally:
        docker.run("rmi", baked)
