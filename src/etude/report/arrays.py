"""Arrays of an explained run made small for a notebook: no larger than they are looked at there, and coded anew.

Pictures become JPEG, maps 256 levels each; what is small already, and what has to be exact, stays as it is. Unpacked,
they lie where `etude explain` wrote them, under the same names.

Shapes: N pictures, C channels, H and W pixels.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from etude.core.files import write_bytes

Arrays = Mapping[str, npt.NDArray[np.generic]]

PACKED = ".packed.npz"
"""What the name of a packed file ends with, in the place of `.npz`."""
_MOST_PX, _MOST_MAP_PX = 192, 64
"""Sides that pictures and the maps of layers are drawn at in a notebook, and no more."""
_AS_THEY_ARE_PX = 64
"""Up to this side pictures are kept exactly: there is little to save, and JPEG would show."""
_QUALITY = 90
_LEVELS = 255
_JPEG, _LENGTHS, _LOW, _STEP = "#jpeg", "#lengths", "#low", "#step"


def pack_arrays(arrays: Arrays) -> bytes:
    """Return arrays as one file, coded anew."""
    packed: dict[str, npt.NDArray[np.generic]] = {}
    for name, values in arrays.items():
        packed |= {f"{name}{ending}": part for ending, part in _pack(values).items()}
    out = io.BytesIO()
    np.savez_compressed(out, **packed)  # type: ignore[arg-type]
    return out.getvalue()


def unpack_arrays(study_folder: Path) -> None:
    """Write the arrays of every packed file of a study beside it, as they are read by a report."""
    for path in sorted(study_folder.glob(f"runs/*/explain/*{PACKED}")):
        with np.load(path) as packed:
            arrays = {name: _unpack(packed, name) for name in dict.fromkeys(key.split("#")[0] for key in packed.files)}
        out = io.BytesIO()
        np.savez(out, **arrays)  # type: ignore[arg-type]
        write_bytes(path.with_name(path.name.removesuffix(PACKED) + ".npz"), out.getvalue())


def _pack(values: npt.NDArray[np.generic]) -> dict[str, npt.NDArray[np.generic]]:
    """Return the parts that stand for one array, by what their names end with."""
    if not values.size:
        return {"": values}
    if values.dtype == np.uint8 and values.ndim in (3, 4) and values.shape[-1] == 3:
        return _pack_pictures(values)
    if values.dtype in (np.uint8, np.bool_) and values.ndim in (2, 3):
        return {"": _thin(values)}
    if values.dtype.kind == "f" and values.ndim in (2, 3) and min(values.shape[-2:]) > 2:  # (N, 2) is places, not maps
        return _pack_maps(values)
    return {"": values}


def _pack_pictures(values: npt.NDArray[np.generic]) -> dict[str, npt.NDArray[np.generic]]:
    from PIL import Image

    from etude.study.arrays import shrink_to_most

    pictures_NHWC = values.reshape(-1, *values.shape[-3:])
    if max(pictures_NHWC.shape[1:3]) <= _AS_THEY_ARE_PX:
        return {"": values}
    coded = []
    for picture_HWC in shrink_to_most(pictures_NHWC, np.arange(len(pictures_NHWC)), _MOST_PX):
        out = io.BytesIO()
        Image.fromarray(picture_HWC).save(out, "JPEG", quality=_QUALITY, subsampling=0)
        coded.append(out.getvalue())
    lengths = np.array([len(one) for one in coded]).reshape(values.shape[:-3])
    return {_JPEG: np.frombuffer(b"".join(coded), np.uint8), _LENGTHS: lengths}


def _pack_maps(values: npt.NDArray[np.generic]) -> dict[str, npt.NDArray[np.generic]]:
    """Return maps of numbers as levels between the least and the largest of each map."""
    from etude.study.arrays import fitting, shrink

    maps_CHW = np.nan_to_num(values.reshape(-1, *values.shape[-2:]).astype(np.float32))
    size_px = fitting(maps_CHW.shape[1:], _MOST_PX if values.ndim == 2 else _MOST_MAP_PX)
    if size_px != maps_CHW.shape[1:]:
        maps_CHW = shrink(maps_CHW.transpose(1, 2, 0)[None], np.arange(1), size_px)[0].transpose(2, 0, 1)
    low_C = maps_CHW.min((1, 2))
    step_C = np.maximum((maps_CHW.max((1, 2)) - low_C) / _LEVELS, 1e-12)
    levels_CHW = ((maps_CHW - low_C[:, None, None]) / step_C[:, None, None]).round().astype(np.uint8)
    leading = values.shape[:-2]
    return {"": levels_CHW.reshape(*leading, *size_px), _LOW: low_C.reshape(leading), _STEP: step_C.reshape(leading)}


def _thin(values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    from etude.study.arrays import thin

    ids_NHW = values.reshape(-1, *values.shape[-2:])
    if max(ids_NHW.shape[1:]) <= _MOST_PX:
        return values
    thinned_NHW = thin(ids_NHW, _MOST_PX)
    return thinned_NHW.reshape(*values.shape[:-2], *thinned_NHW.shape[1:])


def _unpack(packed: Arrays, name: str) -> npt.NDArray[np.generic]:
    from PIL import Image

    if f"{name}{_JPEG}" in packed:
        lengths = packed[f"{name}{_LENGTHS}"]
        whole = packed[f"{name}{_JPEG}"].tobytes()
        bounds = [0, *np.cumsum(lengths.ravel().astype(np.int64)).tolist()]
        pictures = [np.asarray(Image.open(io.BytesIO(whole[start:end]))) for start, end in pairwise(bounds)]
        return np.stack(pictures).reshape(*lengths.shape, *pictures[0].shape)
    if f"{name}{_STEP}" in packed:
        low, step = (packed[f"{name}{ending}"].astype(np.float32)[..., None, None] for ending in (_LOW, _STEP))
        return np.asarray(low + step * packed[name].astype(np.float32), np.float32)
    return packed[name]
