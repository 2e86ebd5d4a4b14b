"""The time of `etude --help`, of `import etude` and of `import etude.runtime`, and whether they load torch.

`import etude.runtime` imports its parts when they are asked for; `load` is the time until a bundle can be named, and
`load_and_compute` until its graph can be computed too: onnxruntime is imported when the first bundle is opened. Beside
them stand their guests alone: NumPy and Pillow, and those with onnxruntime. The programs take turns; times are medians
of wall time.

    python benchmarks/startup.py [--rounds 10]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

from etude.evaluate.cost import machine_words

PROGRAMS = {
    "help": [sys.executable, "-m", "etude", "--help"],
    "import_etude": [sys.executable, "-c", "import etude, sys; assert 'torch' not in sys.modules"],
    "import_runtime": [sys.executable, "-c", "import etude.runtime, sys; assert 'torch' not in sys.modules"],
    "load": [sys.executable, "-c", "from etude.runtime import load; import sys; assert 'torch' not in sys.modules"],
    "load_and_compute": [sys.executable, "-c", "from etude.runtime import load; import onnxruntime"],
    "numpy": [sys.executable, "-c", "import numpy"],
    "numpy_pillow": [sys.executable, "-c", "import numpy, PIL.Image"],
    "numpy_pillow_onnxruntime": [sys.executable, "-c", "import numpy, PIL.Image, onnxruntime"],
    "python": [sys.executable, "-c", "pass"],
}
BOUND_S = 0.3


def seconds_of(program: list[str]) -> float:
    """Run a program to its end; return its wall time."""
    started = time.perf_counter()
    subprocess.run(program, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    """Time the programs in turns and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    times = [{name: seconds_of(program) for name, program in PROGRAMS.items()} for _ in range(rounds + 1)][1:]
    medians = {f"{name}_s": round(statistics.median(row[name] for row in times), 3) for name in PROGRAMS}
    print(json.dumps({"benchmark": "startup", "machine": machine_words(), **medians, "bound_s": BOUND_S}, indent=1))


if __name__ == "__main__":
    main()
