"""Features of pictures under a frozen network: computed once, kept on disk, and cut into batches.

Shapes: N pictures, B pictures of a batch, C features.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from etude.core.allocator import release_freed_memory
from etude.core.records import fingerprint
from etude.core.seeds import derive
from etude.data.batches import Batch
from etude.data.loader import ImageLoader
from etude.data.prepared import PreparedSet
from etude.models.networks.depth import Trunk
from etude.train.job import Job
from etude.train.state import load_tensors, save_tensors

FEATURES_FOLDER = "features"


class FeatureStore:
    """What a network gives its head for each picture, by the position of the picture in the source.

    The file's name is a hash of the network without its head (weights and pooling), of how pictures are prepared, of
    the data and of the precision: another head, seed or fold finds the same file.
    """

    def __init__(self, job: Job, trunk: Trunk, folder: Path) -> None:
        self.job = job
        self.trunk = trunk
        self.path = folder / f"{self._key()}.safetensors"
        self.seconds = 0.0
        """Time in seconds that the features which were asked for took, in whichever run they were computed."""
        self.recalled_seconds = 0.0
        """That of those which another run had computed."""
        self._indices_N, self._features_NC, self._seconds_N = self._read()
        self._counted_N = np.zeros(0, np.int64)

    def of(self, prepared: PreparedSet, loader: ImageLoader) -> Tensor:
        """Return the features (N, C) float32 of a part's pictures; those not known yet are computed and kept.

        Generated pictures have no position in the source (-1): theirs are computed each time, and not kept.
        """
        is_item_N = prepared.indices_N >= 0
        computed_NC = None
        if not (is_item_N.all() and np.isin(prepared.indices_N, self._indices_N).all()):
            started = time.perf_counter()
            computed_NC = self._compute(loader)
            seconds = time.perf_counter() - started
            self._keep(prepared.indices_N, is_item_N, computed_NC, seconds / len(prepared.indices_N))
            self.seconds += seconds
        else:
            self._recall(prepared.indices_N)
        self._counted_N = np.union1d(self._counted_N, prepared.indices_N)
        order = np.argsort(self._indices_N)
        found = np.searchsorted(self._indices_N, prepared.indices_N[is_item_N], sorter=order)
        features_NC = self._features_NC[torch.from_numpy(order[found])]
        if computed_NC is None or is_item_N.all():
            return features_NC
        is_item = torch.from_numpy(is_item_N)
        both_NC = torch.empty_like(computed_NC)
        both_NC[is_item], both_NC[~is_item] = features_NC, computed_NC[~is_item]
        return both_NC

    def _compute(self, loader: ImageLoader) -> Tensor:
        """Compute the features of a whole part, so that the same part always goes through in the same batches."""
        self.trunk.model.eval()
        with torch.no_grad(), self.job.execution.autocast():
            computed_NC = torch.cat([self.trunk.features(batch.images_BCHW).float().cpu() for batch in loader])
        release_freed_memory()  # a head needs little, and the maps of the whole network will not come again
        return computed_NC

    def _recall(self, indices_N: np.ndarray) -> None:
        """Count what features from another run took: a run that computes them itself is to stand beside this one."""
        is_recalled_N = np.isin(self._indices_N, np.setdiff1d(indices_N, self._counted_N))
        seconds = float(self._seconds_N[is_recalled_N].sum())
        self.seconds += seconds
        self.recalled_seconds += seconds

    def _keep(self, indices_N: np.ndarray, is_item_N: np.ndarray, computed_NC: Tensor, seconds_each: float) -> None:
        """Write down what was not known yet of the pictures that the source holds."""
        is_new_N = is_item_N & ~np.isin(indices_N, self._indices_N)
        if not is_new_N.any():
            return
        self._indices_N = np.concatenate([self._indices_N, indices_N[is_new_N]])
        fresh = computed_NC[torch.from_numpy(is_new_N)]
        self._features_NC = torch.cat([self._features_NC, fresh]) if len(self._features_NC) else fresh
        self._seconds_N = np.concatenate([self._seconds_N, np.full(int(is_new_N.sum()), seconds_each)])
        arrays = {"indices": self._indices_N, "seconds": self._seconds_N}
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        save_tensors(self.path, tensors | {"features": self._features_NC})

    def _read(self) -> tuple[np.ndarray, Tensor, np.ndarray]:
        nothing = np.zeros(0, np.int64), torch.zeros(0), np.zeros(0)
        if not self.path.exists():
            return nothing
        try:
            tensors, _ = load_tensors(self.path)
            return tensors["indices"].numpy(), tensors["features"], tensors["seconds"].numpy()
        except (SafetensorError, KeyError, OSError):
            return nothing

    def _key(self) -> str:
        digest = hashlib.sha256()
        inside_head = f"{self.trunk.head_name}."
        for name, tensor in self.trunk.model.state_dict().items():
            if not name.startswith(inside_head):
                digest.update(name.encode())
                digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return fingerprint(
            {
                "network": [str(type(self.trunk.model)), digest.hexdigest(), _beside_weights(self.job.config)],
                "prepare": self.job.prepare.model_dump(mode="json"),
                "data": self.job.data_key,
                "precision": self.job.execution.precision,
            }
        )


def _beside_weights(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what else of the model's configuration may change its features, the pooling say; a head's does not."""
    model = dict(config.get("model", {}))
    for name in ("weights", "checkpoint", "new_head", "dropout", "drop_path"):
        model.pop(name, None)
    if isinstance(head := model.get("head"), Mapping):
        model["head"] = {"pool": head.get("pool", "")}
    return model


class FeatureLoader:
    """Batches of features, in the place of pictures; the order of an epoch derives from (seed, epoch) only."""

    def __init__(
        self, features_NC: Tensor, labels_N: np.ndarray, *, batch: int, seed: int, shuffle: bool, device: torch.device
    ) -> None:
        self.features_NC = features_NC.to(device)
        self.labels_N = torch.from_numpy(np.asarray(labels_N, dtype=np.int64)).to(device)
        self.batch, self.seed, self.shuffle = batch, seed, shuffle
        self.epoch = 0
        count = len(self.labels_N)
        # Without a last short batch while training, as with pictures; but never without any.
        self._length = count // batch if shuffle and count >= batch else -(-count // batch)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return self._length

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration goes through."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Batch]:
        """Go through the epoch."""
        count = len(self.labels_N)
        order_N = torch.arange(count)
        if self.shuffle:
            order_N = torch.randperm(count, generator=torch.Generator().manual_seed(derive(self.seed, self.epoch)))
        order_N = order_N.to(self.labels_N.device)
        for number in range(self._length):
            chosen_B = order_N[number * self.batch : (number + 1) * self.batch]
            yield Batch(self.features_NC[chosen_B], self.labels_N[chosen_B])
