"""Dockerfile.gpu's image: built and run, as a host does it.

``python tests/containers/host_image.py [1 | 0]`` builds it, with the CUDA libraries or without, and tells where its
size goes.
"""

import http.client
import json
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base_image import HOST, ROOT, base_image, is_stand_in
from engine import Docker, running_engine
from image import build_image, inspect, own_sizes

TAG = "ctranslate2-server:host"
PARTS = ("packages", "CUDA libraries", "model", "code")
"""What the image's own layers hold, from the base up; below them the interpreter is stripped and compiled."""
PORT = 8000
START_TIMEOUT_S = 60.0
REQUEST_TIMEOUT_S = 60.0


def build_host_image(
    docker: Docker, base: str, *options: str, cuda: bool = False, tag: str = TAG, context: Path = ROOT
) -> str:
    """Build the image and return its tag.

    Args:
        docker: The engine.
        base: Tag of the base image.
        options: More of ``docker build``.
        cuda: Whether it gets the CUDA libraries.
        tag: The image's name.
        context: A checkout, or a copy of what a build reads of one.

    Raises:
        EngineError: The build failed.
    """
    return build_image(
        docker,
        base,
        *("--build-arg", f"CUDA={int(cuda)}", *options),
        tag=tag,
        context=context,
        dockerfile="Dockerfile.gpu",
    )


@dataclass(frozen=True, slots=True)
class Host:
    """A container whose server listens on a port of this machine."""

    docker: Docker
    name: str
    port: int

    def request(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Return the status and the JSON of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=REQUEST_TIMEOUT_S)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"content-type": "application/json"})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def translation(self, text: str, **fields: object) -> str:
        """Return the answer to one user message."""
        body = {"messages": [{"role": "user", "content": text}], **fields}
        status, answer = self.request("POST", "/v1/chat/completions", body)
        assert status == http.HTTPStatus.OK, answer
        content: str = answer["choices"][0]["message"]["content"]
        return content

    def state(self) -> dict[str, Any]:
        """Return what the engine knows of the process and its health."""
        state: dict[str, Any] = json.loads(self.docker.output("inspect", "--format", "{{json .State}}", self.name))
        return state

    def log(self) -> str:
        """Return what the container has printed so far, both streams."""
        done = self.docker.run("logs", self.name)
        return done.stdout + done.stderr


@contextmanager
def running_host(docker: Docker, tag: str, *options: str, variables: Mapping[str, str] | None = None) -> Iterator[Host]:
    """Run the image on a free port of the loopback until the block ends; when it begins, the server is ready.

    Args:
        docker: The engine.
        tag: The image.
        options: More of ``docker run``.
        variables: The server's environment.

    Raises:
        EngineError: The container does not start.
        TimeoutError: The server does not get ready.
    """
    name = f"ctranslate2-server-{uuid.uuid4().hex[:12]}"
    port = (variables or {}).get("SERVER_PORT", str(PORT))
    environment = [word for key, value in (variables or {}).items() for word in ("--env", f"{key}={value}")]
    try:
        docker.run("run", "--detach", "--name", name, "--publish", f"127.0.0.1::{port}", *options, *environment, tag)
        published = docker.output("port", name, f"{port}/tcp").splitlines()[0]
        host = Host(docker, name, int(published.rpartition(":")[2]))
        _wait_until_ready(host)
        yield host
    finally:
        docker.run("rm", "--force", "--volumes", name, check=False)


def _wait_until_ready(host: Host) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            status, answer = host.request("GET", "/health/ready")
        except (OSError, http.client.HTTPException, ValueError) as error:
            status, answer = 0, str(error)
        if status == http.HTTPStatus.OK:
            return
        if time.monotonic() > deadline:
            message = f"the server is not ready: {answer}\n{host.log()}"
            raise TimeoutError(message)
        time.sleep(0.1)


def size_table(docker: Docker, tag: str) -> str:
    """Return where the image's size goes."""
    sizes = own_sizes(docker, tag, PARTS)
    rows = [("base, and the byte code of its library", inspect(docker, tag)["Size"] - sum(sizes.values()))]
    rows += sizes.items()
    rows.append(("packages and code", sizes["packages"] + sizes["code"]))
    return "\n".join(f"{size / 1e6:8.1f} MB  {name}" for name, size in rows)


if __name__ == "__main__":
    with running_engine() as engine:
        image = build_host_image(engine, base_image(engine, HOST), cuda=sys.argv[1:] == ["1"])
        print(f"{image}{', on a stand-in for its base' if is_stand_in(engine, HOST) else ''}", file=sys.stderr)
        print(size_table(engine, image))
