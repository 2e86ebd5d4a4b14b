"""Generated pictures as files: each says in itself that it is no photograph, and what made it.

Shapes: N pictures, H and W pixels, C channels; uint8 RGB.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from typing import Final

import numpy as np
from PIL import Image, PngImagePlugin

from etude.pictures.reading import Pixels

SOURCE_TYPE: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""What the IPTC calls a picture that was made by a trained model."""
COMPOSITE_TYPE: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeSynthetic"
"""What it calls a composite of which some elements were made so and others were not."""
_GAP_PX: Final = 2
_PAPER: Final = 255
_COMPRESSION: Final = 6
_XMP: Final = """\
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" \
Iptc4xmpExt:DigitalSourceType="%s"/></rdf:RDF></x:xmpmeta>"""


def generated_words(made_by: str) -> str:
    """Say that a picture is generated, and by what.

    >>> generated_words("fastgan, seed 0 (run 1a2b)")
    'Generated picture, no photograph. Made by Étude: fastgan, seed 0 (run 1a2b).'
    """
    return f"Generated picture, no photograph. Made by Étude: {made_by}."


def composite_words(made_by: str) -> str:
    """Say that a sheet holds generated pictures and photographs, and what generated the former.

    >>> composite_words("fastgan, seed 0 (run 1a2b)")
    'Generated pictures beside photographs. The generated ones were made by Étude: fastgan, seed 0 (run 1a2b).'
    """
    return f"Generated pictures beside photographs. The generated ones were made by Étude: {made_by}."


def generated_png(
    pixels_HWC: Pixels, made_by: str, fields: Mapping[str, str] | None = None, *, has_photographs: bool = False
) -> bytes:
    """Return a PNG file that says that it is generated: to people, to programs (IPTC's source type), and how.

    Args:
        pixels_HWC: the picture.
        made_by: what made it, for the description.
        fields: further texts by their keyword, such as the seed.
        has_photographs: whether photographs stand in it too: it is called a composite then.
    """
    about = PngImagePlugin.PngInfo()
    about.add_itxt("Description", (composite_words if has_photographs else generated_words)(made_by))
    about.add_itxt("XML:com.adobe.xmp", _XMP % (COMPOSITE_TYPE if has_photographs else SOURCE_TYPE))
    for keyword, text in (fields or {}).items():
        about.add_itxt(keyword, text)
    content = io.BytesIO()
    Image.fromarray(pixels_HWC).save(content, "PNG", pnginfo=about, compress_level=_COMPRESSION)
    return content.getvalue()


def grid(pictures_NHWC: Pixels, columns: int | None = None) -> Pixels:
    """Lay pictures out row by row, with white between them; (H', W', 3).

    >>> grid(np.zeros((5, 8, 8, 3), np.uint8), columns=3).shape
    (22, 32, 3)
    """
    count, height, width, _ = pictures_NHWC.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    sheet = np.full((rows * (height + _GAP_PX) + _GAP_PX, columns * (width + _GAP_PX) + _GAP_PX, 3), _PAPER, np.uint8)
    for number, picture in enumerate(pictures_NHWC):
        top, left = (place * (side + _GAP_PX) + _GAP_PX for place, side in
                     zip(divmod(number, columns), (height, width), strict=True))  # fmt: skip
        sheet[top : top + height, left : left + width] = picture
    return sheet
