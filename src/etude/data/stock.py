"""What a loader takes its pictures from: arrays that are there already, or a source whose pictures are decoded now.

Shape suffixes: N picture of the set, P picture of a part of a batch, H row, W column, C channel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from etude.core.errors import DataError, sentence
from etude.data.items import Indices
from etude.data.prepared import Pixels, check_boxes, read_item
from etude.pictures.prepare import VOID
from etude.pictures.prepare_config import Prepare

if TYPE_CHECKING:
    from etude.data.source import Source

Targets = npt.NDArray[np.int64] | Pixels


class Stock(Protocol):
    """N pictures of one size with their targets; `read` may be called from several threads at once."""

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width of every picture."""

    @property
    def has_masks(self) -> bool:
        """Whether the targets are masks, uint8 (N, H, W), or labels, int64 (N,)."""

    @property
    def is_decoded(self) -> bool:
        """Whether pictures are decoded when they are read, which is work for all cores."""

    def __len__(self) -> int:
        """Return the number of pictures."""

    def read(self, positions_P: Indices, images_PHWC: Pixels, targets: Targets) -> None:
        """Write the pictures and targets at these positions into arrays of the right shape and dtype.

        Raises:
            DataError: naming the picture that cannot be read, or whose target is no class.
        """


class ArrayStock:
    """Pictures in an array, in memory or mapped from a file."""

    is_decoded = False

    def __init__(
        self,
        pictures_NHWC: Pixels,
        labels_N: npt.NDArray[np.int64],
        masks_NHW: Pixels | None = None,
        n_classes: int | None = None,
    ) -> None:
        """Take arrays; nothing is copied.

        Args:
            pictures_NHWC: uint8 (N, H, W, 3).
            labels_N: whole numbers (N,).
            masks_NHW: uint8 (N, H, W) ids, 255 being void; where given, they are the targets.
            n_classes: number of classes; where given, targets are checked against it.

        Raises:
            DataError: if the set is empty, its arrays do not fit together, or a target is no class.
        """
        _check_set(pictures_NHWC, labels_N, masks_NHW, n_classes)
        self.pictures_NHWC = pictures_NHWC
        self.targets: Targets = np.asarray(labels_N, dtype=np.int64) if masks_NHW is None else masks_NHW
        self.size_px: tuple[int, int] = pictures_NHWC.shape[1:3]
        self.has_masks = masks_NHW is not None

    def __len__(self) -> int:
        return len(self.pictures_NHWC)

    def read(self, positions_P: Indices, images_PHWC: Pixels, targets: Targets) -> None:
        """Copy some pictures and their targets."""
        # Positions are known to be good; the default mode would copy everything twice to be able to refuse.
        self.pictures_NHWC.take(positions_P, axis=0, out=images_PHWC, mode="clip")
        self.targets.take(positions_P, axis=0, out=targets, mode="clip")


class SourceStock:
    """Pictures of a source, decoded and prepared each time they are read; a few bytes a picture are kept."""

    is_decoded = True

    def __init__(self, source: Source, indices_N: Indices, prepare: Prepare, *, n_classes: int | None = None) -> None:
        """Take pictures of a source without opening them.

        Args:
            source: where they come from.
            indices_N: their positions in the source's items.
            prepare: their size and fit.
            n_classes: number of classes, by default the source's; targets are checked against it.

        Raises:
            DataError: if there is no picture, or one has no label.
        """
        self._source, self._prepare = source, prepare
        self._indices_N = np.asarray(indices_N, np.int64)
        self._n_classes = len(source.classes) if n_classes is None else n_classes
        self.size_px = (prepare.height_px, prepare.width_px)
        self.has_masks = source.kind == "segmentation"
        if len(self._indices_N) == 0:
            raise DataError(sentence("loader", source.name, "a set of one picture or more", 0))
        check_boxes(source, self._indices_N, prepare)
        if not self.has_masks:
            _check_targets(source.items.labels[self._indices_N], self._n_classes)

    def __len__(self) -> int:
        return len(self._indices_N)

    def read(self, positions_P: Indices, images_PHWC: Pixels, targets: Targets) -> None:
        """Decode and prepare some pictures."""
        for row, position in enumerate(positions_P.tolist()):
            index = int(self._indices_N[position])
            try:
                images_PHWC[row], mask = read_item(self._source, index, self._prepare)
            except (DataError, MemoryError):
                raise
            except Exception as error:  # a source of the user's own may raise anything
                name = str(self._source.items.ids[index])
                found = f"{type(error).__name__}: {error}"
                raise DataError(sentence("loader", name, "a picture that can be read", found)) from error
            if mask is None:
                targets[row] = self._source.items.labels[index]
                continue
            if ((mask >= self._n_classes) & (mask != VOID)).any():
                name, found_id = str(self._source.items.ids[index]), int(mask[mask != VOID].max())
                rule = f"a mask of ids between 0 and {self._n_classes - 1}, or 255 for void"
                raise DataError(sentence("loader", name, rule, found_id, "Leave it out, or correct its mask."))
            targets[row] = mask


def _check_set(
    pictures_NHWC: np.ndarray, labels_N: np.ndarray, masks_NHW: np.ndarray | None, n_classes: int | None
) -> None:
    shape = pictures_NHWC.shape
    if len(shape) != 4 or shape[0] == 0 or shape[3] != 3 or pictures_NHWC.dtype != np.uint8:
        raise DataError(sentence("loader", "pictures_NHWC", "uint8 (N, H, W, 3), N > 0", (pictures_NHWC.dtype, shape)))
    if labels_N.shape != shape[:1]:
        raise DataError(sentence("loader", "targets_N", f"of shape ({shape[0]},), one a picture", labels_N.shape))
    if masks_NHW is not None and masks_NHW.shape != shape[:3]:
        raise DataError(sentence("loader", "masks_NHW", f"of shape {shape[:3]}, as the pictures", masks_NHW.shape))
    if n_classes is not None:
        _check_targets(labels_N if masks_NHW is None else masks_NHW, n_classes)


def _check_targets(targets: np.ndarray, n_classes: int) -> None:
    """Refuse ids that are no class: on a GPU they would end in an assertion without a name."""
    are_masks = targets.ndim == 3
    for start in range(0, len(targets), 256 if are_masks else len(targets)):
        part = targets[start : start + 256] if are_masks else targets
        wrong = (part >= n_classes) & (part != VOID) if are_masks else (part < 0) | (part >= n_classes)
        if wrong.any():
            position = start + int(np.argwhere(wrong)[0, 0])
            rule = f"between 0 and {n_classes - 1}" + (", or 255 for void" if are_masks else "")
            remedy = f"Picture {position} of the set has it: leave it out, or correct its target."
            raise DataError(sentence("loader", "target", rule, int(part[wrong][0]), remedy))
