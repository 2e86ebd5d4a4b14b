"""Studies that are trained in seconds, on pictures drawn here: one of classes, one of masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from etude import Study

COLOURS = """
study: colours
question: Which colour is strongest?
data: {source: SOURCE, split: {validation: 0.3, test: 0.3}, on_leak: allow}
prepare: {size_px: 32, fit: crop, normalize: half}
train: {epochs: 6, batch: 16, optimizer: {name: adamw, lr: 0.01}, precision: fp32}
candidates: {cnn: {model: {name: cnn, widths: [8, 16]}}}
protocol: {seeds: 1, also: [log_loss]}
"""
MASKS = """
study: masks
task: segmentation
data: {source: SOURCE, split: {validation: 0.25, test: 0.25}, on_leak: allow}
prepare: {size_px: [32, 64], normalize: imagenet}
train: {epochs: 1, batch: 8, optimizer: {name: adamw, lr: 0.005}, precision: fp32}
candidates: {unet-mini: {model: {name: unet-mini}}}
protocol: {seeds: 1, metric: miou}
"""


def run_colours(folder: Path) -> Path:
    """Draw `photos` in a folder, run the study of classes there, and return the folder."""
    draw_colours(folder / "photos", ("reds", "greens", "blues"), 40)
    Study.from_text(COLOURS.replace("SOURCE", str(folder / "photos"))).run(folder)
    return folder


def run_masks(folder: Path) -> Path:
    """Draw `scenes` in a folder, run the study of masks there, and return the folder."""
    Study.from_text(MASKS.replace("SOURCE", str(draw_masks(folder / "scenes")))).run(folder)
    return folder


def draw_colours(folder: Path, classes: tuple[str, ...], count: int) -> Path:
    """Draw JPEG files of noise in which one channel is stronger."""
    rng = np.random.default_rng(0)
    for channel, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = rng.integers(0, 120, (90, 70 + number, 3), dtype=np.uint8)
            pixels[:, :, channel % 3] += rng.integers(10, 60, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:03}.jpg", quality=90)
    return folder


def draw_masks(folder: Path) -> Path:
    """Draw pictures whose upper part is blue and whose lower part is grey."""
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    (folder / "classes.txt").write_text("sky\nground\n")
    for number in range(24):
        pixels, mask = rng.integers(0, 60, (40, 80, 3), dtype=np.uint8), np.zeros((40, 80), np.uint8)
        edge = int(rng.integers(10, 30))
        pixels[:edge, :, 2] += 150
        pixels[edge:] += 80
        mask[edge:] = 1
        Image.fromarray(pixels).save(folder / f"images/{number}.jpg")
        Image.fromarray(mask).save(folder / f"masks/{number}.png")
    return folder
