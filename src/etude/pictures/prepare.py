"""Preparation: from any picture to the one size and range that a network takes.

Where a picture lands is computed once, by `place`, so that a picture and its mask can never part. A picture that is
served goes through this very code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

import numpy as np
from PIL import Image

from etude.core.errors import DataError, sentence
from etude.core.plain import Plain
from etude.pictures.bounds import check_size, memory_told
from etude.pictures.reading import (
    MAX_PIXELS,
    OpenPicture,
    Pixels,
    RawPicture,
    SizePx,
    decode,
    ids_of_array,
    printable,
)

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels of the upright picture; right and bottom excluded."""
Fit = Literal["stretch", "crop", "letterbox"]
Range = Literal["imagenet", "half", "none"]
MAX_SIDE: Final = 8192
"""The longest side in pixels that a picture is brought to."""

VOID: Final = 255
"""The id of mask pixels that belong to no class: the border of a letterbox, and what the annotators left out."""
BORDER_RGB: Final = (128, 128, 128)
"""The grey that a letterbox adds around a picture."""


class Rule(Protocol):
    """How pictures are brought to size: what a study file says of it, or what a bundle does."""

    @property
    def height_px(self) -> int:
        """Height of a prepared picture."""

    @property
    def width_px(self) -> int:
        """Width of a prepared picture."""

    @property
    def fit(self) -> Fit:
        """Whether proportions change, the centre is kept, or a border is added."""

    @property
    def crop_to_box(self) -> bool:
        """Whether only the annotated box of each picture is kept, where there is one."""

    @property
    def normalize(self) -> Range:
        """Which mean and deviation are taken off."""


class Sided:
    """The two sides that `size_px` stands for, wherever a rule is written."""

    if TYPE_CHECKING:
        size_px: int | tuple[int, int]

    @property
    def height_px(self) -> int:
        """Height of a prepared picture."""
        return self.size_px if isinstance(self.size_px, int) else self.size_px[0]

    @property
    def width_px(self) -> int:
        """Width of a prepared picture."""
        return self.size_px if isinstance(self.size_px, int) else self.size_px[1]


@dataclass(frozen=True)
class Preparation(Sided, Plain):
    """The rule of a bundle: the fields of `Prepare`, read without pydantic."""

    size_px: int | tuple[int, int] = 32
    """Side of the square in pixels, or (height, width)."""
    fit: Fit = "stretch"
    """`stretch` changes the proportions, `crop` keeps the centre, `letterbox` adds a grey border."""
    crop_to_box: bool = False
    """Keep only the annotated box of each picture, where it has one."""
    normalize: Range = "imagenet"
    """Mean and deviation taken off: ImageNet's, 0.5 and 0.5, or nothing (0..1)."""

    def __post_init__(self) -> None:
        """Refuse sides that no network takes."""
        for side in (self.height_px, self.width_px):
            if not 1 <= side <= MAX_SIDE:
                raise ValueError(f"size_px must be from 1 to {MAX_SIDE}. Got {side}.")


@dataclass(frozen=True)
class Placement:
    """Which part of a picture goes where: `source` in its own pixels, `target` in those of the prepared picture."""

    source: Box
    target: tuple[int, int, int, int]


Triple = tuple[float, float, float]
_NORMALISATIONS: Final[dict[str, tuple[Triple, Triple]]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}


def normalisation(prepare: Rule) -> tuple[Triple, Triple]:
    """Return the mean and the deviation, per channel, that are taken off a picture scaled to 0..1.

    >>> normalisation(Preparation(normalize="half"))
    ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    """
    return _NORMALISATIONS[prepare.normalize]


def place(size_px: SizePx, prepare: Rule, *, box: Box | None = None, name: str = "") -> Placement:
    """Compute which part of a picture goes where.

    Args:
        size_px: the picture's (height, width).
        prepare: the size and the fit.
        box: the part that is kept where `prepare.crop_to_box` says so; what lies outside the picture is cut off.
        name: what errors call the picture.

    Raises:
        DataError: if the box does not touch the picture.

    >>> place((100, 200), Preparation(size_px=50, fit="crop"))
    Placement(source=(50.0, 0.0, 150.0, 100.0), target=(0, 0, 50, 50))
    >>> place((100, 200), Preparation(size_px=50, fit="letterbox"))
    Placement(source=(0.0, 0.0, 200.0, 100.0), target=(0, 12, 50, 37))
    """
    left, top, right, bottom = _region(size_px, box if prepare.crop_to_box else None, name)
    width, height = right - left, bottom - top
    wanted_h, wanted_w = prepare.height_px, prepare.width_px
    target = (0, 0, wanted_w, wanted_h)
    if prepare.fit == "crop":
        kept_w, kept_h = min(width, height * wanted_w / wanted_h), min(height, width * wanted_h / wanted_w)
        left, top = left + (width - kept_w) / 2, top + (height - kept_h) / 2
        right, bottom = left + kept_w, top + kept_h
    elif prepare.fit == "letterbox":
        scale = min(wanted_w / width, wanted_h / height)
        inner_w, inner_h = max(1, round(width * scale)), max(1, round(height * scale))
        x, y = (wanted_w - inner_w) // 2, (wanted_h - inner_h) // 2
        target = (x, y, x + inner_w, y + inner_h)
    return Placement((left, top, right, bottom), target)


def prepare_picture(
    raw: RawPicture, prepare: Rule, *, box: Box | None = None, name: str = "", max_pixels: int = MAX_PIXELS
) -> Pixels:
    """Read a picture and bring it to size, with anti-aliased bilinear interpolation.

    Args:
        raw: an encoded picture, the path of one, or a uint8 array (see `etude.pictures.reading.decode`).
        prepare: the size and the fit.
        box: the part that is kept where `prepare.crop_to_box` says so, in pixels of the upright picture.
        name: what errors call the picture; by default its path.
        max_pixels: refuse pictures with more pixels than this.

    Returns:
        uint8 array (H, W, 3), RGB. An array that has the right size already is returned as it is, not copied.

    Raises:
        DataError: if it is no picture, is truncated, is too large, or lies outside its box.
    """
    if isinstance(raw, np.ndarray):
        pixels = decode(raw, name=name, max_pixels=max_pixels)
        placement = place(pixels.shape[:2], prepare, box=box, name=name)
        if _is_identity(placement, pixels.shape[:2], prepare):
            return pixels
        with memory_told(printable(name or "the array"), (pixels.shape[0], pixels.shape[1])):
            return np.asarray(_fit(Image.fromarray(pixels), placement, 1.0, prepare))
    return prepare_opened(OpenPicture(raw, name=name, max_pixels=max_pixels), prepare, box)


def prepare_mask(raw: RawPicture, prepare: Rule, *, box: Box | None = None, name: str = "") -> Pixels:
    """Read a mask of ids and bring it to size as its picture is, taking the nearest id.

    Args:
        raw: an encoded picture of grey levels or palette indices, the path of one, or an array (H, W) of ids.
        prepare: the size and the fit, as for the picture.
        box: the part that is kept, as for the picture.
        name: what errors call the mask; by default its path.

    Returns:
        uint8 array (H, W) of ids; 255 where there is no class, as in the border of a letterbox.

    Raises:
        DataError: if it is no mask, or lies outside its box.
    """
    ids = read_mask(raw, name=name)
    size_px = (ids.shape[0], ids.shape[1])
    placement = place(size_px, prepare, box=box, name=name)
    if _is_identity(placement, size_px, prepare):
        return ids
    left, top, right, bottom = placement.target
    inner = Image.fromarray(ids).resize(
        (right - left, bottom - top), Image.Resampling.NEAREST, box=_inside(placement.source, ids.shape[::-1])
    )
    if inner.size == (prepare.width_px, prepare.height_px):
        return np.asarray(inner)
    mask = np.full((prepare.height_px, prepare.width_px), VOID, np.uint8)
    mask[top:bottom, left:right] = np.asarray(inner)
    return mask


def prepare_pair(
    raw: RawPicture, raw_mask: RawPicture, prepare: Rule, *, box: Box | None = None, name: str = ""
) -> tuple[Pixels, Pixels]:
    """Prepare a picture and its mask, after checking that they have the same size.

    Returns:
        uint8 arrays (H, W, 3) and (H, W), as `prepare_picture` and `prepare_mask` give them.

    Raises:
        DataError: as those two do, and if the sizes differ.
    """
    opened = raw if isinstance(raw, np.ndarray) else OpenPicture(raw, name=name)
    picture_px = opened.shape[:2] if isinstance(opened, np.ndarray) else opened.size_px
    ids = read_mask(raw_mask, name=f"{name} (mask)")
    if ids.shape != picture_px:
        remedy = "Scale the mask with the nearest id, or find the one that belongs to this picture."
        rule = f"a mask of the picture's size {picture_px}"
        raise DataError(sentence("pictures", printable(name), rule, ids.shape, remedy))
    mask = prepare_mask(ids, prepare, box=box, name=name)
    if isinstance(opened, np.ndarray):
        return prepare_picture(opened, prepare, box=box, name=name), mask
    return prepare_opened(opened, prepare, box), mask


def read_mask(raw: RawPicture, *, name: str = "") -> Pixels:
    """Read a mask of ids at its full size.

    Returns:
        uint8 array (H, W), upright.

    Raises:
        DataError: if it is no mask of ids from 0 to 255.
    """
    if not isinstance(raw, np.ndarray):
        return OpenPicture(raw, name=name).ids()
    ids = ids_of_array(raw, name or "the mask")
    check_size(ids.shape[0], ids.shape[1], name, MAX_PIXELS)
    return ids


def prepare_opened(opened: OpenPicture, prepare: Rule, box: Box | None = None) -> Pixels:
    """Decode no more of an opened picture than is needed, and bring it to size, as `prepare_picture` does."""
    placement = place(opened.size_px, prepare, box=box, name=opened.name)
    image, reduction = opened.rgb(_needed(opened.size_px, placement))
    with memory_told(opened.name, opened.size_px):
        if reduction == 1.0 and _is_identity(placement, opened.size_px, prepare):
            return np.asarray(image)
        return np.asarray(_fit(image, placement, reduction, prepare))


def _region(size_px: SizePx, box: Box | None, name: str) -> Box:
    """Return the whole picture, or what of the box lies inside it."""
    height, width = size_px
    if box is None:
        return (0.0, 0.0, float(width), float(height))
    left, top = max(0.0, float(box[0])), max(0.0, float(box[1]))
    right, bottom = min(float(width), float(box[2])), min(float(height), float(box[3]))
    if right - left < 1 or bottom - top < 1:
        rule = f"a box of a pixel or more inside {width} × {height}"
        text = sentence("prepare", printable(name) or "box", rule, box, "Correct the annotation.")
        raise DataError(text, cause="box", facts={"width": width, "height": height})
    return (left, top, right, bottom)


def _is_identity(placement: Placement, size_px: SizePx, prepare: Rule) -> bool:
    """Whether a picture of this size passes unchanged."""
    height, width = size_px
    whole = (0.0, 0.0, float(width), float(height))
    return (prepare.height_px, prepare.width_px) == size_px and placement.source == whole


def _needed(size_px: SizePx, placement: Placement) -> SizePx:
    """Return the (height, width) that the whole picture needs for its part to be as large as its target."""
    left, top, right, bottom = placement.source
    x0, y0, x1, y1 = placement.target
    return (
        int(np.ceil(size_px[0] * (y1 - y0) / (bottom - top))),
        int(np.ceil(size_px[1] * (x1 - x0) / (right - left))),
    )


def _fit(image: Image.Image, placement: Placement, reduction: float, prepare: Rule) -> Image.Image:
    """Scale the source part of a picture that was reduced already, and lay it on the border if there is one."""
    x0, y0, x1, y1 = placement.target
    left, top, right, bottom = (side / reduction for side in placement.source)
    # A gap of 3 lets Pillow shrink by whole factors first: several times faster, and the result hardly differs.
    inner = image.resize(
        (x1 - x0, y1 - y0),
        Image.Resampling.BILINEAR,
        box=_inside((left, top, right, bottom), image.size),
        reducing_gap=3.0,
    )
    if inner.size == (prepare.width_px, prepare.height_px):
        return inner
    canvas = Image.new("RGB", (prepare.width_px, prepare.height_px), BORDER_RGB)
    canvas.paste(inner, (x0, y0))
    return canvas


def _inside(box: Box, size: tuple[int, ...]) -> Box:
    """Undo what rounding pushed outside the picture of this (width, height)."""
    return max(0.0, box[0]), max(0.0, box[1]), min(float(size[0]), box[2]), min(float(size[1]), box[3])
