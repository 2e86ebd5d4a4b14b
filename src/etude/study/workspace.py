"""The opened data of a study: source, splits, and the prepared pictures of each part."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np

from etude.check import CheckRecord
from etude.core.counting import how_many
from etude.core.errors import DataError, mistakes_at
from etude.core.files import write_json
from etude.core.records import fingerprint
from etude.core.registry import unknown
from etude.core.watch import Watcher
from etude.core.words import Part
from etude.data.prepared import PreparedSet, prepare_items, take_rows
from etude.data.source import Source, open_source
from etude.data.split import make_splits, read_split, split_digest, write_split
from etude.data.subsets import HeldOut, hold_out, resize_training_part
from etude.models.execution import Execution, choose_execution
from etude.pictures.prepare import read_mask
from etude.pictures.prepare_config import Prepare
from etude.pictures.reading import decode
from etude.study.file import StudyConfig
from etude.study.folder import StudyFolder
from etude.study.guard import check_splits, without_leaks
from etude.study.resolve import resolve_candidates
from etude.train.config import TrainConfig

_PARTS = {"train": Part.TRAIN, "validation": Part.VALIDATION, "test": Part.TEST}
_KEPT_PARTS = 6  # prepared parts that are kept in memory: two candidates' worth
_PARTS_IN_USE = 3  # of them, those of one run, which stay however large they are
_KEPT_BYTES = 4 * 2**30  # prepared sets, and parts of them, that are kept beyond those in use


class Workspace:
    """What all runs of a study share; pictures are prepared once for each way of preparing them."""

    def __init__(self, study: StudyConfig, base: Path, folder: StudyFolder, device: str, watch: Watcher) -> None:
        self.study = study
        self.base = base
        self.folder = folder
        self.device = device
        self.watch = watch
        self._prepared: OrderedDict[str, PreparedSet] = OrderedDict()
        self._parts: OrderedDict[tuple[str, int, int | None, HeldOut | None, str], PreparedSet] = OrderedDict()
        self._resized: dict[int, list[np.ndarray]] = {}
        self._digests: dict[tuple[int, int | None, HeldOut | None], str] = {}

    @cached_property
    def source(self) -> Source:
        """The opened source.

        Raises:
            DataError: if there is no such source or it cannot be used.
        """
        data = self.study.data
        with mistakes_at("data", "source"):
            source = open_source(
                data.source,
                task=self.study.task,
                positive=data.positive,
                base=self.base,
                labels=data.labels,
                classes=data.classes,
            )
        known = dict.fromkeys((*getattr(source, "all_classes", ()), *source.classes))
        for name in data.names:
            if name not in known:
                raise DataError(unknown("data.names", name, known)).at("data", "names", name)
        return source

    @cached_property
    def fingerprint(self) -> str:
        """The content of the pictures and labels as one hash."""
        return self.source.fingerprint()

    @cached_property
    def splits(self) -> list[np.ndarray]:
        """One array of parts a fold, without what leaks where `data.on_leak` is drop."""
        if self.study.data.on_leak != "drop":
            return self.drawn_splits
        splits = without_leaks(self.source.items, self.drawn_splits, self.check)
        write_split(self.folder.split, self.source.items, splits)
        return splits

    @cached_property
    def check(self) -> CheckRecord:
        """What the data check finds in the pictures and in the split as it was drawn."""
        config = self.study.data.split
        sizes = [candidate.train_items or 0 for candidate in resolve_candidates(self.study).values()]
        is_cut = config.train_items is not None and max(sizes) > config.train_items
        splits = self._whole_drawn_splits if is_cut else self.drawn_splits
        may_cross = config.kind == "blocks"
        return check_splits(
            self.source, self.fingerprint, splits, self.folder, self.watch, groups_may_cross=may_cross
        )  # fmt: skip

    @cached_property
    def drawn_splits(self) -> list[np.ndarray]:
        """The split as it was drawn; read from the study's folder where the same one was drawn before."""
        config = self.study.data.split
        made_of = fingerprint({"data": self.fingerprint, "split": config.model_dump(mode="json")})
        is_dropping = self.study.data.on_leak == "drop"
        path = self.folder.split.with_name("split.drawn.parquet") if is_dropping else self.folder.split
        beside = path.with_suffix(".json")
        vouched = beside.read_text() if path.exists() and beside.exists() else ""
        if f'"{made_of}"' in vouched:
            splits = read_split(path, self.source.items)
            # Where twins were dropped before, the file holds what was left: it is not what the other one vouches for.
            if all(split_digest(self.source.items, parts) in vouched for parts in splits):
                return splits
        with mistakes_at("data", "split"):
            splits = make_splits(self.source.items, len(self.source.classes), config)
        write_split(path, self.source.items, splits)
        digests = [split_digest(self.source.items, parts) for parts in splits]
        write_json(beside, {"made_of": made_of, "digests": digests, "config": config.model_dump(mode="json")})
        return splits

    def splits_with(self, train_items: int | None) -> list[np.ndarray]:
        """The splits with another number of training pictures, where a candidate asks for it.

        Raises:
            DataError: if there are not that many.
        """
        config = self.study.data.split
        if train_items is None or train_items == config.train_items:
            return self.splits
        if train_items not in self._resized:
            whole = self._whole_splits if config.train_items is not None else self.splits
            resized = [
                resize_training_part(self.source.items, *pair, train_items, seed=config.seed, fold=fold)
                for fold, pair in enumerate(zip(self.splits, whole, strict=True))
            ]
            write_split(self.folder.split.with_name(f"split.{train_items}.parquet"), self.source.items, resized)
            self._resized[train_items] = resized
        return self._resized[train_items]

    @cached_property
    def _whole_splits(self) -> list[np.ndarray]:
        """The splits as they are where `train_items` does not cut them."""
        if self.study.data.on_leak != "drop":
            return self._whole_drawn_splits
        return without_leaks(self.source.items, self._whole_drawn_splits, self.check)

    @cached_property
    def _whole_drawn_splits(self) -> list[np.ndarray]:
        """The same before anything is dropped."""
        config = self.study.data.split.model_copy(update={"train_items": None})
        return make_splits(self.source.items, len(self.source.classes), config)

    def split_of(self, fold: int, train_items: int | None = None, held_out: HeldOut | None = None) -> np.ndarray:
        """The parts of one fold, (N,), with another number of training pictures or another validation part.

        Raises:
            DataError: if there are too few pictures for it.
        """
        parts = self.splits_with(train_items)[fold]
        if held_out is None:
            return parts
        config = self.study.data.split
        by_group = config.kind not in ("random", "kfold")
        return hold_out(self.source.items, parts, held_out, by_group=by_group, seed=config.seed, fold=fold)

    def digest(self, fold: int, train_items: int | None = None, held_out: HeldOut | None = None) -> str:
        """The hash of which item is in which part."""
        key = (fold, train_items, held_out)
        if key not in self._digests:
            self._digests[key] = split_digest(self.source.items, self.split_of(*key))
        return self._digests[key]

    def execution(self, train: TrainConfig) -> Execution:
        """Where and how a candidate runs."""
        return choose_execution(self.device, train.precision, train.memory_format)

    def prepared(self, prepare: Prepare) -> PreparedSet:
        """All pictures that any part of any fold holds, prepared.

        Raises:
            DataError: if pictures cannot be read, unless `data.unreadable` is skip.
        """
        key = _prepare_key(prepare)
        if key not in self._prepared:
            sizes = {candidate.train_items for candidate in resolve_candidates(self.study).values()}
            splits = [parts for size in {None, *sizes} for parts in self.splits_with(size)]
            used = np.flatnonzero(np.any([parts != Part.LEFT_OUT for parts in splits], axis=0))
            made = prepare_items(
                self.source,
                used,
                prepare,
                unreadable=self.study.data.unreadable,
                progress=lambda done, total: self.watch.counted("pictures", done, total),
            )
            if made.left_out:
                self.watch.said(
                    f"{how_many(len(made.left_out), 'unreadable picture is', 'unreadable pictures are')} left out "
                    f"(data.unreadable: skip); "
                    f"the first: {made.left_out[0][0]} ({made.left_out[0][1]})"
                )
            self._prepared[key] = made
            while len(self._prepared) > 1 and self._kept_bytes() > _KEPT_BYTES:
                dropped, _ = self._prepared.popitem(last=False)
                self._parts = OrderedDict((name, kept) for name, kept in self._parts.items() if name[0] != dropped)
        self._prepared.move_to_end(key)
        return self._prepared[key]

    def _bytes_of_parts(self) -> int:
        return sum(part.pictures_NHWC.nbytes for part in self._parts.values())

    def _kept_bytes(self) -> int:
        return sum(made.pictures_NHWC.nbytes for made in self._prepared.values())

    def parts(
        self, prepare: Prepare, fold: int, train_items: int | None = None, held_out: HeldOut | None = None
    ) -> Callable[[str], PreparedSet]:
        """Return what gives the prepared pictures of a part of a fold."""
        prepare_key = _prepare_key(prepare)

        def part(name: str) -> PreparedSet:
            made = self.prepared(prepare)
            is_own = name == "train" or (name == "validation" and held_out is not None)
            key = (prepare_key, fold, train_items if is_own else None, held_out if is_own else None, name)
            if key not in self._parts:
                parts = self.split_of(fold, train_items, held_out)
                chosen = np.flatnonzero(parts[made.indices_N] == _PARTS[name])
                if name != "validation" and not len(chosen):
                    raise DataError(
                        f"{self.source.name}: the {name} part must have pictures. Got none. Change data.split."
                    )
                self._parts[key] = take_rows(made, chosen)
                while len(self._parts) > (_KEPT_PARTS if self._bytes_of_parts() <= _KEPT_BYTES else _PARTS_IN_USE):
                    self._parts.popitem(last=False)
            self._parts.move_to_end(key)
            return self._parts[key]

        return part

    @property
    def groups(self) -> dict[str, str] | None:
        """Group of each picture by its id; none where the source has no groups."""
        items = self.source.items
        if items.groups is None:
            return None
        return dict(zip(items.ids.tolist(), items.groups.tolist(), strict=True))

    def item_ids(self, indices_N: np.ndarray) -> np.ndarray:
        """Return the ids of items by their positions."""
        return np.asarray(self.source.items.ids[indices_N])

    def picture(self, index: int) -> np.ndarray:
        """Return the picture of an item at its own size, uint8 (H, W, 3), by its position.

        Raises:
            DataError: if it cannot be read.
        """
        return decode(self.source.raw(index), name=str(self.source.items.ids[index]))

    def truth(self, index: int) -> np.ndarray:
        """Return the mask of an item at its own size, uint8 (H, W), by its position.

        Raises:
            DataError: if it cannot be read.
        """
        mask = self.source.mask(index)
        assert mask is not None
        return read_mask(mask, name=str(self.source.items.ids[index]))

    def sizes(self, fold: int = 0) -> dict[str, int]:
        """Count the pictures by part."""
        return {name: int(np.sum(self.splits[fold] == part)) for name, part in _PARTS.items()}

    def counts(self, fold: int = 0) -> dict[str, dict[str, int]]:
        """Count the pictures by part and class; of masks, those in which the class is seen."""
        if self.source.kind == "segmentation":
            return self._mask_counts[fold]
        labels, parts = self.source.items.labels, self.splits[fold]
        return {
            name: {
                label: int(np.sum((parts == part) & (labels == index)))
                for index, label in enumerate(self.source.classes)
            }
            for name, part in _PARTS.items()
        }

    def pixels(self, fold: int = 0) -> dict[str, dict[str, int]]:
        """Count the pixels of masks by part and class, as the first candidate sees them; nothing without masks."""
        return self._pixel_counts[fold] if self.source.kind == "segmentation" else {}

    @cached_property
    def _mask_counts(self) -> list[dict[str, dict[str, int]]]:
        """Count, in each fold and part, the pictures in which each class is seen, as the first candidate sees them."""
        return self._count_masks(lambda counts_NK: counts_NK > 0)

    @cached_property
    def _pixel_counts(self) -> list[dict[str, dict[str, int]]]:
        """Count the pixels of each class in each fold and part."""
        return self._count_masks(lambda counts_NK: counts_NK)

    def _count_masks(self, of: Callable[[np.ndarray], np.ndarray]) -> list[dict[str, dict[str, int]]]:
        """Sum something of the pixels by picture and class (N, K) over each fold and part."""
        made = self.prepared(next(iter(resolve_candidates(self.study).values())).prepare)
        classes = self.source.classes
        counted_NK = of(self._pixels_of_pictures)
        return [
            {
                name: dict(zip(classes, counted_NK[parts[made.indices_N] == part].sum(0).tolist(), strict=True))
                for name, part in _PARTS.items()
            }
            for parts in self.splits
        ]

    @cached_property
    def _pixels_of_pictures(self) -> np.ndarray:
        """Pixels of each prepared picture by class, int64, void left out."""
        made = self.prepared(next(iter(resolve_candidates(self.study).values())).prepare)
        assert made.masks_NHW is not None
        return np.array(
            [np.bincount(mask.ravel(), minlength=256)[: len(self.source.classes)] for mask in made.masks_NHW]
        )


def _prepare_key(prepare: Prepare) -> str:
    """Name a way of preparing; normalisation comes later, in the loader."""
    return fingerprint(prepare.model_dump(mode="json", exclude={"normalize"}))
