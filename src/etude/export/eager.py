"""How much memory PyTorch takes to answer one picture at a time, in a process that does nothing else.

python -m etude.export.eager NETWORK.pt2 HEIGHT WIDTH

It imports no more than it needs: what it holds is what is measured.
"""

from __future__ import annotations

import json
import sys
from typing import Final

import torch
from torch import Tensor

from etude.core.machine import usable_threads
from etude.runtime.measuring import peak_memory_mb

_CALLS: Final = 3
"""The second call takes the most: what the first gave back is taken again."""


def main(words: list[str]) -> None:
    """Ask the exported program that the command line names, and print the peak memory in MiB as JSON."""
    path, height, width = words
    torch.set_num_threads(usable_threads())
    network = torch.export.load(path).module()
    one_BHWC: Tensor = torch.zeros(1, int(height), int(width), 3, dtype=torch.uint8)
    with torch.no_grad():
        for _ in range(_CALLS):
            network(one_BHWC)
    sys.stdout.write(json.dumps(peak_memory_mb()) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
