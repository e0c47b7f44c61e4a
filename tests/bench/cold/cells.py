"""Where the processes run: the image in a container, with and without limits and neighbours; or this environment."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
MODULES = ("floor", "naive", "changed", "traced")
BLOCK_BYTES = 524_288
MOUNT_TIMEOUT_S, STOP_TIMEOUT_S = 20.0, 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A set of conditions."""

    name: str
    title: str
    options: tuple[str, ...] = ()
    """Of ``docker run``."""
    neighbours: int = 0
    """Processes that want a CPU each all the time."""
    delay_ms: float | None = None
    """For each block of the model's files that is touched first; every start finds none of them touched."""
    in_image: bool = True
    """Else in the environment and on the interpreter of this process."""


CELLS = {
    cell.name: cell
    for cell in (
        Cell(name="quiet", title="quiet, two CPUs"),
        Cell(name="busy", title="two busy neighbours", neighbours=2),
        Cell(name="cpus-2", title="quota of 2 CPUs", options=("--cpus", "2")),
        Cell(name="cpus-1", title="quota of 1 CPU", options=("--cpus", "1")),
        Cell(name="cpus-0.5", title="quota of 0.5 CPU", options=("--cpus", "0.5")),
        Cell(name="lazy-1", title="512 KiB blocks, 1 ms each", delay_ms=1),
        Cell(name="lazy-4", title="512 KiB blocks, 4 ms each", delay_ms=4),
        Cell(name="lazy-16", title="512 KiB blocks, 16 ms each", delay_ms=16),
        Cell(name="here", title="this environment", in_image=False),
    )
}


@dataclass(frozen=True, slots=True)
class Place:
    """A cell that is ready to start processes."""

    launcher: subprocess.Popen[str]
    command: tuple[str, ...]
    """Takes the name of the handler."""
    folder: str
    model: str
    """Folder of the model, as the processes see it."""

    def start(self, handler: str, variables: Mapping[str, str]) -> int:
        """Start the function; return when, in nanoseconds of ``CLOCK_MONOTONIC``."""
        job = {"argv": [*self.command, handler], "env": dict(variables), "cwd": self.folder}
        return int(self._exchange(json.dumps(job))["started_ns"])

    def stop(self) -> dict[str, float]:
        """Kill it; return its CPU seconds and its memory at the peak, in MiB."""
        return self._exchange("")

    def _exchange(self, line: str) -> dict[str, Any]:
        assert self.launcher.stdin
        assert self.launcher.stdout
        self.launcher.stdin.write(line + "\n")
        self.launcher.stdin.flush()
        answer: dict[str, Any] = json.loads(self.launcher.stdout.readline())
        return answer


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """Keep ``count`` CPUs busy until the block ends."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait(timeout=STOP_TIMEOUT_S)


@contextmanager
def place(cell: Cell, model: Path, docker: Sequence[str], image: str, *, log: Path) -> Iterator[Place]:
    """Make ``cell`` ready for the model in a folder, until the block ends.

    Args:
        cell: The conditions; neighbours are not its business.
        model: Folder with ``model.bin``.
        docker: How the client is called.
        image: Tag of the image.
        log: File for what the processes print.
    """
    with ExitStack() as stack:
        if cell.delay_ms is not None:
            model = stack.enter_context(lazily_loaded(model, cell.delay_ms))
        output = stack.enter_context(log.open("ab"))
        start: tuple[str, ...]
        if cell.in_image:
            mounts = {HERE / "launcher.py": "/bench/launcher.py", model: "/bench/model"}
            mounts |= {HERE / f"{name}.py": f"/var/task/{name}.py" for name in MODULES}
            volumes = [f"--volume={source}:{target}:ro" for source, target in mounts.items()]
            command = [*docker, "run", "--rm", "--interactive", "--network=host", *volumes, *cell.options]
            command += ["--entrypoint", "python3", image, "/bench/launcher.py"]
            start, folder, seen = ("/lambda-entrypoint.sh",), "/var/task", "/bench/model"
            environment = None
        else:
            command = [sys.executable, str(HERE / "launcher.py")]
            start, folder, seen = (sys.executable, "-m", "awslambdaric"), str(ROOT), str(model)
            environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(HERE)}
        launcher = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, text=True, env=environment
        )
        try:
            yield Place(launcher, start, folder, seen)
        finally:
            assert launcher.stdin
            launcher.stdin.close()
            launcher.wait(timeout=STOP_TIMEOUT_S)


@contextmanager
def lazily_loaded(folder: Path, delay_ms: float) -> Iterator[Path]:
    """Mount the files of ``folder`` with a delay for each block, none of which has been touched."""
    mount_point = ROOT / "build" / "bench" / f"lazy-{os.getpid()}"
    mount_point.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(HERE / "lazy_files.py"), str(folder), str(mount_point), str(BLOCK_BYTES)]
    server = subprocess.Popen([*command, str(delay_ms)])
    try:
        deadline = time.monotonic() + MOUNT_TIMEOUT_S
        while not (mount_point / "model.bin").exists():
            if server.poll() is not None or time.monotonic() > deadline:
                message = "the lazily loaded file system did not start; it needs libfuse (Debian: fuse) and /dev/fuse"
                raise SystemExit(message)
            time.sleep(0.02)
        yield mount_point
    finally:
        subprocess.run(["umount", "--lazy", str(mount_point)], check=False)
        server.wait(timeout=STOP_TIMEOUT_S)
        mount_point.rmdir()
