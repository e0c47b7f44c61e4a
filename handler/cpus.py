"""How many CPUs this process may really use.

``os.cpu_count`` names the machine's CPUs: a container limited to one of sixty-four would start sixty-four threads that
take turns on it. With OpenMP, whose threads spin while they wait, that is slower than one thread by an order of
magnitude.
"""

import os
from collections.abc import Mapping
from pathlib import Path

LAMBDA_MIB_PER_CPU = 1769
"""Memory at which a Lambda function has one full vCPU (AWS Lambda developer guide, "Configure function memory")."""

_CGROUP = Path("/sys/fs/cgroup")


def usable_cpus(*, environ: Mapping[str, str] | None = None, cgroup: Path = _CGROUP) -> int:
    """Return the CPUs left by affinity, cgroup quota and Lambda's share of its memory size; at least 1.

    A share that is not whole is rounded to the nearest: half a CPU more is worth a thread, less is not.

    Args:
        environ: Stands in for ``os.environ``.
        cgroup: Mount point of the cgroup file system.
    """
    environ = os.environ if environ is None else environ
    cpus = float(len(os.sched_getaffinity(0)))
    quota = _cgroup_quota(cgroup)
    if quota:
        cpus = min(cpus, quota)
    memory_mib = environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
    if memory_mib.isdecimal():
        cpus = min(cpus, int(memory_mib) / LAMBDA_MIB_PER_CPU)
    return max(1, int(cpus + 0.5))


def _cgroup_quota(cgroup: Path) -> float | None:
    """Return the CPU quota of this cgroup in CPUs, or nothing where none is set.

    Version 2 holds "quota period" in ``cpu.max``, version 1 the two numbers in files of their own (Linux kernel,
    Documentation/admin-guide/cgroup-v2.rst and scheduler/sched-bwc.rst).
    """
    for read in (_quota_v2, _quota_v1):
        try:
            return read(cgroup)
        except (OSError, ValueError):
            continue
    return None


def _quota_v2(cgroup: Path) -> float | None:
    quota, period = (cgroup / "cpu.max").read_text(encoding="ascii").split()
    return None if quota == "max" else int(quota) / int(period)


def _quota_v1(cgroup: Path) -> float | None:
    quota = int((cgroup / "cpu" / "cpu.cfs_quota_us").read_text(encoding="ascii"))
    period = int((cgroup / "cpu" / "cpu.cfs_period_us").read_text(encoding="ascii"))
    return None if quota <= 0 else quota / period
