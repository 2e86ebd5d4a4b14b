"""What a generated picture says of itself."""

import io

import numpy as np
from PIL import Image

from etude.pictures.generated import COMPOSITE_TYPE, SOURCE_TYPE, generated_png

PIXELS = np.zeros((4, 4, 3), np.uint8)


def told(content):
    with Image.open(io.BytesIO(content)) as opened:
        return opened.text


def test_a_sheet_that_holds_photographs_is_called_a_composite_and_no_pure_synthesis():
    alone, beside = told(generated_png(PIXELS, "gan")), told(generated_png(PIXELS, "gan", has_photographs=True))
    assert f'"{SOURCE_TYPE}"' in alone["XML:com.adobe.xmp"]
    assert f'"{COMPOSITE_TYPE}"' in beside["XML:com.adobe.xmp"]
    assert SOURCE_TYPE not in beside["XML:com.adobe.xmp"]
    assert "no photograph" in alone["Description"]
    assert "beside photographs" in beside["Description"]
    assert "gan" in beside["Description"]
