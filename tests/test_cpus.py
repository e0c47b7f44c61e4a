"""How many CPUs a process may use."""

import os
from pathlib import Path

import pytest

from handler.cpus import batch_threads, usable_cpus

AFFINITY = len(os.sched_getaffinity(0))


def _v2(root: Path, text: str) -> Path:
    (root / "cpu.max").write_text(text, encoding="ascii")
    return root


def _member(root: Path, *lines: str) -> Path:
    path = root / "membership"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def _v1(root: Path, quota: int, period: int) -> Path:
    (root / "cpu").mkdir()
    (root / "cpu" / "cpu.cfs_quota_us").write_text(str(quota), encoding="ascii")
    (root / "cpu" / "cpu.cfs_period_us").write_text(str(period), encoding="ascii")
    return root


def test_without_limits_it_is_the_affinity(tmp_path: Path) -> None:
    """No cgroup files, no Lambda: what the scheduler may use."""
    assert usable_cpus(environ={}, cgroup=str(tmp_path), membership=str(tmp_path / "none")) == AFFINITY


@pytest.mark.parametrize(
    ("cpu_max", "expected"),
    [
        ("max 100000", AFFINITY),
        ("100000 100000", 1),
        ("50000 100000", 1),
        ("10000 100000", 1),
        ("6400000 100000", AFFINITY),
        ("nonsense", AFFINITY),
    ],
    ids=["none", "one", "half", "tenth", "more than there are", "unreadable"],
)
def test_a_cgroup_quota_limits_them(tmp_path: Path, cpu_max: str, expected: int) -> None:
    """Version 2 of cgroups holds quota and period in one file."""
    assert usable_cpus(environ={}, cgroup=str(_v2(tmp_path, cpu_max)), membership=str(tmp_path / "none")) == expected


@pytest.mark.parametrize(("quota", "expected"), [(-1, AFFINITY), (100_000, 1)], ids=["none", "one"])
def test_an_old_cgroup_quota_limits_them(tmp_path: Path, quota: int, expected: int) -> None:
    """Version 1 of cgroups holds quota and period in two files."""
    assert (
        usable_cpus(environ={}, cgroup=str(_v1(tmp_path, quota, 100_000)), membership=str(tmp_path / "none"))
        == expected
    )


def test_the_smallest_quota_on_the_way_up_counts(tmp_path: Path) -> None:
    """A systemd unit's quota stands in its own folder, and its slice's above."""
    unit = tmp_path / "a.slice" / "b.service"
    unit.mkdir(parents=True)
    _v2(unit, "max 100000")
    _v2(unit.parent, "100000 100000")

    assert (
        usable_cpus(environ={}, cgroup=str(tmp_path), membership=str(_member(tmp_path, "0::/a.slice/b.service"))) == 1
    )


def test_an_old_cgroup_is_found_by_its_controller(tmp_path: Path) -> None:
    """Version 1 has a tree for each controller."""
    (tmp_path / "cpu" / "docker" / "x").mkdir(parents=True)
    (tmp_path / "cpu" / "docker" / "x" / "cpu.cfs_quota_us").write_text("100000", encoding="ascii")
    (tmp_path / "cpu" / "docker" / "x" / "cpu.cfs_period_us").write_text("100000", encoding="ascii")
    membership = _member(tmp_path, "3:cpu,cpuacct:/docker/x", "2:memory:/docker/x")

    assert usable_cpus(environ={}, cgroup=str(tmp_path), membership=str(membership)) == 1


@pytest.mark.parametrize(
    ("memory_mib", "expected"),
    [
        ("128", 1),
        ("1769", 1),
        ("2653", 1),
        ("2654", min(2, AFFINITY)),
        ("3538", min(2, AFFINITY)),
        ("", AFFINITY),
        ("x", AFFINITY),
    ],
    ids=["smallest", "one", "just below one and a half", "one and a half", "two", "empty", "junk"],
)
def test_lambdas_memory_size_limits_them(tmp_path: Path, memory_mib: str, expected: int) -> None:
    """1,769 MB are one vCPU, shares are rounded to the nearest."""
    environ = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": memory_mib}

    assert usable_cpus(environ=environ, cgroup=str(tmp_path), membership=str(tmp_path / "none")) == expected


def test_a_batch_of_a_small_model_has_one_thread(tmp_path: Path) -> None:
    """A second one would be waited for at each of many short steps; batches side by side share what there is."""
    small, large = tmp_path / "small", tmp_path / "large"
    for path, size in ((small, 2_000_000), (large, 20_000_000)):
        with path.open("wb") as file:
            file.truncate(size)

    assert batch_threads(str(small), inter_threads=1) == 1
    assert batch_threads(str(large), inter_threads=1) == usable_cpus()
    assert batch_threads(str(large), inter_threads=1000) == 1
