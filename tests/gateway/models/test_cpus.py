"""The CPUs that the control groups leave this process, of both versions of cgroup."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.models.cpus import available_cpus

V2 = "0::/system.slice/gateway.service\n"
V1 = "4:memory:/docker/ab\n3:cpuset:/\n2:cpu,cpuacct:/docker/ab\n1:name=systemd:/other\n"
V1_QUOTA, V1_PERIOD = "cpu.cfs_quota_us", "cpu.cfs_period_us"


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)


def v1(folder: str, quota: str) -> dict[str, str]:
    return {f"{folder}/{V1_QUOTA}": f"{quota}\n", f"{folder}/{V1_PERIOD}": "100000\n"}


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        pytest.param("0::/\n", {}, 8, id="no limit"),
        pytest.param("0::/\n", {"cpu.max": "max 100000\n"}, 8, id="v2, max"),
        pytest.param("0::/\n", {"cpu.max": "150000 100000\n"}, 2, id="v2, a namespace of its own"),
        pytest.param("0::/\n", {"cpu.max": "5000 100000\n"}, 1, id="v2, less than one"),
        pytest.param("0::/\n", {"cpu.max": "9900000 100000\n"}, 8, id="v2, more than there are"),
        pytest.param(
            V2, {"system.slice/gateway.service/cpu.max": "300000 100000\n"}, 3, id="v2, a unit's"
        ),
        pytest.param(
            V2,
            {
                "system.slice/gateway.service/cpu.max": "max 100000\n",
                "system.slice/cpu.max": "400000 100000\n",
            },
            4,
            id="v2, the slice's",
        ),
        pytest.param(
            V2,
            {
                "system.slice/gateway.service/cpu.max": "500000 100000\n",
                "system.slice/cpu.max": "200000 100000\n",
                "elsewhere/cpu.max": "100000 100000\n",
            },
            2,
            id="v2, the least on the way up",
        ),
        pytest.param("0::/../gone\n", {"cpu.max": "300000 100000\n"}, 3, id="v2, moved out"),
        pytest.param(V1, v1("cpu", "-1"), 8, id="v1, no limit"),
        pytest.param(V1, v1("cpu", "200000"), 2, id="v1, the host's path in a container"),
        pytest.param(V1, v1("cpu/docker/ab", "350000"), 4, id="v1, nested"),
        pytest.param(
            V1, v1("cpu", "-1") | v1("cpu/docker", "100000") | v1("cpu/docker/ab", "200000"), 1,
            id="v1, the least on the way up",
        ),
        pytest.param(V1, v1("cpu/other", "100000"), 8, id="v1, another controller's path"),
        pytest.param(None, {"cpu.max": "200000 100000\n"}, 2, id="no /proc"),
    ],
)  # fmt: skip
def test_the_least_quota_counts(
    tmp_path: Path, membership: str | None, files: Mapping[str, str], expected: int
) -> None:
    for name, content in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    if membership is not None:
        (tmp_path / "membership").write_text(membership)
    assert available_cpus(tmp_path / "cgroup", tmp_path / "membership") == expected


def test_the_affinity_mask_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5}, raising=False)
    assert available_cpus(tmp_path, tmp_path / "none") == 2
