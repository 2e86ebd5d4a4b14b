"""Preparation: geometry, masks that follow their pictures, sizes and ranges."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from etude.core.errors import DataError
from etude.pictures.prepare import (
    normalisation,
    place,
    prepare_mask,
    prepare_pair,
    prepare_picture,
    read_mask,
)
from etude.pictures.prepare_config import Prepare


def encode(image, file_format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def blocks(height, width):
    """A picture of 4 × 4 blocks of distinct greys, and its mask of block numbers."""
    rows, columns = np.mgrid[:height, :width]
    ids = (rows * 4 // height) * 4 + columns * 4 // width
    return np.repeat((ids * 16)[..., None], 3, axis=2).astype(np.uint8), ids.astype(np.uint8)


def test_sizes_are_a_side_or_a_height_and_a_width():
    assert (Prepare(size_px=64).height_px, Prepare(size_px=64).width_px) == (64, 64)
    assert Prepare.model_validate({"size_px": [96, 128]}).width_px == 128
    assert Prepare.model_validate_json(Prepare(size_px=(9, 7)).model_dump_json()) == Prepare(size_px=(9, 7))
    for wrong in (0, -1, (4, 0), (1, 2, 3), 99_999):
        with pytest.raises(ValidationError):
            Prepare(size_px=wrong)


@pytest.mark.parametrize("name", ["imagenet", "half", "none"])
def test_normalisation_is_three_means_and_positive_deviations(name):
    mean, deviation = normalisation(Prepare(normalize=name))
    assert len(mean) == len(deviation) == 3
    assert all(0 <= value < 1 for value in mean)
    assert all(value > 0 for value in deviation)


@pytest.mark.parametrize("fit", ["stretch", "crop", "letterbox"])
def test_an_array_of_the_right_size_passes_unchanged(fit):
    pixels, ids = blocks(40, 60)
    prepare = Prepare(size_px=(40, 60), fit=fit)
    assert prepare_picture(pixels, prepare) is pixels
    assert prepare_mask(ids, prepare) is ids
    assert np.array_equal(prepare_picture(encode(Image.fromarray(pixels)), prepare), pixels)


@settings(deadline=None)  # the first picture waits for what is imported with it
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    size=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    fit=st.sampled_from(["stretch", "crop", "letterbox"]),
)
def test_any_size_becomes_the_wanted_size(height, width, size, fit):
    pixels, ids = blocks(height, width)
    prepare = Prepare(size_px=size, fit=fit)
    assert prepare_picture(pixels, prepare).shape == (*size, 3)
    mask = prepare_mask(ids, prepare)
    assert mask.shape == size
    assert set(np.unique(mask)) <= set(np.unique(ids)) | {255}


@settings(deadline=None)  # the first picture waits for what is imported with it
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
)
def test_letterbox_and_crop_keep_the_proportions(height, width, size):
    shape = (height, width)
    left, top, right, bottom = place(shape, Prepare(size_px=size, fit="crop")).source
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert (right - left) * size[0] == pytest.approx((bottom - top) * size[1])
    assert right - left == pytest.approx(width) or bottom - top == pytest.approx(height)
    x0, y0, x1, y1 = place(shape, Prepare(size_px=size, fit="letterbox")).target
    assert 0 <= x0 < x1 <= size[1]
    assert 0 <= y0 < y1 <= size[0]
    assert x1 - x0 == size[1] or y1 - y0 == size[0]
    scale = min(size[1] / width, size[0] / height)
    assert abs((x1 - x0) - max(1, width * scale)) <= 0.5 + 1e-9
    assert abs((y1 - y0) - max(1, height * scale)) <= 0.5 + 1e-9


@pytest.mark.parametrize("fit", ["stretch", "crop", "letterbox"])
@pytest.mark.parametrize("shape", [(128, 256), (256, 128), (60, 60)])
def test_the_mask_lands_where_the_picture_does(fit, shape):
    pixels, ids = blocks(*shape)
    prepare = Prepare(size_px=(64, 96), fit=fit)
    picture, mask = prepare_pair(encode(Image.fromarray(pixels)), encode(Image.fromarray(ids)), prepare, name="street")
    inside = mask != 255
    agree = np.abs(picture[..., 0].astype(int) - mask.astype(int) * 16) <= 4
    assert agree[inside].mean() > 0.85  # all but the borders between blocks
    assert (picture[~inside] == 128).all()
    assert inside.all() == (fit != "letterbox")


def test_scaling_down_does_not_alias():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    small = prepare_picture(stripes, Prepare(size_px=16))
    assert np.abs(small.astype(int) - 127).max() <= 12


def test_reduced_decoding_gives_nearly_what_full_decoding_gives():
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (12, 18, 3), dtype=np.uint8)).resize((900, 600))
    full, reduced = encode(smooth, "PNG"), encode(smooth, "JPEG", quality=98)
    for fit in ("stretch", "crop", "letterbox"):
        prepare = Prepare(size_px=(64, 64), fit=fit)
        difference = prepare_picture(full, prepare).astype(int) - prepare_picture(reduced, prepare)
        assert np.abs(difference).mean() < 1.5


def test_the_box_is_kept_and_nothing_else():
    pixels, ids = blocks(80, 80)  # blocks of 20 × 20
    prepare = Prepare(size_px=8, crop_to_box=True)
    box = (20, 40, 40, 60)
    kept = prepare_picture(pixels, prepare, box=box)[1:-1, 1:-1]  # the filter reaches half a pixel beyond
    assert (kept == pixels[50, 30]).all()
    assert (prepare_mask(ids, prepare, box=box) == ids[50, 30]).all()
    whole = prepare_picture(pixels, Prepare(size_px=8), box=box)
    assert len(np.unique(whole)) > 4
    jpeg = encode(Image.fromarray(np.kron(pixels, np.ones((8, 8, 1), np.uint8))), "JPEG", quality=98)
    scaled = prepare_picture(jpeg, prepare, box=tuple(8 * side for side in box))
    assert np.abs(scaled[1:-1, 1:-1].astype(int) - pixels[50, 30]).max() <= 3


def test_a_box_is_cut_at_the_border_and_refused_outside():
    pixels, _ = blocks(80, 80)
    prepare = Prepare(size_px=8, crop_to_box=True)
    assert (prepare_picture(pixels, prepare, box=(-50, -50, 20, 20))[:-1, :-1] == 0).all()
    with pytest.raises(DataError, match=r"cat\.jpg must be a box .* inside 80 × 80") as caught:
        prepare_picture(pixels, prepare, box=(90, 0, 120, 40), name="cat.jpg")
    assert caught.value.cause == "box"
    assert caught.value.facts == {"width": 80, "height": 80}


def test_masks_are_ids_and_nothing_else():
    _, ids = blocks(20, 20)
    palette = Image.fromarray(ids).convert("P")
    palette.putpalette(list(range(48)))
    assert np.array_equal(read_mask(encode(palette)), ids)
    grey_as_rgb = Image.fromarray(np.repeat(ids[..., None], 3, axis=2))
    assert np.array_equal(read_mask(encode(grey_as_rgb)), ids)
    assert np.array_equal(read_mask(encode(Image.fromarray(ids.astype(np.uint16)))), ids)
    assert np.array_equal(read_mask(encode(Image.fromarray(ids > 7))), ids > 7)
    with pytest.raises(DataError, match="one id a pixel"):
        read_mask(encode(Image.new("RGB", (4, 4), (1, 2, 3))), name="colours.png")
    with pytest.raises(DataError, match="0 to 255"):
        read_mask(ids.astype(np.int32) + 300)
    with pytest.raises(DataError, match="without loss"):
        read_mask(encode(Image.fromarray(ids), "JPEG"))


def test_a_mask_of_another_size_is_refused():
    pixels, ids = blocks(20, 20)
    with pytest.raises(DataError, match=r"street\.png must be a mask of the picture's size \(20, 20\)"):
        prepare_pair(encode(Image.fromarray(pixels)), ids[:10], Prepare(), name="street.png")


def test_a_lack_of_memory_while_a_picture_is_brought_to_size_is_told(monkeypatch):
    pixels = blocks(40, 60)[0]
    raw = encode(Image.fromarray(pixels))

    def short(*_args, **_options):
        raise MemoryError

    monkeypatch.setattr(Image.Image, "resize", short)
    for picture in (raw, pixels):
        with pytest.raises(DataError, match=r"cat\.png .*memory.* 60 × 40 pixels") as caught:
            prepare_picture(picture, Prepare(size_px=8), name="cat.png")
        assert caught.value.cause == "memory"
