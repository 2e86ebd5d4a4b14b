"""What a reader should know of the choices behind a study: its metric, its loss, the network that came first."""

from __future__ import annotations

from typing import Any

from etude.core.study_record import StudyRecord
from etude.evaluate.final import final_candidate, final_row
from etude.models.card import Card
from etude.report.card_words import is_of_network, tell_card
from etude.report.cards import find_card
from etude.report.layer_words import name_few
from etude.report.messages import mark
from etude.report.reading import StudyResults
from etude.report.sentences import Teller
from etude.report.words import MetricWords, Words

METRIC_SENTENCES = {
    "accuracy": mark(
        "Accuracy is the share of pictures that are answered rightly. It is right where classes are about equally many and "  # noqa: E501
        "all mistakes cost alike; where one class is rare, never answering it would look good."
    ),
    "balanced_accuracy": mark(
        "Balanced accuracy is the mean, over classes, of the share of their pictures that are answered rightly: each class "  # noqa: E501
        "counts alike, however rare."
    ),
    "top5": mark(
        "Top-5 accuracy is the share of pictures whose class is among the five most probable answers: right where a person "  # noqa: E501
        "chooses from a short list."
    ),
    "f1_macro": mark(
        "Macro F1 is the mean, over classes, of the harmonic mean of recall and precision: each class counts alike, and both "  # noqa: E501
        "kinds of mistake count."
    ),
    "log_loss": mark(
        "Log loss is the mean of minus the logarithm of the probability given to the truth: it judges the probabilities and "  # noqa: E501
        "not the answers alone, and punishes wrong certainty."
    ),
    "brier": mark(
        "The Brier score is the mean squared distance between the probabilities and the truth, summed over the "
        "classes: 0 at best, 0.5 for one half each of two classes."
    ),
    "ece": mark(
        "Calibration error is the mean gap between the probability that is stated and the share that is right."
    ),
    "average_precision": mark(
        "Average precision is the area under the curve of precision against recall: it judges the order in which pictures are "  # noqa: E501
        "found, at all thresholds, and looks at the positives alone, so it is right where they are rare."
    ),
    "roc_auc": mark(
        "The area under the ROC curve is the chance that a positive is ranked above a negative: it judges the order, at all "  # noqa: E501
        "thresholds, whatever the share of positives."
    ),
    "miou": mark(
        "Mean IoU is the mean, over classes, of the pixels that answer and truth share, divided by those that either has: "  # noqa: E501
        "each class counts alike, however small."
    ),
    "dice": mark(
        "Dice is the mean, over classes, of twice the shared pixels divided by the pixels of both. Of one class it is "
        "a function of its IoU, and judges a class that is half found more mildly; values that are published are mostly IoU."  # noqa: E501
    ),
    "kid": mark(
        "The kernel distance (KID) compares features of generated and of held-out pictures; with a hundred of them it has no "  # noqa: E501
        "bias, which the better known FID has."
    ),
    "pixel_accuracy": mark(
        "Pixel accuracy is the share of pixels that are answered rightly; large classes decide it."
    ),
    "boundary_f1": mark("Boundary F1 is the mean, over classes, of the harmonic mean of precision and recall of the pixels on contours, within 0.75% of the picture's diagonal, rounded to whole pixels: it sees thin things and ragged edges, which IoU hardly does."),  # noqa: E501
    "fid": mark("The Fréchet distance (FID) compares the mean and the spread of the features of generated and of held-out pictures; it falls with the number of pictures, so only equal numbers can be compared."),  # noqa: E501
    "density": mark("Density says whether generated pictures lie where real ones are dense; near 1 for real pictures. It judges how good each one is, and does not see whether they vary."),  # noqa: E501
    "coverage": mark("Coverage is the share of held-out pictures that have a generated one near them: it sees whether some kind of picture is never drawn."),  # noqa: E501
    "diversity": mark("Diversity is the mean distance of two generated pictures over that of two held-out ones: 0 where all are the same, about 1 where they vary as real ones do."),  # noqa: E501
    "near_copies": mark("Near copies is the share of generated pictures that lie as near to one training picture, beside the next ones, as 5% of photographs do: fresh photographs show 5% on average, and the note says between which shares."),  # noqa: E501
    "closest_copies": mark("Closest copies is the share of generated pictures that lie nearer to one training picture, beside the next ones, than every held-out photograph does: it sees a generator that copies a few pictures outright, whatever its others are like. Blurred shapes lie near to any photograph: whether near pictures are copies is told by whose photographs they lie near."),  # noqa: E501
}  # fmt: skip
"""Why one would choose a metric, and what it does not see."""


_OF_AREAS = ("miou", "dice")
"""Metrics that share out the pixels of a class, summed over the part."""


def tell_metric(record: StudyRecord, words: Words) -> str:
    """Argue the choice of the metric, with the part's own numbers; its name alone where there is no more to say."""
    text = METRIC_SENTENCES.get(record.metric)
    if text is None:
        return MetricWords(words, record.metric).name
    told = [words.say(text)]
    if record.metric in _OF_AREAS:
        told += [_tell_large_classes(record, words), words.say(
            "Pixels are summed over all pictures before dividing: in a mean over pictures, one that shows ten pixels "
            "of a class would count as much as one that is full of it, and one that shows none would have no value."
        )]  # fmt: skip
    return " ".join(told)


def tell_also(record: StudyRecord, words: Words) -> str:
    """Say what the other measures of the leaderboard are; empty where there is nothing to say of any."""
    names = dict.fromkeys(name for row in record.leaderboard for name in row.also)
    return " ".join(words.say(METRIC_SENTENCES[name]) for name in names if name in METRIC_SENTENCES)


def _tell_large_classes(record: StudyRecord, words: Words) -> str:
    """Say why not the share of right pixels, by what the largest classes of the test part hold of it."""
    pixels = record.pixels.get("test", {})
    largest = sorted(pixels, key=lambda name: -pixels[name])[:2]
    total = sum(pixels.values())
    if total == 0 or len(pixels) <= len(largest):
        return words.say("The share of right pixels would be decided by the largest classes alone.")
    return words.say(
        "The share of right pixels would say little: {classes} hold {share} of the pixels of the test part, so that a "
        "network may miss all other classes and still seem good.",
        classes=words.listing(largest),
        share=words.percent(sum(pixels[name] for name in largest) / total, 0),
    )


def tell_use(record: StudyRecord, words: Words) -> str:
    """Say what the network of a study is meant for, and what it is not."""
    task, is_detector = record.task, bool(record.config.get("data", {}).get("positive"))
    if task == "generation":
        return words.say(
            "drawing pictures like those of this study; none of them is a photograph, and each must say so."
        )
    if task == "segmentation":
        return words.say(
            "pictures like those of this study, of these classes and no others: a pixel of anything else is given one "
            "of them all the same."
        )
    if is_detector:
        return words.say(
            "pictures like those of this study: whether one shows {positive}. Of what is neither {positive} nor like "
            "the other pictures of this study the answer says nothing.",
            positive=record.classes[1],
        )
    return words.say(
        "pictures like those of this study, of these classes and no others: a picture of anything else is given one of "
        "them all the same."
    )


def read_card(study: StudyResults, words: Words) -> Card | None:
    """Return the card of the network of the final candidate, in the reader's language; none where it cannot be had."""
    config = _final_config(study)
    card = _card_of(study, config)
    if card is None:
        return None
    model = config.get("model") or {}
    encoder = find_card(study.folder, str(model["encoder"])) if model.get("encoder") else None
    if encoder is not None:  # of its weights the network around it knows no licence
        card = card.model_copy(update={"licence_weights": encoder.licence_weights})
    if not (model.get("weights") or model.get("checkpoint")):  # what is said of pretrained weights is not of these
        card = card.model_copy(update={"licence_weights": "", "notes": tuple(filter(is_of_network, card.notes))})
    return tell_card(card, words)


def tell_sizes(study: StudyResults, words: Words) -> str:
    """Say for which pictures the network of the final candidate was drawn, and which it was given here."""
    config = _final_config(study)
    card = _card_of(study, config)
    given = config.get("train", {}).get("crop_px") or config.get("prepare", {}).get("size_px")
    if card is None:
        return ""
    drawn = words.count(card.input_px)
    if given is None:
        return words.say("drawn for a side of {side} px", side=drawn)
    height, width = (given, given) if isinstance(given, int) else given
    if height == width == card.input_px:
        return words.say("drawn for a side of {side} px, and trained at that size here", side=drawn)
    size = words.count(height) if height == width else f"{words.count(height)} × {words.count(width)}"
    return words.say("drawn for a side of {side} px; trained at {size} px here", side=drawn, size=size)


def list_card_facts(study: StudyResults, teller: Teller) -> list[tuple[str, str]]:
    """Return what the card of the final candidate tells of this study: its scores, and what it was trained on."""
    record, words, metric = study.record, teller.words, teller.metric
    row = final_row(record)
    runs = study.runs_of(row.candidate) if row else []
    if row is None or row.score is None or not runs:
        return []
    say = words.say
    scores = say("{score} {metric} on the test part{intervals}", score=metric.score(row.score), metric=metric.name,
                 intervals=teller.tell_intervals(row))  # fmt: skip
    if row.validation_score is not None:
        scores += say("; {score} on validation", score=metric.score(row.validation_score))
    source = str(record.config.get("data", {}).get("source") or "")
    trained = words.say_count("{n} picture", "{n} pictures", runs[0].n_train)
    if source and record.config.get("data", {}).get("classes"):  # of some of its classes
        classes = words.listing(name_few(list(record.classes), words))
        trained = say("{pictures} of {source}: {classes}", pictures=trained, source=source, classes=classes)
    elif source:
        trained = say("{pictures} of {source}", pictures=trained, source=source)
    model = runs[0].config.get("model", {})
    encoder, weights = model.get("encoder"), model.get("weights")
    told = say("{encoder}, pretrained ({weights})", encoder=encoder, weights=weights)
    return [
        *(
            [(say("encoder"), told if weights else say("{encoder}, from random weights", encoder=encoder))]
            if encoder
            else []
        ),
        (say("scores"), scores),
        (say("trained on"), trained),
    ]


def _final_config(study: StudyResults) -> dict[str, Any]:
    """Return the configuration of the final candidate's first run; empty where no run is finished."""
    runs = study.runs_of(final_candidate(study.record))
    return runs[0].config if runs else {}


def _card_of(study: StudyResults, config: dict[str, Any]) -> Card | None:
    """Return the card of a candidate's network; none where it cannot be had."""
    model = config.get("model")
    if not isinstance(model, dict) or model.get("python"):
        return None
    return find_card(study.folder, str(model.get("name")))
