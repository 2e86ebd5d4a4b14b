"""Why a network answers as it does, in words: the maps, and what the checks on them allow to say."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from etude.core.class_names import rename_classes
from etude.core.interval import Interval
from etude.explain.records import WhyRecord
from etude.figures.sight import Look, draw_attributions
from etude.report.chapters import Chapter, at_width, exhibit
from etude.report.layer_words import tell_member
from etude.report.words import MetricWords, Words

_ALIKE = 0.5  # rank correlation from which two maps are called much alike


def tell_why(path: Path, arrays: dict[str, np.ndarray], words: Words) -> Chapter:
    """Set out where a network looks, on right and on wrong answers, and whether that can be believed.

    Args:
        path: the record.
        arrays: what its figure is drawn from; empty where that is not there.
        words: the language.

    Raises:
        MistakeError: if the record cannot be read.
    """
    say, record = words.say, rename_classes(WhyRecord.load(path), words.called)
    rows = []
    for n, entry in enumerate(record.pictures if arrays else ()):
        label = f"{entry.picture.answer} {words.percent(entry.picture.probability, 0)}"
        label += "" if entry.is_right else "\n" + say("true: {truth}", truth=entry.picture.truth)
        cam_HW, integrated_HW = (arrays[f"{name}.{n}"].astype(np.float32) for name in ("grad_cam", "integrated"))
        rows.append(Look(label, arrays["pictures"][n], cam_HW, integrated_HW, arrays.get(f"pixels.{n}")))
    heads = [say("picture"), "Grad-CAM", say("integrated gradients")]
    told = tell_member(record.member, words)
    if record.member is not None:
        told.append(say("The answers and their probabilities are those of all of them."))
    told += [
        say(
            "Made grey, the fifth of a picture that Grad-CAM marks takes {marked} points from the probability of the answer, "  # noqa: E501
            "that which integrated gradients mark {integrated}, a fifth chosen by chance {chance} (means over {pictures}).",  # noqa: E501
            marked=words.number(100 * record.mean_drop_grad_cam, 1),
            integrated=words.number(100 * record.mean_drop_integrated, 1),
            chance=words.number(100 * record.mean_drop_random, 1),
            pictures=_tell_pictures(record, words),
        )
    ]
    cam, integrated = "Grad-CAM", say("Integrated gradients")
    told += _tell_gain(cam, record.mean_drop_grad_cam - record.mean_drop_random, record.gain_grad_cam, words)
    told += _tell_gain(integrated, record.mean_drop_integrated - record.mean_drop_random, record.gain_integrated, words)
    told += _tell_likeness(cam, record.mean_likeness, record.interval_likeness, words)
    if record.mean_likeness_integrated is not None or record.format > 1:  # before it was not always measured
        told += _tell_likeness(integrated, record.mean_likeness_integrated, record.interval_likeness_integrated, words)
    if record.of_tokens:
        told.append(
            say(
                "This network works on tokens: those that {layer} gives are laid out as a map for Grad-CAM.",
                layer=record.layer,
            )
        )
    caption = say(
        "Above, the answer and its probability; Grad-CAM is taken at {layer}.",
        layer=record.layer,
    )
    if record.mean_inside is not None and record.mean_covers is not None:
        told.append(
            say(
                "Of what Grad-CAM marks, {inside} lies on the pixels in question themselves, which cover {covers} of "
                "the picture (means over {n} answers); the rest is their surroundings.",
                inside=words.percent(record.mean_inside, 0),
                covers=words.percent(record.mean_covers, 0),
                n=words.count(len(record.pictures)),
            )
        )
        caption = say(
            "Above, a class and its mean probability over the pixels that were given it, which are outlined: their logits "  # noqa: E501
            "together are what is explained. Grad-CAM is taken at {layer}.",
            layer=record.layer,
        )
    bright = (
        say("Bright is what speaks for the answer.")
        if record.format > 1
        else say("Bright in Grad-CAM is what speaks for the answer, in integrated gradients what speaks for it or against it.")  # noqa: E501
    )  # fmt: skip
    label = say("Where the network looks, on right and on wrong answers")
    exhibits = (
        [exhibit("why", label, partial(at_width, draw_attributions, rows, heads), f"{caption} {bright}")]
        if rows
        else []
    )
    return Chapter("why", say("Why this answer"), told, exhibits)


def _tell_pictures(record: WhyRecord, words: Words) -> str:
    """Say how many pictures there are and that they are no sample: some right answers, and the surest mistakes.

    Of masks the classes that were missed are not chosen by how sure the answer is.
    """
    told = words.say_count("{n} picture", "{n} pictures", len(record.pictures))
    right = sum(entry.is_right for entry in record.pictures)
    wrong = len(record.pictures) - right
    if any(entry.picture.covers is not None for entry in record.pictures):
        return told
    chosen = [words.say_count("{n} right answer", "{n} right answers", right)] if right else []
    if wrong:
        chosen.append(words.say("{n} of the surest mistakes", n=words.count(wrong)))
    return words.say("{name}: {told}", name=told, told=words.listing(chosen))


def _tell_gain(way: str, gain: float, interval: Interval | None, words: Words) -> list[str]:
    """Say whether what is marked matters more than a fifth chosen by chance; nothing where no interval was recorded."""
    if interval is None:
        return []
    points = MetricWords(words, "accuracy", [interval])  # of a probability, in points as those of an accuracy
    places = {
        "way": way,
        "gain": points.points(gain),
        "interval": points.interval(interval.low, interval.high),
    }
    if interval.low > 0 and not points.reads_zero(interval.low):
        return [
            words.say(
                "{way}: what is marked matters, by {gain} {interval} more than a fifth chosen by chance.", **places
            )
        ]
    if interval.high < 0 and not points.reads_zero(interval.high):
        return [words.say("{way}: what is marked matters less than a fifth chosen by chance, by {gain}.", **places)]
    places["gain"] = points.signed_points(gain)
    return [
        words.say(
            "{way}: that what is marked matters more than a fifth chosen by chance is not shown ({gain} {interval}).",
            **places,
        )
    ]


def _tell_likeness(way: str, likeness: float | None, interval: Interval | None, words: Words) -> list[str]:
    """Say whether maps tell of what was learnt, or of the pictures, where the interval over the pictures decides it."""
    if likeness is None:
        told = words.say(
            "{way}: with random weights the map is the same everywhere, so how alike the maps are cannot be measured.",
            way=way,
        )
        return [told]
    correlation = words.number(likeness, 2)
    if interval is not None:
        correlation += " " + words.interval(words.number(interval.low, 2), words.number(interval.high, 2))
    places = {"way": way, "likeness": correlation}
    if interval is not None and interval.high < _ALIKE:
        return [
            words.say(
                "{way}: the maps are unlike those of the same network with random weights (rank correlation {likeness}): "  # noqa: E501
                "they depend on the weights that were learnt; whether they mark what the answer rests on is another "
                "question.",
                **places,
            )
        ]
    if interval is not None and interval.low >= _ALIKE:
        return [
            words.say(
                "{way}: the maps are much like those of the same network with random weights (rank correlation {likeness}): "  # noqa: E501
                "they tell more of the pictures than of what was learnt.",
                **places,
            )
        ]
    return [
        words.say(
            "{way}: whether the maps are like those of the same network with random weights is left open (rank "
            "correlation {likeness}).",
            **places,
        )
    ]
