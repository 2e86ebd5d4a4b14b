"""The weights of a finished run, read back."""

from __future__ import annotations

import pytest
import torch

from etude.core.errors import MistakeError
from etude.train.state import load_weights, save_tensors


def test_weights_that_are_gone_or_damaged_are_told_with_what_to_do(tmp_path):
    path = tmp_path / "3f0c" / "model.safetensors"
    with pytest.raises(MistakeError, match=r"3f0c.*the weights of this run are not there\. Delete the run's folder"):
        load_weights(path)
    path.parent.mkdir()
    path.write_bytes(b"no tensors")
    with pytest.raises(MistakeError, match=r"cannot be read as weights \(.*trains it again"):
        load_weights(path)
    save_tensors(path, {"w": torch.ones(2)})
    assert torch.equal(load_weights(path)["w"], torch.ones(2))
