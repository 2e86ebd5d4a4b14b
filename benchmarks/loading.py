"""Loading pictures: `ImageLoader` against PyTorch's `DataLoader` with torchvision's v2 transforms, and against itself.

    jpeg         JPEG 2048 × 1024 to 512 × 256, flip + crop + color + affine, first epoch, no cache
    jpeg-cached  the same from the prepared cache
    mask-cached  PNG picture and id mask 2048 × 1024 to 512 × 256, the same augmentation, from the prepared cache
    small        CIFAR-sized pictures in memory, several sets of augmentations
    decoding     the time of the first epoch over that of the bare decoder on all cores
    scaling      one worker and two, and threads against processes
    memory       growth of memory by a set of 100,000 pictures on disk

The pictures are drawn by this script in a temporary folder. The reference decodes, scales and augments one picture at a
time (v2 on a batch draws one parameter for all of it), with the best of the worker counts given, its workers living
through all rounds. All sides take turns, and a ratio is of medians over the rounds.

    python benchmarks/loading.py [NAME …] [--pictures 64] [--rounds 5] [--workers 0 1 2]
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import itertools
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from etude.core.allocator import release_freed_memory
from etude.core.machine import usable_threads
from etude.data.augment import AugmentConfig
from etude.data.items import Items, texts
from etude.data.loader import ImageLoader
from etude.data.prepared import prepare_items
from etude.data.source import Source, open_source
from etude.data.stock import ArrayStock, SourceStock
from etude.evaluate.cost import machine_words, peak_memory_mb, reset_peak_memory
from etude.pictures.prepare import normalisation, prepare_picture
from etude.pictures.prepare_config import Prepare
from etude.pictures.reading import decode

LARGE_PX, SIZE_PX = (1024, 2048), (256, 512)
PREPARE = Prepare(size_px=SIZE_PX)
MEAN, STD = normalisation(PREPARE)
N_IDS = 19
DRAWN = 16
"""Different pictures that are drawn; an epoch goes through them again and again under other names."""
AUGMENT = AugmentConfig(use=("flip", "shift", "rotate", "scale", "color"))

BILINEAR = v2.InterpolationMode.BILINEAR
FLIP, COLOR = v2.RandomHorizontalFlip(), v2.ColorJitter(0.3, 0.3, 0.3)
NORMALIZE = [v2.ToDtype({tv_tensors.Image: torch.float32, "others": None}, scale=True), v2.Normalize(MEAN, STD)]
LARGE = v2.Compose(
    [
        v2.Resize(SIZE_PX, antialias=True),
        v2.RandomCrop(SIZE_PX, padding=(SIZE_PX[1] // 8, SIZE_PX[0] // 8)),
        FLIP,
        v2.RandomAffine(degrees=15, scale=(0.8, 1.25), interpolation=BILINEAR),
        COLOR,
        *NORMALIZE,
    ]
)
"""The reference's transforms of large pictures; of a mask each takes the nearest id."""

SMALL_PX, N_CLASSES = 32, 10
SMALL_MEAN, SMALL_STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
SMALL_NORMALIZE = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(SMALL_MEAN, SMALL_STD)]
CROP = v2.RandomCrop(SMALL_PX, padding=SMALL_PX // 8, padding_mode="reflect")
AFFINE = v2.RandomAffine(degrees=15, translate=(1 / 8, 1 / 8), scale=(0.8, 1.25), interpolation=BILINEAR)
SQUARE = v2.RandomErasing(p=1.0, scale=(1 / 16, 1 / 16), ratio=(1.0, 1.0))
SMALL: dict[str, list[Callable[[Tensor], Tensor]]] = {
    "flip+shift+cutout": [FLIP, CROP, *SMALL_NORMALIZE, SQUARE],
    "flip+shift+rotate+scale": [FLIP, AFFINE, *SMALL_NORMALIZE],
    "flip+shift+color": [FLIP, CROP, COLOR, *SMALL_NORMALIZE],
    "flip+shift+rotate+scale+color+cutout": [FLIP, AFFINE, COLOR, *SMALL_NORMALIZE, SQUARE],
    "flip+noise": [FLIP, SMALL_NORMALIZE[0], v2.GaussianNoise(sigma=0.025), SMALL_NORMALIZE[1]],
}
"""The reference's transforms for each set of augmentations of small pictures."""


class Drawn:
    """A source of pictures drawn into files, with masks or without."""

    name, classes, licence, notes = "drawn", tuple(f"class {number}" for number in range(N_IDS)), "", ()

    def __init__(self, folder: Path, count: int, ending: str, kind: Literal["classification", "segmentation"]) -> None:
        self.kind = kind
        self.paths = [folder / f"{number % DRAWN}{ending}" for number in range(count)]
        self.masks = [folder / f"{number % DRAWN}.mask.png" for number in range(count)]
        self.items = Items(
            texts(f"{number}{ending}" for number in range(count)), np.arange(count, dtype=np.int32) % N_IDS
        )

    def raw(self, index: int) -> bytes:
        """Return the encoded picture."""
        return self.paths[index].read_bytes()

    def mask(self, index: int) -> bytes | None:
        """Return the encoded mask, if there is one."""
        return self.masks[index].read_bytes() if self.kind == "segmentation" else None

    def box(self, index: int) -> None:
        """Return no box."""

    def fingerprint(self) -> str:
        """Return what names the content within this run."""
        return f"{self.kind} {len(self.items)}"


class Reference(Dataset[tuple[Tensor, Any]]):
    """The reference's set of the same files."""

    def __init__(self, source: Drawn) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, Any]:
        picture = v2.functional.to_image(Image.open(self.source.paths[index]).convert("RGB"))
        if self.source.kind == "classification":
            return LARGE(picture), index % N_IDS
        mask = tv_tensors.Mask(np.array(Image.open(self.source.masks[index])))
        picture, mask = LARGE(picture, mask)
        return picture, mask.long()


class SmallReference(Dataset[tuple[Tensor, int]]):
    """The reference's set of small pictures in memory."""

    def __init__(self, pictures_NHWC: np.ndarray, labels_N: np.ndarray, transform: Callable[[Tensor], Tensor]) -> None:
        self.pictures_NCHW = torch.from_numpy(pictures_NHWC).permute(0, 3, 1, 2).contiguous()
        self.labels_N = labels_N.tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels_N)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.pictures_NCHW[index]), self.labels_N[index]


class Decoded(Dataset[np.ndarray]):
    """Our decoder in the reference's processes."""

    def __init__(self, source: Drawn) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source.paths)

    def __getitem__(self, index: int) -> np.ndarray:
        return np.array(prepare_picture(self.source.raw(index), PREPARE))


@contextlib.contextmanager
def drawn_folder(*, masks: bool) -> Iterator[Path]:
    """Draw large pictures (JPEG alone, or PNG with masks) into a temporary folder, which holds the cache too."""
    with tempfile.TemporaryDirectory(prefix="etude-loading-") as name:
        folder = Path(name)
        os.environ["ETUDE_CACHE"] = str(folder / "cache")
        for number in range(DRAWN):
            rng = np.random.default_rng(number)
            height, width = LARGE_PX
            coarse = Image.fromarray(rng.integers(0, 256, (32, 64, 3), dtype=np.uint8))
            smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
            grain = rng.normal(0, 4, smooth.shape).astype(np.int16)
            picture = Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8))
            if not masks:
                picture.save(folder / f"{number}.jpg", quality=90)
                continue
            picture.save(folder / f"{number}.png", compress_level=3)
            ids = Image.fromarray(rng.integers(0, N_IDS, (16, 32), dtype=np.uint8))
            ids.resize((width, height), Image.Resampling.NEAREST).save(folder / f"{number}.mask.png")
        yield folder


def measure(loader: Iterable[Any], pictures: int) -> float:
    """Go through one epoch; return pictures per second."""
    started = time.perf_counter()
    for _ in loader:
        pass
    return pictures / (time.perf_counter() - started)


def take_turns(
    ours: ImageLoader, theirs: dict[int, DataLoader[Any]], rounds: int, pictures: tuple[int, int]
) -> dict[str, Any]:
    """Measure both sides in turns, after one round to warm up; `pictures` an epoch of ours, and of theirs."""
    our_rates: list[float] = []
    their_rates: dict[int, list[float]] = {workers: [] for workers in theirs}
    for epoch, (workers, loader) in itertools.product(range(rounds + 1), theirs.items()):
        their_rate = measure(loader, pictures[1])
        ours.set_epoch(epoch)
        our_rate = measure(ours, pictures[0])
        if epoch:
            their_rates[workers].append(their_rate)
            our_rates.append(our_rate)
    medians = {workers: float(np.median(rates)) for workers, rates in their_rates.items()}
    best = max(medians, key=lambda workers: medians[workers])
    return {
        "images_per_s": round(float(np.median(our_rates)), 1),
        "dataloader_images_per_s": {str(workers): round(rate, 1) for workers, rate in medians.items()},
        "dataloader_best_workers": best,
        "ratio": round(float(np.median(our_rates)) / medians[best], 2),
    }


def make_theirs(dataset: Dataset[Any], options: argparse.Namespace, batch: int) -> dict[int, DataLoader[Any]]:
    """Return the reference's loaders, one for each number of workers."""
    return {
        workers: DataLoader(dataset, batch, shuffle=True, num_workers=workers, persistent_workers=workers > 0)
        for workers in options.workers
    }


def make_ours(stock: SourceStock | ArrayStock, options: argparse.Namespace, **changes: Any) -> ImageLoader:  # noqa: ANN401
    """Return our loader of large pictures."""
    settings = {"augment": AUGMENT, "workers": usable_threads(), **changes}
    return ImageLoader(stock, batch=options.batch, seed=0, mean=MEAN, std=STD, shuffle=True, **settings)


def cached(source: Drawn) -> ArrayStock:
    """Prepare a source into the cache, and take it from there."""
    indices = np.arange(len(source.items))
    prepare_items(source, indices, PREPARE, keep=True)
    made = prepare_items(source, indices, PREPARE, keep=True)
    assert not made.pictures_NHWC.flags.writeable, "not from the cache"
    return ArrayStock(made.pictures_NHWC, made.labels_N, made.masks_NHW)


def bench_jpeg(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the first epoch: JPEG files to batches."""
    with drawn_folder(masks=False) as folder:
        source = Drawn(folder, options.pictures, ".jpg", "classification")
        ours = make_ours(SourceStock(source, np.arange(options.pictures), PREPARE), options)
        theirs = make_theirs(Reference(source), options, options.batch)
        return take_turns(ours, theirs, options.rounds, (options.pictures, options.pictures))


def bench_jpeg_cached(options: argparse.Namespace) -> dict[str, Any]:
    """Measure later epochs: prepared pictures from the cache, against the reference that decodes each time."""
    with drawn_folder(masks=False) as folder:
        source = Drawn(folder, options.pictures, ".jpg", "classification")
        theirs = make_theirs(Reference(source), options, options.batch)
        ours = make_ours(cached(source), options)
        return take_turns(ours, theirs, options.rounds, (options.pictures, options.pictures))


def bench_mask_cached(options: argparse.Namespace) -> dict[str, Any]:
    """Measure pictures with masks from the cache, against the reference that decodes each time."""
    with drawn_folder(masks=True) as folder:
        source = Drawn(folder, options.pictures, ".png", "segmentation")
        theirs = make_theirs(Reference(source), options, options.batch)
        ours = make_ours(cached(source), options)
        return take_turns(ours, theirs, options.rounds, (options.pictures, options.pictures))


def bench_small(options: argparse.Namespace) -> dict[str, Any]:
    """Measure CIFAR-sized pictures in memory; the reference is slow, so a tenth of the pictures tells its rate."""
    rng = np.random.default_rng(0)
    count, part, batch = options.small_pictures, options.small_pictures // 10, 512
    pictures_NHWC = rng.integers(0, 256, (count, SMALL_PX, SMALL_PX, 3), dtype=np.uint8)
    labels_N = rng.integers(0, N_CLASSES, count)
    found: dict[str, Any] = {}
    for work in options.works:
        augment = AugmentConfig(use=tuple(work.split("+")))
        stock = ArrayStock(pictures_NHWC, labels_N)
        ours = ImageLoader(stock, batch=batch, seed=0, mean=SMALL_MEAN, std=SMALL_STD, augment=augment, shuffle=True)
        reference = SmallReference(pictures_NHWC[:part], labels_N[:part], v2.Compose(SMALL[work]))
        found[work] = take_turns(ours, make_theirs(reference, options, batch), options.rounds, (count, part))
    return found


def bench_decoding(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the first epoch against the decoder alone, in a loop on all cores."""
    with drawn_folder(masks=False) as folder:
        source = Drawn(folder, options.pictures, ".jpg", "classification")
        ours = make_ours(SourceStock(source, np.arange(options.pictures), PREPARE), options)

        def decode_one(index: int) -> None:
            decode(source.raw(index), at_least_px=SIZE_PX)

        def decode_all() -> Iterator[None]:
            with ThreadPoolExecutor(usable_threads()) as pool:
                for _ in pool.map(
                    lambda index: decode(source.raw(index), at_least_px=SIZE_PX), range(options.pictures)
                ):
                    yield

        rates: dict[str, list[float]] = {"loader": [], "decoder": []}
        for epoch in range(2 * options.rounds + 1):
            ours.set_epoch(epoch)
            for name, loader in (("loader", ours), ("decoder", decode_all())):
                rate = measure(loader, options.pictures)
                if epoch:
                    rates[name].append(rate)
        medians = {name: float(np.median(found)) for name, found in rates.items()}
        bytes_each = int(np.mean([path.stat().st_size for path in folder.glob("*.jpg")]))
        return {
            **{f"{name}_images_per_s": round(rate, 1) for name, rate in medians.items()},
            "time_over_bare_decoding": round(medians["decoder"] / medians["loader"], 2),
            "bytes_a_picture": bytes_each,
        }


def bench_scaling(options: argparse.Namespace) -> dict[str, Any]:
    """Measure one worker and two, decoding and from the cache; and two threads against two processes, decoding."""
    with drawn_folder(masks=False) as folder:
        source = Drawn(folder, options.pictures, ".jpg", "classification")
        stocks = {"decoding": SourceStock(source, np.arange(options.pictures), PREPARE), "cached": cached(source)}
        sides: dict[str, Iterable[Any]] = {
            f"{name}, {workers} workers": make_ours(stock, options, workers=workers)
            for name, stock in stocks.items()
            for workers in (1, 2)
        }
        sides["decoding only, 2 threads"] = make_ours(stocks["decoding"], options, workers=2, augment=None)
        sides["decoding only, 2 processes"] = DataLoader(
            Decoded(source), options.batch, shuffle=True, num_workers=2, persistent_workers=True
        )
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for round_number, (name, side) in itertools.product(range(options.rounds + 1), sides.items()):
            rate = measure(side, options.pictures)
            if round_number:
                rates[name].append(rate)
        medians = {name: round(float(np.median(found)), 1) for name, found in rates.items()}
        speedups = {name: round(medians[f"{name}, 2 workers"] / medians[f"{name}, 1 workers"], 2) for name in stocks}
        over = round(medians["decoding only, 2 threads"] / medians["decoding only, 2 processes"], 2)
        return {"images_per_s": medians, "speedup_from_1_to_2_workers": speedups, "threads_over_processes": over}


def bench_memory(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the growth of a fresh process's memory by a large folder of pictures."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="etude-loading-") as name, context.Pool(1) as pool:
        few, many = Path(name) / "few", Path(name) / "many"
        for number in range(DRAWN * 10):
            path = few / f"class_{number % 10}" / f"picture_{number:06}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((32, 32, 3), number % 256, np.uint8)).save(path)
        for number in range(options.many_pictures):
            original = few / f"class_{number % 10}" / f"picture_{number % (DRAWN * 10):06}.png"
            path = many / f"class_{number % 10}" / f"picture_{number:06}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(original, path)
        return dict(pool.apply(_measure_folder, (few, many)))


def _measure_folder(few: Path, many: Path) -> dict[str, Any]:
    """Go through many batches of a small folder, then of the large one: what is more after that is the pictures'."""
    small = make_small_loader(open_source(str(few)))
    for _ in itertools.chain.from_iterable(small for _ in range(30)):
        pass
    before = resident_bytes()
    loader = make_small_loader(open_source(str(many)))
    opened, count = resident_bytes(), len(loader.stock)
    reset_peak_memory()
    for _ in itertools.islice(loader, 200):
        pass
    peak_mb = peak_memory_mb()
    return {
        "pictures": count,
        "bytes_a_picture_opened": round((opened - before) / count, 1),
        "bytes_a_picture_after_200_batches": round((resident_bytes() - before) / count, 1),
        "in_flight_mb_at_most": round(peak_mb - opened / 2**20, 1),
    }


def make_small_loader(source: Source) -> ImageLoader:
    """Return a loader of pictures of 32 × 32."""
    stock = SourceStock(source, np.arange(len(source.items)), Prepare(size_px=32))
    return ImageLoader(stock, batch=64, seed=0, mean=MEAN, std=STD, augment=AUGMENT, shuffle=True)


def resident_bytes() -> int:
    """Return the resident memory of this process, after what is free was given back."""
    gc.collect()
    release_freed_memory()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


BENCHMARKS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "memory": bench_memory,  # first: in a process of its own, but on a machine that holds nothing else yet
    "jpeg": bench_jpeg,
    "jpeg-cached": bench_jpeg_cached,
    "mask-cached": bench_mask_cached,
    "small": bench_small,
    "decoding": bench_decoding,
    "scaling": bench_scaling,
}


def main() -> None:
    """Run the benchmarks that are named, or all, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--pictures", type=int, default=128, help="large pictures an epoch")
    parser.add_argument("--batch", type=int, default=16, help="large pictures a batch")
    parser.add_argument("--small-pictures", type=int, default=20_480, help="small pictures an epoch of ours")
    parser.add_argument("--many-pictures", type=int, default=100_000, help="pictures of the folder for `memory`")
    parser.add_argument("--works", nargs="+", choices=SMALL, default=list(SMALL), metavar="WORK", help="of `small`")
    parser.add_argument("--workers", nargs="+", type=int, default=[0, 1, 2], help="worker counts of the reference")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=usable_threads(), help="of torch, for both sides")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"unknown benchmark {unknown[0]!r}; known: {', '.join(BENCHMARKS)}")
    torch.set_num_threads(options.threads)
    found: dict[str, Any] = {}
    for name in options.names or BENCHMARKS:
        print(f"{name} …", file=sys.stderr, flush=True)
        found[name] = BENCHMARKS[name](options)
    settings = {name: getattr(options, name) for name in ("pictures", "batch", "rounds", "threads")}
    print(json.dumps({"benchmark": "loading", "machine": machine_words(), **settings, "results": found}, indent=1))


if __name__ == "__main__":
    main()
