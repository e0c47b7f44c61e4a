"""``sam build`` and ``sam local start-api`` with the project's template, asked as a user would ask."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from engine import Docker
from image import build_image, own_layers
from openai import OpenAI
from sam import IMAGE, SAM, running_api, sam_build

pytestmark = pytest.mark.containers
pytest_plugins = ["container_fixtures"]

CLIENT_TIMEOUT_S = 60.0
QUESTION = "Where is the train station?"
ANSWER = "Où est la gare ?"
MESSAGES: Any = [{"role": "user", "content": QUESTION}]


@pytest.fixture(scope="module")
def api(docker: Docker, base: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the API; its image is the one that ``sam build`` makes."""
    assert SAM.exists(), f"{SAM} is missing: make .venv-sam/.made"
    folder = tmp_path_factory.mktemp("sam")
    # With the network of this machine. SAM's own build then finds every step in the cache: it has the default bridge,
    # from which a machine's way to packages may not be there.
    build_image(docker, base, buildkit=False, tag=IMAGE)
    before = containers(docker)
    with running_api(docker, sam_build(docker, base, folder / "build"), folder / "sam.log") as address:
        yield address
    left = containers(docker) - before
    # A deployment that follows on this machine is to find no image of a test under SAM's name.
    docker.run("rmi", "--force", IMAGE, check=False)
    if left:
        docker.run("rm", "--force", *left)
    assert not left


def containers(docker: Docker) -> set[str]:
    """Return the ids of the containers of the function's image: others may come and go on a shared engine."""
    return set(docker.output("ps", "--all", "--quiet", "--no-trunc", "--filter", f"ancestor={IMAGE}").split())


@pytest.fixture
def client(api: str) -> Iterator[OpenAI]:
    """OpenAI's client."""
    with OpenAI(base_url=f"{api}/v1", api_key="unused", max_retries=0, timeout=CLIENT_TIMEOUT_S) as client:
        yield client


def curl(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run curl, which a README's reader has."""
    assert shutil.which("curl")
    command = ["curl", "--silent", "--show-error", "--max-time", "60", *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=70, check=True)


def test_the_builder_before_buildkit_makes_the_same_layers(docker: Docker, image: str, api: str) -> None:
    """Of which a deployment then sends those alone that are new."""
    assert api
    assert own_layers(docker, IMAGE) == own_layers(docker, image)


def test_curl_gets_a_translation(api: str) -> None:
    """With the id that it sent."""
    body = {"model": "nllb-demo", "target_lang": "fra_Latn", "messages": MESSAGES}
    headers = ("-H", "content-type: application/json", "-H", "x-correlation-id: of-curl")

    done = curl("-i", f"{api}/v1/chat/completions", *headers, "-d", json.dumps(body))

    head, _, answer = done.stdout.partition("\n\n")
    assert json.loads(answer)["choices"][0]["message"]["content"] == ANSWER
    assert "x-correlation-id: of-curl" in head.lower().splitlines()


def test_it_is_ready(api: str) -> None:
    """The path of a probe."""
    assert curl("-o", "/dev/null", "-w", "%{http_code}", f"{api}/health/ready").stdout == "200"


def test_the_openai_client_gets_a_translation(client: OpenAI) -> None:
    """In a language that is in the model's name."""
    completion = client.chat.completions.create(model="nllb-demo:eng_Latn-fra_Latn", messages=MESSAGES)

    assert completion.choices[0].message.content == ANSWER
    assert completion.choices[0].finish_reason == "stop"


def test_the_openai_client_lists_the_models(client: OpenAI) -> None:
    """Of the image."""
    assert [model.id for model in client.models.list()] == ["nllb-demo", "t5-demo"]


def test_the_openai_client_understands_an_error(client: OpenAI) -> None:
    """Unicode and all."""
    with pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(model="modèle-你好-🌍", messages=MESSAGES)

    assert raised.value.code == "model_not_found"
    assert "modèle-你好-🌍" in raised.value.message
