"""The map to walk on: an HTML file that holds its pictures; one appears where one points."""

from __future__ import annotations

import base64
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from etude.core.class_names import rename_classes
from etude.core.files import write_text
from etude.explain.records import DataMapRecord
from etude.figures.theme import SERIES
from etude.report.note import environment
from etude.report.sights import MAP_WORDS
from etude.report.tables import PART_WORDS
from etude.report.words import Words

_OF_NEW = "currentColor"  # the ink of the page, in the light and in the dark
_PARTS = ("train", "validation", "test")


def write_walk(folder: Path, study: str, words: Words) -> Path | None:
    """Write `map.<language>.html` beside the record of the maps; none where there is none.

    Raises:
        MistakeError: if the record cannot be read.
    """
    if not all((folder / name).is_file() for name in ("map.json", "map.npz", "thumbs.npz")):
        return None
    record = rename_classes(DataMapRecord.load(folder / "map.json"), words.called)
    with np.load(folder / "map.npz") as arrays, np.load(folder / "thumbs.npz") as pictures:
        placed = _read_placed(folder)
        content = _content(record, dict(arrays), placed, words)
        thumbs = [pictures["thumbs"], *([placed["thumbs"]] if placed else [])]
        sprite, columns, side_px = _sprite(np.concatenate(thumbs))
    content |= {"columns": columns, "side": side_px}
    page = environment().get_template("walk.html.j2")
    told = {"_": words.say, "words": words, "study": study, "sprite": sprite, "maps": content["maps"]}
    told["has_groups"] = bool(record.groups)
    data = json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    path = folder / f"map.{words.language}.html"
    write_text(path, page.render(**told, data=Markup(data)) + "\n")
    return path


def _read_placed(folder: Path) -> dict[str, np.ndarray]:
    """Return what was placed on the maps later; nothing where nothing was."""
    if not (folder / "placed.npz").is_file():
        return {}
    with np.load(folder / "placed.npz") as arrays:
        return dict(arrays)


def _content(
    record: DataMapRecord, arrays: dict[str, np.ndarray], placed: dict[str, np.ndarray], words: Words
) -> dict[str, object]:
    """Return what the page's script reads: names, places from 0 to 1000, and what each dot is coloured by.

    New pictures come behind those of the study; of each way of colouring they are a kind of their own.
    """
    say, classes = words.say, list(record.chance)
    n_new = len(placed.get("names", ()))
    maps = [
        {
            "name": say(MAP_WORDS[entry.space, entry.method]),
            "places": _scaled(np.concatenate([own[name] for own in (arrays, placed) if own])),
        }
        for entry in record.maps
        for name in [f"{entry.space}.{entry.method}"]
    ]
    wrong_N = (arrays["answers"] != arrays["labels"]).astype(int)
    by_group = {
        "values": arrays["groups"].tolist() if record.groups else [],
        "names": list(record.groups),
        "colors": [_color(n, len(record.groups)) for n in range(len(record.groups))],
    }
    content: dict[str, Any] = {
        "maps": maps,
        "ids": [*arrays["ids"].tolist(), *placed.get("names", np.array([])).tolist()] if "ids" in arrays else [],
        "firstNew": len(arrays["labels"]),
        "classes": classes,
        "labels": arrays["labels"].tolist(),
        "answers": [*arrays["answers"].tolist(), *placed.get("answers", np.array([])).tolist()],
        "told": say("answer: {answer}", answer="{answer}"),
        "colourings": [
            {
                "values": arrays["labels"].tolist(),
                "names": classes,
                "colors": [_color(n, len(classes)) for n in range(len(classes))],
            },
            {
                "values": arrays["parts"].tolist(),
                "names": [say(PART_WORDS[name]) for name in _PARTS],
                "colors": list(SERIES[:3]),
            },
            {"values": wrong_N.tolist(), "names": [say("right"), say("wrong")], "colors": list(SERIES[:2])},
            *([by_group] if record.groups else []),
        ],
    }
    if n_new:
        for colouring in content["colourings"]:
            colouring["values"] = [*colouring["values"], *[len(colouring["names"])] * n_new]
            colouring["names"] = [*colouring["names"], say("new picture")]
            colouring["colors"] = [*colouring["colors"], _OF_NEW]
    return content


def _scaled(places_N2: np.ndarray) -> list[list[int]]:
    low, high = places_N2.min(0), places_N2.max(0)
    scaled = (places_N2 - low) / np.maximum(high - low, 1e-12) * 1000
    return [[int(x), int(y)] for x, y in scaled.round()]


def _color(place: int, n: int) -> str:
    """Return a colour for a class: those of the figures for a few, hues evenly apart for many."""
    return SERIES[place] if n <= len(SERIES) else f"hsl({round(360 * place / n)} 70% {42 + 14 * (place % 2)}%)"


def _sprite(thumbs_NHWC: np.ndarray) -> tuple[str, int, int]:
    """Return all small pictures as one JPEG in base 64, how many stand in a line, and the side of each."""
    from PIL import Image

    n, side_px = len(thumbs_NHWC), thumbs_NHWC.shape[1]
    columns = max(1, math.ceil(math.sqrt(n)))
    sheet = np.zeros((math.ceil(n / columns) * side_px, columns * side_px, 3), np.uint8)
    for place, picture in enumerate(thumbs_NHWC):
        top, left = place // columns * side_px, place % columns * side_px
        sheet[top : top + side_px, left : left + side_px] = picture
    out = io.BytesIO()
    Image.fromarray(sheet).save(out, "JPEG", quality=82)
    return base64.b64encode(out.getvalue()).decode("ascii"), columns, side_px
