"""SAM's command line on the project's template: what it builds, and its API on this machine."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from base_image import ROOT
from engine import Docker, stop

SAM = Path(os.environ.get("SAM", ROOT / ".venv-sam" / "bin" / "sam"))
REGION = "us-east-1"
BUILD_TIMEOUT_S = 300.0
START_TIMEOUT_S = 60.0

IMAGE = "translationfunction:latest"
"""What ``sam build`` names the image of the template's function."""


class SamError(Exception):
    """SAM's command line failed."""


def sam_build(docker: Docker, base: str, folder: Path) -> Path:
    """Build the image as ``sam build`` does, and return the template that names it.

    Raises:
        SamError: The build failed.
    """
    done = subprocess.run(
        [
            *(str(SAM), "build", "--template", str(ROOT / "template.yaml"), "--build-dir", str(folder)),
            *("--region", REGION, "--parameter-overrides", f"BaseImage={base}"),
        ],
        cwd=ROOT,
        env=_environment(docker),
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        message = f"sam build: exit status {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        raise SamError(message)
    return folder / "template.yaml"


@contextmanager
def running_api(docker: Docker, template: Path, log: Path) -> Iterator[str]:
    """Run ``sam local start-api`` on a free port of the loopback; yield its address once the function is there.

    Raises:
        SamError: It does not start.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(str(SAM), "local", "start-api", "--template", str(template), "--region", REGION),
                *("--host", "127.0.0.1", "--port", str(port), "--container-host-interface", "127.0.0.1"),
                *("--skip-pull-image", "--warm-containers", "EAGER"),
            ],
            cwd=log.parent,
            env=_environment(docker),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(port, process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        # Not SIGINT, to which it is deaf in the background. It removes its containers itself.
        stop(process)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            message = f"sam local start-api did not start:\n{log.read_text(encoding='utf-8', errors='replace')[-4000:]}"
            raise SamError(message)
        time.sleep(0.1)


def _environment(docker: Docker) -> dict[str, str]:
    """Return the environment without AWS's variables: nothing here may find an account."""
    kept = {name: value for name, value in docker.environment.items() if not name.startswith("AWS_")}
    return kept | {"SAM_CLI_TELEMETRY": "0"}
