"""A Docker engine for tests and benchmarks: the one that runs, else a private one that ends with the block.

``with running_engine() as docker: docker.run("ps")``
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
COMMAND_TIMEOUT_S = 120.0
PROBE_TIMEOUT_S = 20.0

BRIDGE = "172.31.77.1/24"
"""Addresses of a private engine's containers: chosen away from Docker's default, which may be taken."""


class EngineError(Exception):
    """There is no engine and none can be started, or a command of one failed."""


@dataclass(frozen=True, slots=True)
class Docker:
    """A client that can build, and the engine it talks to."""

    client: str
    environment: Mapping[str, str] = field(repr=False)

    @property
    def host(self) -> str:
        """Return the engine's address, ``DOCKER_HOST``; empty for the client's default."""
        return self.environment.get("DOCKER_HOST", "")

    def with_environment(self, **variables: str) -> "Docker":
        """Return the same with more in the client's environment."""
        return Docker(self.client, {**self.environment, **variables})

    def run(
        self,
        *arguments: str,
        timeout_s: float = COMMAND_TIMEOUT_S,
        check: bool = True,
        stdin: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``docker`` with ``arguments`` and return what it printed.

        Args:
            arguments: As on the command line.
            timeout_s: After which it is killed.
            check: Whether a non-zero exit status is an error.
            stdin: What it reads.

        Raises:
            EngineError: It failed or took too long.
        """
        try:
            done = subprocess.run(
                [self.client, *arguments],
                env=dict(self.environment),
                input=stdin,
                stdin=None if stdin is not None else subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            message = f"docker {' '.join(arguments)[:200]}: not done after {timeout_s:.0f} s"
            raise EngineError(message) from None
        if check and done.returncode:
            message = f"docker {' '.join(arguments)[:200]}: exit status {done.returncode}\n{done.stderr[-4000:]}"
            raise EngineError(message)
        return done

    def output(self, *arguments: str, timeout_s: float = COMMAND_TIMEOUT_S) -> str:
        """Return what a command printed on standard output, without white space around it.

        Raises:
            EngineError: It failed or took too long.
        """
        return self.run(*arguments, timeout_s=timeout_s).stdout.strip()


@contextmanager
def running_engine(data: Path | None = None) -> Iterator[Docker]:
    """Yield a client of the engine that answers, or of a private one that runs until the block ends.

    Args:
        data: Folder of a private engine's images; a second run finds them there. Default: the one that
            ``CONTAINERS_DATA`` names, else a temporary one.

    Raises:
        EngineError: No engine answers, and none can be started here.
    """
    environment = os.environ | {"DOCKER_BUILDKIT": "1"}
    client = _client(environment)
    if _answers(client, environment):
        yield Docker(client, environment)
        return
    _check_startable()
    named = os.environ.get("CONTAINERS_DATA")
    kept = data or (Path(named) if named else None)
    folder = kept.resolve() if kept else Path(tempfile.mkdtemp(prefix="containers-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with _private_engine(client, folder, environment) as docker:
            yield docker
    finally:
        if kept is None:
            shutil.rmtree(folder, ignore_errors=True)


def _client(environment: Mapping[str, str]) -> str:
    """Return the first ``docker`` in the PATH that has BuildKit: its own until version 22, a plugin's since."""
    found = []
    for folder in environment.get("PATH", "").split(os.pathsep):
        path = str(Path(folder) / "docker")
        if not os.access(path, os.X_OK):
            continue
        found.append(path)
        version = re.search(r"version (\d+)", _printed([path, "--version"], environment))
        if (version and int(version[1]) < 23) or "buildx" in _printed([path, "buildx", "version"], environment):
            return path
    message = f"none of {', '.join(found)} has BuildKit" if found else "there is no docker in the PATH"
    raise EngineError(message)


def _printed(command: Sequence[str], environment: Mapping[str, str]) -> str:
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(
            command, env=dict(environment), capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=False
        )
        return done.stdout if done.returncode == 0 else ""
    return ""


def _answers(client: str, environment: Mapping[str, str]) -> bool:
    return bool(_printed([client, "version", "--format", "{{.Server.Version}}"], environment).strip())


def _check_startable() -> None:
    if os.environ.get("DOCKER_HOST"):
        message = f"the engine at DOCKER_HOST={os.environ['DOCKER_HOST']} does not answer"
    elif os.geteuid():
        message = "no Docker engine answers, and only root can start one"
    elif missing := [tool for tool in ("dockerd", "iptables") if shutil.which(tool) is None]:
        message = f"no Docker engine answers, and to start one {' and '.join(missing)} is missing"
    else:
        return
    raise EngineError(message)


@contextmanager
def _private_engine(client: str, folder: Path, environment: Mapping[str, str]) -> Iterator[Docker]:
    # A socket's path has 108 bytes at most, and folders of tests are deep.
    sockets = Path(tempfile.mkdtemp(prefix="docker-", dir="/tmp"))
    address = f"unix://{sockets}/docker.sock"
    docker = Docker(client, {**environment, "DOCKER_HOST": address})
    log = folder / "dockerd.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                "dockerd",
                *("--host", address, "--bip", BRIDGE),
                *("--data-root", str(folder / "data"), "--exec-root", str(sockets / "exec")),
                *("--pidfile", str(sockets / "docker.pid")),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the tests, which stop their containers first
        )
    try:
        _wait_for(docker, process, log)
        yield docker
    finally:
        stop(process)
        _unmount_below(sockets, folder)
        shutil.rmtree(sockets, ignore_errors=True)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a process of ours to end, and end it if it does not."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=STOP_TIMEOUT_S)


def _unmount_below(*folders: Path) -> None:
    """Unmount what an engine left: a network namespace always, more if it had to be killed."""
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()]
    # What was mounted last may lie on what was mounted first.
    for path in reversed(mounted):
        if any(path.startswith(f"{folder}/") for folder in folders):
            subprocess.run(["umount", path], timeout=STOP_TIMEOUT_S, check=False)


def _wait_for(docker: Docker, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _answers(docker.client, docker.environment):
        if process.poll() is not None or time.monotonic() > deadline:
            message = f"dockerd did not start:\n{log.read_text(encoding='utf-8', errors='replace')[-2000:]}"
            raise EngineError(message)
        time.sleep(0.2)
