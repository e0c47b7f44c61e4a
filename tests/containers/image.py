"""Dockerfile.lambda's image: built, looked into, and run with the emulator of Lambda in front.

``python tests/containers/image.py`` builds it and tells where its size goes.
"""

import http.client
import json
import re
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base_image import ROOT, base_image, is_stand_in
from engine import Docker, running_engine

TAG = "ctranslate2-server:containers"
BUILD_TIMEOUT_S = 300.0
START_TIMEOUT_S = 30.0
INVOKE_TIMEOUT_S = 60.0
LOG_TIMEOUT_S = 10.0
INVOCATIONS = "/2015-03-31/functions/function/invocations"

PARTS = ("packages", "model", "code")
"""What the image's own layers hold, from the base up."""

HARDENED = ("--read-only", "--user", "65532:65532", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
"""Stricter than Lambda, which leaves /tmp writable."""


def build_image(
    docker: Docker,
    base: str,
    *options: str,
    tag: str = TAG,
    context: Path = ROOT,
    dockerfile: str = "Dockerfile.lambda",
    buildkit: bool = True,
) -> str:
    """Build the image and return its tag; a build that is known to the engine's cache takes a second.

    Args:
        docker: The engine.
        base: Tag of the base image.
        options: More of ``docker build``, such as ``--build-arg NAME=VALUE``.
        tag: The image's name.
        context: A checkout, or a copy of what a build reads of one.
        dockerfile: Its name there.
        buildkit: Else the builder before it, which ``sam build`` uses.

    Raises:
        EngineError: The build failed.
    """
    builder = docker.with_environment(DOCKER_BUILDKIT="1" if buildkit else "0")
    builder.run(
        *("build", "--network=host", "--build-arg", f"BASE_IMAGE={base}", *options),
        *("--file", str(context / dockerfile), "--tag", tag, str(context)),
        timeout_s=BUILD_TIMEOUT_S,
    )
    return tag


def inspect(docker: Docker, tag: str) -> dict[str, Any]:
    """Return what the engine knows of an image."""
    [found] = json.loads(docker.output("image", "inspect", tag))
    image: dict[str, Any] = found
    return image


def own_layers(docker: Docker, tag: str, parts: Sequence[str] = PARTS) -> dict[str, str]:
    """Return the digests of the image's layers over its base, by what they hold."""
    return dict(zip(parts, inspect(docker, tag)["RootFS"]["Layers"][-len(parts) :], strict=True))


def own_sizes(docker: Docker, tag: str, parts: Sequence[str] = PARTS) -> dict[str, int]:
    """Return the bytes of the image's layers over its base, unpacked, by what they hold."""
    history = docker.output("history", "--human=false", "--no-trunc", "--format", "{{.Size}}\t{{.CreatedBy}}", tag)
    sizes = [int(line.partition("\t")[0]) for line in history.splitlines() if re.search(r"\bCOPY\b|COPY dir:", line)]
    return dict(zip(parts, reversed(sizes[: len(parts)]), strict=True))


# --- running ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Container:
    """A container of the image, with the emulator listening on a port of this machine."""

    docker: Docker
    name: str
    port: int

    def invoke_raw(self, event: object) -> tuple[int, bytes]:
        """Send one event; return the emulator's status and the function's response as it came."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=INVOKE_TIMEOUT_S)
        try:
            connection.request("POST", INVOCATIONS, json.dumps(event).encode())
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def invoke(self, event: object) -> dict[str, Any]:
        """Send one event and return the function's response."""
        response: dict[str, Any] = json.loads(self.invoke_raw(event)[1])
        return response

    def log(self) -> str:
        """Return what the container has printed so far, both streams."""
        done = self.docker.run("logs", self.name)
        return done.stdout + done.stderr

    def line(self, **fields: object) -> dict[str, Any]:
        """Return the structured line that has ``fields``, once the engine has got it.

        Raises:
            TimeoutError: There is none.
        """
        deadline = time.monotonic() + LOG_TIMEOUT_S
        while True:
            for text in self.log().splitlines():
                line: dict[str, Any] = json.loads(text) if text.startswith("{") else {}
                if line and fields.items() <= line.items():
                    return line
            if time.monotonic() > deadline:
                message = f"no line with {fields}:\n{self.log()}"
                raise TimeoutError(message)
            time.sleep(0.1)

    def execute(self, *command: str, options: tuple[str, ...] = ()) -> str:
        """Run a program beside the function and return what it prints."""
        return self.docker.output("exec", *options, self.name, *command)


@contextmanager
def running_container(
    docker: Docker, tag: str, *options: str, variables: Mapping[str, str] | None = None
) -> Iterator[Container]:
    """Run the image on a free port of the loopback until the block ends, whatever happens in it.

    Args:
        docker: The engine.
        tag: The image.
        options: More of ``docker run``, such as ``--cpus 0.5 --memory 2g``.
        variables: The function's environment.

    Raises:
        EngineError: It does not start.
    """
    name = f"ctranslate2-server-{uuid.uuid4().hex[:12]}"
    environment = [word for key, value in (variables or {}).items() for word in ("--env", f"{key}={value}")]
    try:
        docker.run("run", "--detach", "--name", name, "--publish", "127.0.0.1::8080", *options, *environment, tag)
        published = docker.output("port", name, "8080/tcp").splitlines()[0]
        container = Container(docker, name, int(published.rpartition(":")[2]))
        _wait_for_emulator(container)
        yield container
    finally:
        docker.run("rm", "--force", "--volumes", name, check=False)


def _wait_for_emulator(container: Container) -> None:
    """Wait until the emulator reads requests: a port that Docker forwards accepts connections before."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", container.port, timeout=1)
        try:
            connection.request("GET", "/")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException) as error:
            if time.monotonic() > deadline:
                message = f"the emulator does not answer:\n{container.log()}"
                raise TimeoutError(message) from error
            time.sleep(0.05)
        else:
            return
        finally:
            connection.close()


def size_table(docker: Docker, tag: str) -> str:
    """Return where the image's size goes."""
    sizes = own_sizes(docker, tag)
    rows = [("base", inspect(docker, tag)["Size"] - sum(sizes.values())), *sizes.items()]
    rows.append(("over the base, without the model", sum(sizes.values()) - sizes["model"]))
    return "\n".join(f"{size / 1e6:8.1f} MB  {name}" for name, size in rows)


if __name__ == "__main__":
    with running_engine() as engine:
        image = build_image(engine, base_image(engine))
        print(f"{image}{', on a stand-in for its base' if is_stand_in(engine) else ''}", file=sys.stderr)
        print(size_table(engine, image))
