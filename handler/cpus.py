"""How many CPUs this process may really use.

``os.cpu_count`` names the machine's CPUs: a container limited to one of sixty-four would start sixty-four threads that
take turns on it. With OpenMP, whose threads spin while they wait, that is slower than one thread by an order of
magnitude.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
# As typing has it, without typing, and paths as text: a cold start asks before it has imported either.
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LAMBDA_MIB_PER_CPU = 1769
"""Memory at which a Lambda function has one full vCPU (AWS Lambda developer guide, "Configure function memory")."""

MOST_THREADS = 256
"""OpenMP ends the process, without a word, when it cannot start as many threads as it is told to."""

_SMALL_BYTES = 16 * 1_048_576
"""Weights that fit into a core's caches: its steps are over before a second thread has begun to help."""

_CGROUP = "/sys/fs/cgroup"
_MEMBERSHIP = "/proc/self/cgroup"


def batch_threads(model_file: str, *, inter_threads: int) -> int:
    """Return how many CPU threads one batch should have.

    Args:
        model_file: The weights.
        inter_threads: Batches that are decoded at the same time.

    Raises:
        OSError: The file cannot be found.
    """
    if os.stat(model_file).st_size <= _SMALL_BYTES:
        return 1
    return max(1, usable_cpus() // inter_threads)


def usable_cpus(
    *, environ: Mapping[str, str] | None = None, cgroup: str = _CGROUP, membership: str = _MEMBERSHIP
) -> int:
    """Return the CPUs left by affinity, cgroup quota and Lambda's share of its memory size; at least 1.

    A share that is not whole is rounded to the nearest: half a CPU more is worth a thread, less is not.

    Args:
        environ: Stands in for ``os.environ``.
        cgroup: Mount point of the cgroup file system.
        membership: File that names the cgroups of this process.
    """
    environ = os.environ if environ is None else environ
    # Only Linux knows affinity; elsewhere there are no cgroups either.
    cpus = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    quota = _cgroup_quota(cgroup, membership)
    if quota:
        cpus = min(cpus, quota)
    memory_mib = environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
    if memory_mib.isdecimal():
        cpus = min(cpus, int(memory_mib) / LAMBDA_MIB_PER_CPU)
    return max(1, int(cpus + 0.5))


def _cgroup_quota(cgroup: str, membership: str) -> float | None:
    """Return the smallest CPU quota of this process's cgroup and those above it, in CPUs; nothing where none is set.

    Version 2 holds "quota period" in ``cpu.max``, version 1 the two numbers in files of their own (Linux kernel,
    Documentation/admin-guide/cgroup-v2.rst and scheduler/sched-bwc.rst).
    """
    try:
        lines = _read(membership).splitlines()
    except OSError:
        lines = []
    # The mount point itself comes along: in a container it is the container's own cgroup, whatever its path is outside.
    folders = {cgroup, f"{cgroup}/cpu"}
    for line in lines:
        _, controllers, path = line.split(":", 2)
        folder = f"{cgroup}/cpu" if "cpu" in controllers.split(",") else cgroup
        for name in filter(None, path.split("/")):
            folder = f"{folder}/{name}"
            folders.add(folder)
    quotas = [quota for folder in folders for read in (_quota_v2, _quota_v1) if (quota := _try(read, folder))]
    return min(quotas, default=None)


def _try(read: Callable[[str], float | None], folder: str) -> float | None:
    try:
        return read(folder)
    except (OSError, ValueError):
        return None


def _quota_v2(folder: str) -> float | None:
    quota, period = _read(f"{folder}/cpu.max").split()
    return None if quota == "max" else int(quota) / int(period)


def _quota_v1(folder: str) -> float | None:
    quota = int(_read(f"{folder}/cpu.cfs_quota_us"))
    period = int(_read(f"{folder}/cpu.cfs_period_us"))
    return None if quota <= 0 else quota / period


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()
