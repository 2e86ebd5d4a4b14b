"""The threads that this process may use: those that it sees, and the time that its control group allows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from etude.core import machine
from etude.core.machine import usable_threads


@pytest.mark.parametrize(
    ("groups", "files", "threads"),
    [
        ("", {}, 8),
        ("0::/\n", {"cpu.max": "max 100000"}, 8),
        ("0::/\n", {"cpu.max": "200000 100000"}, 2),
        ("0::/\n", {"cpu.max": "150000 100000"}, 2),
        ("0::/\n", {"cpu.max": "5000 100000"}, 1),
        ("0::/\n", {"cpu.max": "6400000 100000"}, 8),
        ("0::/\n", {"cpu.max": "nonsense"}, 8),
        ("0::/\n", {"cpu.max": "100000 0"}, 8),
        ("0::/user.slice/a.scope\n", {"user.slice/a.scope/cpu.max": "max 100000", "user.slice/cpu.max": "300000 100000"}, 3),
        ("0::/outside/of/the/container\n", {"cpu.max": "400000 100000"}, 4),
        ("4:cpu,cpuacct:/\n", {"cpu,cpuacct/cpu.cfs_quota_us": "-1", "cpu,cpuacct/cpu.cfs_period_us": "100000"}, 8),
        ("4:cpu,cpuacct:/x\n", {"cpu,cpuacct/x/cpu.cfs_quota_us": "200000", "cpu,cpuacct/x/cpu.cfs_period_us": "100000"}, 2),
        ("1:cpu:/\n0::/\n", {"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3),
        ("2:cpuset:/\n9:name=systemd:/a:b\n", {"cpuset/cpu.cfs_quota_us": "100000"}, 8),
        ("no control group at all\n", {}, 8),
    ],
)  # fmt: skip
def test_threads_are_no_more_than_the_control_group_has_time_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, groups: str, files: dict[str, str], threads: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    monkeypatch.setattr(machine, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path)
    if groups:
        (tmp_path / "groups").write_text(groups)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert usable_threads() == threads


def test_threads_of_this_machine_are_some() -> None:
    assert 1 <= usable_threads() <= (os.cpu_count() or 1)
