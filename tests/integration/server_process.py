"""The real server as a process, for the tests that ask it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable


class Server:
    """A server process and its address."""

    def __init__(self, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "etude", "serve", *words, "--port", "0"], stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        self.lines: list[str] = []
        for line in self.process.stderr:
            self.lines.append(line)
            if line.startswith("Listening on "):
                break
        else:
            raise AssertionError("".join(self.lines))
        self.address = self.lines[-1].split()[2]
        self.reader = threading.Thread(target=lambda: self.lines.extend(self.process.stderr), daemon=True)
        self.reader.start()

    @property
    def port(self) -> int:
        return int(self.address.rsplit(":", 1)[1])

    def events(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(20)
        self.reader.join(5)
        return code


def until(holds: Callable[[], object], seconds: float = 15) -> None:
    """Wait for something to hold."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, "it took too long"
        time.sleep(0.02)
