"""What this machine is: its processor, its threads, and where what can be made again is kept."""

from __future__ import annotations

import contextlib
import math
import os
import platform
import re
import shlex
import subprocess
import sys
from pathlib import Path

_GROUPS = Path("/proc/self/cgroup")
"""Tells the control groups of this process."""
_CGROUPS = Path("/sys/fs/cgroup")
"""Where the control groups are."""


def cache_folder() -> Path:
    """Return the folder for what is downloaded or prepared: `$ETUDE_CACHE`, or `etude` in the user's cache."""
    given = os.environ.get("ETUDE_CACHE")
    if given:
        return Path(given).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "etude"


def command_words() -> str:
    """Return the command that this process was started with, as a person would type it again."""
    name = Path(sys.argv[0]).name
    own = {"__main__.py", "etude", "etude.exe"}
    return shlex.join(["etude" if name in own else name, *sys.argv[1:]])


def usable_threads() -> int:
    """Return the hardware threads that this process may use, at least one.

    A container may be given the time of fewer than it sees (`--cpus`): more threads than that would only be held up.
    """
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(threads, _quota())))


def answered_at_once(height_px: int, width_px: int, *, on_cpu: bool = True) -> int:
    """Return how many pictures a network best answers together, without gradients.

    On a processor what lies between two layers is to stay in its caches: MobileNetV2 answers more than twice as many
    pictures of 192 px a second by 14 at once as by 512 (benchmarks/answering.py). A GPU wants many.

    >>> answered_at_once(32, 32), answered_at_once(192, 192), answered_at_once(1024, 2048)
    (128, 14, 1)
    >>> answered_at_once(32, 32, on_cpu=False), answered_at_once(224, 224, on_cpu=False)
    (512, 167)
    """
    most, most_px = (128, 2**19) if on_cpu else (512, 2**23)
    return max(1, min(most, most_px // (height_px * width_px)))


def _quota() -> float:
    """Return how many processors' time the control groups of this process allow it; infinite where they do not say."""
    told = ""
    with contextlib.suppress(OSError):
        told = _GROUPS.read_text("utf-8", "replace")
    allowed = [math.inf]
    for kinds, path in re.findall(r"^\d+:([^:]*):/(.*)$", told, re.MULTILINE):
        if not kinds:
            roots, read = [_CGROUPS], _quota_v2
        elif "cpu" in kinds.split(","):
            roots, read = [_CGROUPS / kinds, _CGROUPS / "cpu"], _quota_v1
        else:
            continue
        # A group has no more than those around it; in a container its path may be that outside, which is not there.
        allowed += [read(root / folder) for root in roots for folder in (Path(path), *Path(path).parents)]
    return min(allowed)


def _quota_v2(folder: Path) -> float:
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        quota_us, period_us = (folder / "cpu.max").read_text().split()
        return math.inf if quota_us == "max" else int(quota_us) / int(period_us)
    return math.inf


def _quota_v1(folder: Path) -> float:
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        quota_us = int((folder / "cpu.cfs_quota_us").read_text())
        return quota_us / int((folder / "cpu.cfs_period_us").read_text()) if quota_us > 0 else math.inf
    return math.inf


def processor_name() -> str:
    """Return the processor's name as the system gives it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    if sys.platform == "darwin":
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(asked, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
    return platform.processor() or platform.machine() or "unknown processor"
