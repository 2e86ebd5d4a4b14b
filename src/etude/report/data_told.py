"""The pictures of a study in words: how even the classes are, their sizes and terms, and what was left out of them."""

from __future__ import annotations

from collections.abc import Mapping

from etude.core.study_record import StudyRecord
from etude.report.messages import mark
from etude.report.reading import Finding, StudyResults
from etude.report.recorded import find_pattern, say_pattern, tell_recorded
from etude.report.words import Words

_EVEN = 1.5
"""Classes whose largest has at most this many times the pictures of the smallest are called even."""
_MOST_SIZES = 3
_MOST_NAMED = 5
LICENCES = (
    mark("Not stated by its authors; cite {work}"),
    mark("For research; cite {work}"),
    mark("For research, from ImageNet; cite {work}"),
    mark("For research; from ImageNet (Stanford CS231n)."),
    mark("Cityscapes terms of use: non-commercial; cite {work}"),
)
"""The terms that the registered sources state."""
_CLEANED = ("(on_leak: ", "(data.unreadable: ", " passed over", " left out")
"""What a recorded note holds that tells what was done with pictures."""
_TWINS = ("duplicates", "near-duplicates")
_MOST_FOUND = 6


def tell_licence(licence: str, words: Words) -> str:
    """Tell the terms of the pictures; those that no registered source states stay as they are."""
    found = find_pattern(licence, LICENCES)
    return licence if found is None else say_pattern(*found, words)


def list_data_sheet(study: StudyResults, words: Words) -> list[tuple[str, str]]:
    """Return the terms of the pictures, what they are recognised by, their sizes and how even their classes are."""
    record, say = study.record, words.say
    sheet = [
        (say("terms and citation"), tell_licence(record.licence, words)),
        (say("fingerprint"), record.data_fingerprint),
        (say("sizes"), tell_picture_sizes(study, words)),
        (say("balance"), tell_balance(record, words)),
    ]
    return [entry for entry in sheet if entry[1]]


def tell_balance(record: StudyRecord, words: Words) -> str:
    """Say how evenly the training pictures are spread over the classes; empty for masks and for one class."""
    given = record.counts.get("train", {})
    if record.task == "segmentation" or len(given) < 2:
        return ""
    counts = {name: n for name, n in given.items() if n}
    told = [_tell_spread(counts, words) if len(counts) > 1 else "", _tell_empty([*given.keys() - counts.keys()], words)]
    return " ".join(sentence for sentence in told if sentence)


def _tell_empty(names: list[str], words: Words) -> str:
    if not names:
        return ""
    listed = words.listing(sorted(names)[:_MOST_NAMED])
    if len(names) <= _MOST_NAMED:
        return words.say("There is no training picture of {names}.", names=listed)
    return words.say(
        "There is no training picture of {n} classes, such as {names}.", n=words.count(len(names)), names=listed
    )


def _tell_spread(counts: Mapping[str, int], words: Words) -> str:
    least, most = min(counts, key=lambda name: counts[name]), max(counts, key=lambda name: counts[name])
    if counts[most] == counts[least]:
        return words.say("Each class has {n} training pictures.", n=words.count(counts[most]))
    places = {
        "least": least,
        "n_least": words.count(counts[least]),
        "most": most,
        "n_most": words.count(counts[most]),
    }
    if counts[most] <= _EVEN * counts[least]:
        return words.say(
            "Classes are about even: from {n_least} training pictures ({least}) to {n_most} ({most}).", **places
        )
    return words.say(
        "Classes are uneven: {n_least} training pictures of {least}, {n_most} of {most}, {ratio} as many.",
        ratio=words.times(counts[most] / counts[least]),
        **places,
    )


def tell_picture_sizes(study: StudyResults, words: Words) -> str:
    """Say how large the pictures are, width × height; empty where the data were not checked."""
    if not study.sizes:
        return ""
    ranked = sorted(study.sizes.items(), key=lambda entry: -entry[1])
    if len(ranked) == 1:
        return words.say("All pictures that were opened have {size} pixels.", size=_write_size(ranked[0][0], words))
    named = [
        words.say("{size} ({n})", size=_write_size(size, words), n=words.count(n)) for size, n in ranked[:_MOST_SIZES]
    ]
    return words.say("Their most frequent sizes in pixels: {sizes}.", sizes=words.listing(named))


def _write_size(size: str, words: Words) -> str:
    return " × ".join(words.count(int(side)) if side.isdecimal() else side for side in size.split("x"))


def tell_cleaning(study: StudyResults, words: Words) -> list[str]:
    """Say what was done about what the check found: what was left out, or that nothing was.

    Notes tell it where something was done; what no note tells was not done.
    """
    record = study.record
    told = [tell_recorded(note, words) for note in record.notes if any(sign in note for sign in _CLEANED)]
    findings = study.findings or ()
    if any(finding.kind in _TWINS for finding in findings) and not any(map(is_leak, findings)):
        told.append(words.say("None of these twins stands in two parts of the split."))
    left_out = record.n_pictures.get("left_out") or sum(record.counts.get("left_out", {}).values())
    if left_out:
        told.append(
            words.say_count("{n} picture belongs to no part.", "{n} pictures belong to no part.", left_out)
        )  # fmt: skip
    elif study.findings is not None:
        told.append(words.say("No picture was left out."))
    return told


def tell_check(study: StudyResults, words: Words) -> list[str]:
    """Say what the data check found, and what was done about it; empty where it is not known to have looked."""
    findings = [finding.sentence for finding in study.findings or ()]
    if study.findings == ():
        findings = [words.say("The data check found nothing amiss.")]
    left = len(findings) - _MOST_FOUND
    more = [words.say_count("{n} other finding", "{n} other findings", left) + "."] if left > 0 else []
    return [*findings[:_MOST_FOUND], *more, *tell_cleaning(study, words)]


def tell_leaks(study: StudyResults, words: Words) -> str:
    """Say whether pictures that are alike stand on two sides of the split, as far as that was looked for."""
    if study.findings is None:
        return words.say(
            "The data were not checked: whether a picture, or a twin of one, stands on two sides is not known."
        )
    if any(map(is_leak, study.findings)):
        if study.record.config.get("data", {}).get("on_leak") == "drop":
            return words.say(
                "Pictures that are alike, or of one group, stood on two sides: those of training and validation were "
                "left out (on_leak: drop)."
            )
        return words.say(
            "Pictures that are alike, or of one group, stand on two sides, and were left there (on_leak: allow): the "
            "scores hold for such pictures, and promise too much of new ones."
        )
    if not study.twins_sought:
        return words.say("No picture stands on two sides; whether a near twin of one does was not looked for.")
    return words.say(
        "No picture stands on two sides, nor a near twin of one: all were compared, mirrored and cropped ones too."
    )


def is_leak(finding: Finding) -> bool:
    """Whether a finding is that a part of the split holds what another part knows."""
    return finding.kind.startswith("leak-")
