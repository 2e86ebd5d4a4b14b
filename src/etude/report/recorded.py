"""Sentences that stand in records, as runs wrote them in English, told in the language of a report.

A record keeps a note as a sentence, so that it can be read without Étude. Here each kind of note is known by its
English pattern; one that is not known is told as it stands.
"""

from __future__ import annotations

import re
from functools import cache

from etude.report.messages import mark
from etude.report.words import Words

PATTERNS = (
    mark(
        "Of {leaked} of {total} test pictures training or validation holds a twin or another frame (on_leak: "
        "allow). The leaderboard gives the score without them too."
    ),
    mark(
        "No clean test picture remains: training or validation holds a twin, or another frame of the "
        "sequence, of each of the {total} (on_leak: allow). The scores say nothing about new pictures."
    ),
    mark("{dropped} pictures left training or validation, as another part holds a twin (on_leak: drop)."),
    mark("Training holds twins of validation pictures (on_leak: allow): choices are made too hopefully."),
    mark("One run a candidate: what another seed would give is not known."),
    mark(
        "Seeds were added while looking, {drawn} of at most {most}: tests and intervals allow for a look "
        "after every seed."
    ),
    mark(
        "The pictures come from ImageNet, as their names say (n02085620 and the like), and so do the "
        "pretrained weights: the network has probably seen test pictures before, and its score says less "
        "about new ones."
    ),
    mark(
        "{candidate}: finetune is {way}, yet the network starts from random weights: what stays frozen was "
        "never trained. Give model.weights or model.checkpoint."
    ),
    mark(
        "Pixel accuracy is an average over pixels: road and sky decide it, and a network that never finds a "
        "pole or a pedestrian scores well. Published values are mean IoU."
    ),
    mark(
        "{candidate}: masks are compared at {size} px, the size that the network takes (protocol.resolution: "
        "network). Published values are counted at the labels' own size."
    ),
    mark(
        "{candidate}: what a centre crop leaves out is not answered and not counted (prepare.fit: crop). "
        "Published values count whole pictures."
    ),
    mark(
        "One of the classes is void: it counts in the mean as a class. Published values over categories leave"
        " it out; the IoU of each class is in the note."
    ),
    mark(
        "{candidate}: beside its photographs its training part holds {count} generated pictures of a class, "
        "from a generator trained on the photographs of that training part alone."
    ),
    mark("{count} pictures without a mask were passed over."),
    mark("The official test part is left out, as its labels are not public."),
    mark("The official test part is left out, as its labels are not public; the official val is the test."),
    mark("{count} pictures are left out, as no official list names them."),
)
"""Every note that a study's own code writes; a place in braces holds what changes."""


def tell_recorded(sentence: str, words: Words) -> str:
    """Tell a recorded sentence in the language of the report; a sentence that is not known stays as it is."""
    for pattern in PATTERNS:
        found = _expression(pattern).fullmatch(sentence)
        if found is not None:
            return str(words.say(pattern, **{name: _number(text, words) for name, text in found.groupdict().items()}))
    return sentence


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    pieces = re.split(r"{(\w+)}", pattern)
    return re.compile("".join(f"(?P<{piece}>.+?)" if odd % 2 else re.escape(piece) for odd, piece in enumerate(pieces)))


def _number(text: str, words: Words) -> str:
    """Write a whole number as the language does; other texts stay."""
    return words.count(int(text.replace(",", ""))) if re.fullmatch(r"\d{1,3}(,\d{3})*|\d+", text) else text
