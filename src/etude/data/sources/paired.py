"""Pictures with masks in files of their own: what the layouts of segmentation have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from etude.core.counting import how_many
from etude.core.errors import DataError, sentence
from etude.core.words import Part
from etude.data.fingerprint import content_fingerprint
from etude.data.items import UNLABELLED, Items, texts
from etude.pictures.palette import RGB, VOID_RGB
from etude.pictures.prepare import VOID, read_mask
from etude.pictures.reading import EXTENSIONS, decode, printable, read_file

if TYPE_CHECKING:
    from etude.data.source import Kind

Ids = npt.NDArray[np.uint8]
MaskReader = Callable[[bytes, str], Ids]
"""From an encoded mask and its name to ids (H, W): positions of classes, or 255. An id that is neither a class nor void
stays as it is, so that who prepares the mask or checks the data can name it."""


class Pair(NamedTuple):
    """A picture and its mask, relative to the source's folder."""

    picture: str
    mask: str
    part: Part | None = None
    group: str | None = None


class PairedSource:
    """Pictures with masks.

    Args:
        root: the folder that the paths start from.
        name: what the source is called.
        pairs: the pictures and masks; all or none with a part, all or none with a group.
        classes: the names of the classes.
        read: reads a mask.
        licence: the terms of use, where they are known.
        notes: what a person should know.
        ids_by: what else decides which id a pixel has, such as a table of colours that the folder holds; it enters the
            fingerprint.

    Raises:
        DataError: if there is no pair.
    """

    kind: Kind = "segmentation"

    def __init__(
        self,
        root: Path,
        name: str,
        pairs: Sequence[Pair],
        classes: Sequence[str],
        read: MaskReader,
        *,
        licence: str = "",
        notes: Sequence[str] = (),
        ids_by: str = "",
    ) -> None:
        if not pairs:
            remedy = "Check that each mask has the stem of its picture."
            raise DataError(sentence("data", printable(str(root)), "a folder of pictures with masks", "none", remedy))
        self.name, self.classes, self.licence, self.notes = name, tuple(classes), licence, tuple(notes)
        self._root, self._pairs, self._read, self._ids_by = root, tuple(pairs), read, ids_by
        parts, groups = [pair.part for pair in pairs], [pair.group for pair in pairs]
        self.items = Items(
            texts(printable(pair.picture).replace("\\", "/") for pair in pairs),
            np.full(len(pairs), UNLABELLED, np.int32),
            None if None in parts else np.array(parts, np.int8),
            None if None in groups else texts(str(group) for group in groups),
        )

    def raw(self, index: int) -> bytes:
        """Return the bytes of one picture."""
        return read_file(self._root / self._pairs[index].picture, str(self.items.ids[index]))

    def mask(self, index: int) -> Ids:
        """Return the ids of one mask: uint8 (H, W), 255 where it is void; ids of no class stay as they are."""
        name = self._pairs[index].mask
        return self._read(self._encoded_mask(index), printable(name))

    def box(self, index: int) -> None:
        """Return None: there are no boxes."""

    def fingerprint(self) -> str:
        """Return the fingerprint of the pictures and masks."""
        return self._fingerprint

    def _encoded_mask(self, index: int) -> bytes:
        name = self._pairs[index].mask
        return read_file(self._root / name, printable(name))

    @cached_property
    def _fingerprint(self) -> str:
        content = content_fingerprint(self.classes, self.items, self.raw, self._encoded_mask)
        return content if not self._ids_by else hashlib.sha256(f"{content} {self._ids_by}".encode()).hexdigest()[:32]


def read_ids(table_256: Ids) -> MaskReader:
    """Return what reads a mask of ids and puts `table_256[id]` for each."""

    def read(content: bytes, name: str) -> Ids:
        return np.asarray(table_256[read_mask(content, name=name)])

    return read


def read_colours(colours: Mapping[RGB, int], void: Collection[RGB] = ()) -> MaskReader:
    """Return what reads a mask of colours, each of which stands for an id.

    Args:
        colours: the id of each colour.
        void: colours that stand for no class; black is one, unless it has an id.

    The reader raises a DataError that names the mask where a pixel has another colour.
    """
    known = {VOID_RGB: VOID, **dict.fromkeys(void, VOID), **colours}
    codes = np.array([red << 16 | green << 8 | blue for red, green, blue in known], np.int64)
    order = np.argsort(codes)
    codes, ids = codes[order], np.array(list(known.values()), np.uint8)[order]

    def read(content: bytes, name: str) -> Ids:
        pixels = decode(content, name=name)
        wide = pixels.astype(np.int64)
        code = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
        place = np.minimum(np.searchsorted(codes, code), len(codes) - 1)
        is_known = codes[place] == code
        if not is_known.all():
            stray = tuple(pixels[~is_known][0].tolist())
            rule = f"a mask of {len(colours)} colours, or {_worded(known)} for void"
            raise DataError(sentence("data", name, rule, stray, "Correct its mask, or name the colour."))
        return ids[place]

    return read


def _worded(known: Mapping[RGB, int]) -> str:
    """Write the colours of void, a few of them."""
    void = [str(colour) for colour, number in known.items() if number == VOID]
    return " or ".join(void[:3]) + (f" or {len(void) - 3} more" if len(void) > 3 else "")


def table_of(ids: Mapping[int, int], void: Iterable[int]) -> Ids:
    """Return the table (256,) that puts `ids[id]` for each id, and 255 for those that are void; others stay.

    Args:
        ids: the position of the class of each id. An id that is not named is at least as large as the number of
            classes, so that it is not taken for one of them.
        void: ids that stand for no class.
    """
    table = np.arange(VOID + 1, dtype=np.uint8)
    table[list(void)] = VOID
    for number, wanted in ids.items():
        table[number] = wanted
    return table


def match_stems(
    pictures: Path, masks: Path, *, ending: str = "", of_mask: str = ""
) -> tuple[list[tuple[Path, Path]], int]:
    """Pair the pictures of a folder with the masks of the same stem in another.

    Args:
        pictures: the folder of pictures.
        masks: the folder of masks.
        ending: what a picture's stem ends in, which is taken away.
        of_mask: what the mask's stem has in its place.

    Returns:
        The pairs in order of their names, and how many pictures have no mask.

    Raises:
        DataError: if a folder cannot be read.
    """
    try:
        by_stem: dict[str, Path] = {}
        for path in sorted(masks.iterdir()):
            if path.suffix.lower() not in EXTENSIONS or path.name[0] == ".":
                continue
            if (other := by_stem.setdefault(path.stem, path)) != path:
                remedy = "Keep the mask, and move the other file away."
                rule = f"one mask named {printable(path.stem)}"
                raise DataError(
                    sentence(
                        "data",
                        printable(str(masks)),
                        rule,
                        f"{printable(other.name)} and {printable(path.name)}",
                        remedy,
                    )
                )
        found = sorted(path for path in pictures.iterdir() if path.suffix.lower() in EXTENSIONS and path.name[0] != ".")
    except OSError as error:
        remedy = "Check the path and its permissions."
        rule = "folders that can be read"
        raise DataError(sentence("data", printable(str(pictures)), rule, str(error), remedy)) from error
    pairs = [(path, by_stem.get(path.stem.removesuffix(ending) + of_mask)) for path in found]
    return [(path, mask) for path, mask in pairs if mask is not None], sum(mask is None for _, mask in pairs)


def note_without_mask(count: int) -> tuple[str, ...]:
    """Say that pictures were passed over."""
    return (
        (f"{how_many(count, 'picture')} without a mask {'was' if count == 1 else 'were'} passed over.",)
        if count
        else ()
    )
