"""What stands with the exhibits of a report, in every format: what is seen, and how it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etude.report.words import MetricWords, Words

if TYPE_CHECKING:
    from etude.report.detectors import Detectors
    from etude.report.masks import Masks
    from etude.report.note import Errors


def caption_detectors(detectors: Detectors, words: Words) -> dict[str, str]:
    """Return what is said of detectors, and below their drawing and their table."""
    say = words.say
    return {
        "told": (
            say(
                "Of the two classes {positive} is taken for the one to be found: how well the class is told from "
                "{other} on the test part, the runs of a candidate taken together, both areas as means of the runs.",
                positive=detectors.positive,
                other=detectors.other,
            )
            if detectors.other
            else say(
                "How well the class {positive} is told from the rest on the test part, the runs of a candidate taken "
                "together, both areas as means of the runs.",
                positive=detectors.positive,
            )
        )
        + " "
        + (
            say("The threshold was chosen on validation, before the test part was opened.")
            if detectors.is_chosen
            else say("The answer is yes where the probability is at least one half.")
        ),
        "drawing": say(
            "Left: precision against recall as the threshold falls. Middle: what is rightly against what is wrongly "
            "found; the diagonal is chance. Right: the share of {positive} among the pictures that are given a "
            "probability; on the diagonal it can be taken at its word. A diamond stands where a candidate works.",
            positive=detectors.positive,
        )
        + tell_not_drawn(detectors.n_left, words),
        "table": say("What each candidate finds."),
    }


def tell_not_drawn(left: int, words: Words) -> str:
    """Say, after another sentence, how many candidates a figure leaves out; nothing where it shows all."""
    if left <= 0:
        return ""
    return " " + words.say_count("{n} more candidate is not drawn.", "{n} more candidates are not drawn.", left)


def caption_errors(errors: Errors, words: Words) -> dict[str, str]:
    """Return what is said of what is taken for what, and below the matrix and the table."""
    return {
        "told": words.say_count(
            "What {candidate} answers on the test part, in its one run.",
            "What {candidate} answers on the test part, its {n} runs taken together.",
            errors.n_runs,
            candidate=errors.candidate,
        ),
        "drawing": words.say(
            "Confusion matrix: share of each true class (row, in %) that is given each answer (column). Blue is right, "
            "orange is wrong; the larger the share, the stronger the tint."
        ),
        "pairs": words.say_count(
            "The commonest confusions.",
            "The commonest confusions; the counts of the {n} runs are summed.",
            errors.n_runs,
        ),
    }


def tell_commonest(errors: Errors, words: Words) -> str:
    """Say which confusion is the commonest; empty where there is none."""
    if not errors.pairs.rows:
        return ""
    truth, answer, _, share = (cell.text for cell in errors.pairs.rows[0])
    return words.say(
        "The commonest confusion: {truth} taken for {answer}, {share} of the class.",
        truth=truth,
        answer=answer,
        share=share,
    )


def caption_masks(masks: Masks, words: Words) -> dict[str, str]:
    """Return what is said of masks, and below their pictures, curves and tables."""
    say = words.say
    return {
        "told": say(
            "Masks are compared pixel by pixel over the whole test part, void left out; a class that is not there and "
            "was not answered does not count."
        ),
        "drawing": say(
            "What {candidate} answers to test pictures, in its first run: pictures evenly drawn from the part, then "
            "its worst and its best, with the mean IoU of the picture. Orange is wrong; black is void.",
            candidate=masks.candidate,
        ),
        "classes": say("IoU of each class on the test part, mean of the runs."),
        "categories": say("IoU of each category of classes on the test part, mean of the runs."),
        "curves": say(
            "IoU of each class on validation, epoch by epoch, of the first run of {candidate}.",
            candidate=masks.candidate,
        ),
    }


def caption_robustness(words: Words) -> dict[str, str]:
    """Return what is said of pictures that were made worse, and below their table."""
    return {
        "told": words.say(
            "The final candidate and the baseline on test pictures that were made worse, at five severities. Nothing "
            "was chosen on these."
        ),
        "table": words.say("Score by corruption and severity, mean over the runs that were measured."),
    }


def caption_pixels(words: Words) -> str:
    """Return what stands below the shares of pixels by class."""
    return words.say(
        "Share of the pixels of each part by class, void left out, and the weight of each class in the loss that "
        "train.class_weights would make of the training part (mean 1; the largest at most 20 times the smallest)."
    )


def caption_results(metric: MetricWords, baseline: str | None, words: Words) -> dict[str, str]:
    """Return what stands below the tables and figures of a study's results.

    Args:
        metric: the metric that ranks.
        baseline: what candidates are compared with; none where nothing is.
        words: the language.
    """
    say = words.say
    return {
        "leaderboard": say("Candidates by {metric} on the test part. The baseline is in bold.", metric=metric.name)
        if baseline
        else say("Candidates by {metric} on the test part.", metric=metric.name),
        "leaderboard_drawing": say("Score on the test part: mean, single runs and intervals, as far as they exist."),
        "verdicts": say("The comparisons with {baseline}.", baseline=baseline),
        "verdicts_drawing": say(
            "Gain over {baseline} with its 95% interval, signed so that right of the line is better.", baseline=baseline
        ),
        "influence": say("Score at each value, with its interval over runs (over pictures where there is one run)."),
        "pareto_drawing": say(
            "Score against cost, with the interval over runs (over pictures where there is one run). No candidate is both cheaper "  # noqa: E501
            "and better than those on the dashed line (filled dots)."
        ),
        "training": say("What each candidate was trained on, and for how long."),
        "runs": say("Every run of the plan, in order."),
    }
