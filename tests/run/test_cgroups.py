"""Limits of containers and schedulers, of both versions of control groups."""

from pathlib import Path

import pytest

from phasetune.run.cgroups import CgroupLimits, cgroup_limits

GIB = 1 << 30
NONE = CgroupLimits(cpus=None, memory_bytes=None, free_memory_bytes=None)
UNLIMITED = 9223372036854771712


def limits(folder: Path, own: str | None, files: dict[str, str | int]) -> CgroupLimits:
    for name, content in files.items():
        path = folder / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    if own is not None:
        (folder / "own").write_text(own)
    return cgroup_limits(root=folder / "cgroup", own=folder / "own")


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        (None, {}, NONE),
        ("", {}, NONE),
        ("0::/\n", {}, NONE),
        ("0::/job\n", {"job/cpu.max": "max 100000", "job/memory.max": "max"}, NONE),
        (
            "0::/job\n",
            {"job/cpu.max": "150000 100000", "job/memory.max": 2 * GIB, "job/memory.current": GIB},
            CgroupLimits(cpus=1.5, memory_bytes=2 * GIB, free_memory_bytes=GIB),
        ),
        (
            "0::/job/step\n",
            {
                "job/cpu.max": "100000 100000",
                "job/memory.max": GIB,
                "job/memory.current": GIB,
                "job/memory.stat": f"anon {GIB // 4}\ninactive_file {3 * GIB // 4}",
                "job/step/cpu.max": "200000 100000",
                "job/step/memory.max": "max",
            },
            CgroupLimits(cpus=1.0, memory_bytes=GIB, free_memory_bytes=3 * GIB // 4),
        ),
        (
            "0::/of/the/host\n",
            {"cpu.max": "400000 100000", "memory.max": GIB, "memory.current": 2 * GIB},
            CgroupLimits(cpus=4.0, memory_bytes=GIB, free_memory_bytes=0),
        ),
        (
            "4:memory:/box\n3:cpu,cpuacct:/box\n0::/\n",
            {
                "cpu,cpuacct/box/cpu.cfs_quota_us": 50000,
                "cpu,cpuacct/box/cpu.cfs_period_us": 100000,
                "memory/memory.limit_in_bytes": UNLIMITED,
                "memory/box/memory.limit_in_bytes": 4 * GIB,
                "memory/box/memory.usage_in_bytes": 3 * GIB,
                "memory/box/memory.stat": f"inactive_file 5\ntotal_inactive_file {GIB}",
            },
            CgroupLimits(cpus=0.5, memory_bytes=4 * GIB, free_memory_bytes=2 * GIB),
        ),
        (
            "3:cpu:/\n",
            {"cpu/cpu.cfs_quota_us": -1, "cpu/cpu.cfs_period_us": 100000},
            NONE,
        ),
        ("0::/job\n", {"job/cpu.max": "", "job/memory.max": "much"}, NONE),
        (
            "0::/../..\n",
            {"cpu.max": "100000 100000"},
            CgroupLimits(cpus=1.0, memory_bytes=None, free_memory_bytes=None),
        ),
    ],
    ids=[
        "no file", "empty file", "no limits", "max", "version 2", "the group above is tighter",
        "in a container", "version 1", "version 1 without limit", "torn", "another namespace",
    ],
)  # fmt: skip
def test_the_tightest_limit_counts(
    tmp_path: Path, own: str | None, files: dict[str, str | int], expected: CgroupLimits
) -> None:
    assert limits(tmp_path, own, files) == expected
