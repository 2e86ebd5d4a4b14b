"""What this machine is: its processor, its threads, and where what can be made again is kept."""

from __future__ import annotations

import contextlib
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path


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
    """Return the hardware threads that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
