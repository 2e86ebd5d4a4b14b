"""Sentences that stand in records, as runs wrote them in English, told in the language of a report.

A record keeps a note as a sentence, so that it can be read without Étude. Here each kind of note is known by its
English pattern; one that is not known is told as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache

from etude.report.messages import mark, mark_count
from etude.report.words import Words

PATTERNS = (
    mark(
        "{candidate}: each of its {parts} networks is trained on all but one part of the training and "
        "validation pictures, so together they have learnt from pictures that others only choose on. What it "
        "scores on validation is what each picture was answered by the network that was not trained on it."
    ),
    mark(
        "{candidate}: the networks of the study's own folds have no test part in common, as each picture is "
        "tested by one and trained on by the others; so the pictures that a fold does not test are dealt to "
        "{parts} parts of their own."
    ),
    mark(
        "{candidate}: it averages weights of networks that start from different draws. Their mean is seldom a"
        " network that works: give model.weights or model.checkpoint, from which all start."
    ),
    mark(
        "Of {leaked} of {total} test pictures training or validation holds a twin or another frame (on_leak: "
        "allow). The leaderboard gives the score without them too."
    ),
    mark(
        "No clean test picture remains: training or validation holds a twin, or another frame of the "
        "sequence, of each of the {total} (on_leak: allow). The scores say nothing about new pictures."
    ),
    mark_count(
        "{n} picture left training or validation, as another part holds a twin (on_leak: drop).",
        "{n} pictures left training or validation, as another part holds a twin (on_leak: drop).",
    ),
    mark("Training holds twins of validation pictures (on_leak: allow): choices are made too hopefully."),  # of old
    mark(
        "Training holds twins of validation pictures (on_leak: allow): what is chosen on validation looks better than "
        "it is."
    ),
    mark(
        "Training holds other pictures of the groups that validation is of, such as frames of a sequence (on_leak: "
        "allow): validation scores are too high."
    ),
    mark(
        "There are too many pictures for the data check before a study: none was opened, so faults, duplicates and "
        "leaks are not known. `etude data check` with --limit looks at all."
    ),
    mark(
        "There are too many pictures to be compared with each other before a study: near duplicates were not looked "
        "for, equal pictures were. `etude data check` with --limit compares all."
    ),
    mark(
        "{candidate} has no score: {metric} does not exist on a test part that lacks pictures of a class. Give another "
        "metric or another split."
    ),
    mark("One run a candidate: what another seed would give is not known."),
    mark(
        "Pictures were normalised in several ways for the network over whose features they are measured, each chosen "
        "on the training photographs of a run: the values of runs do not compare."
    ),
    mark(
        "Seeds were added while looking, {drawn} of at most {most}: tests and intervals allow for a look "
        "after every seed."
    ),
    mark(
        "Numbers of seeds at which verdicts were written before: {earlier}; now {drawn}. Tests and intervals do not "
        "allow for having looked in between, so they err more often than 5 times in 100. protocol.seeds: auto allows "
        "for it."
    ),
    mark(
        "Other rules by which seeds were added before: {rules}; now {first}–{most}. Each spreads the level of its "
        "tests over its own looks, and nothing allows for those of two: tests and intervals err more often than 5 "
        "times in 100."
    ),
    mark(
        "The pictures come from ImageNet, as their names say (n02085620 and the like), and so do the weights of the "
        "network over whose features generated pictures are measured, and of a judge that starts from pretrained ones: "
        "both have probably seen these photographs before, held-out ones too."
    ),
    mark(
        "The pictures come from ImageNet, as their names say (n02085620 and the like), and so do the "
        "pretrained weights: the network has probably seen test pictures before, and its score says less "
        "about new ones."
    ),
    mark(
        "{candidate}: prepare.normalize is {given}, but the statistics in the pretrained weights are those of "
        "pictures normalised by {best}. Give prepare.normalize that value, or they see pictures unlike any they know."
    ),
    mark(
        "{candidate}: finetune is {way}, yet the network starts from random weights: what stays frozen was "
        "never trained. Give model.weights or model.checkpoint."
    ),
    mark(
        "Pixel accuracy is an average over pixels: large classes decide it, and a network that never finds the "
        "small ones scores well. Published values are mean IoU."
    ),
    mark(  # of old
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
        "The class {name} is void by its name, yet it counts in the mean as a class. Published values leave it "
        "out; the IoU of each class is in the note."
    ),
    mark(
        "{candidate}: its pictures have a side of {own} px, those of another candidate one of {other} px. Each is "
        "measured beside photographs of its own size, so their scores do not compare."
    ),
    mark(
        "{candidate}: photographs smaller than {size} px are enlarged, {small} of the {total} that were looked at, and "
        "a generator learns the enlargement."
    ),
    mark_count(
        "{candidate}: beside its photographs its training part holds {n} generated picture of a class, "
        "from a generator trained on the photographs of that training part alone.",
        "{candidate}: beside its photographs its training part holds {n} generated pictures of a class, "
        "from a generator trained on the photographs of that training part alone.",
    ),
    mark(
        "{candidate}: its generated pictures have a side of {side} px and are enlarged. Where photographs show more "
        "detail than that, the network can tell the generated ones by it."
    ),
    mark_count(
        "{n} picture that cannot be used is left out (data.unreadable: skip): {names}.",
        "{n} pictures that cannot be used are left out (data.unreadable: skip): {names}.",
    ),
    mark_count(
        "{n} picture without a mask was passed over.",
        "{n} pictures without a mask were passed over.",
    ),
    mark(
        "{label}: The generator has collapsed: at step {step} of {steps} its samples differ by {share} % of what "
        "training pictures do, for {looks} looks in a row. Training stopped there. Lower train.optimizer.lr, or give "
        "train.adversarial an r1 or an augment; collapse: 0 lets it go on."
    ),
    mark(
        "{label}: The generator collapsed: at step {step} of {steps} its samples differed by {share} % of what "
        "training pictures do, for {looks} looks in a row. Training went on (collapse: 0); at its end they differ by "
        "{end} %."
    ),
    mark("The official test part is left out, as its labels are not public."),
    mark("The official test part is left out, as its labels are not public; the official val is the test."),
    mark_count(
        "{n} picture is left out, as no official list names it.",
        "{n} pictures are left out, as no official list names them.",
    ),
    mark_count(
        "{n} file was passed over (hidden): {names}",
        "{n} files were passed over (hidden): {names}",
    ),
    mark_count(
        "{n} file was passed over (outside any class folder): {names}",
        "{n} files were passed over (outside any class folder): {names}",
    ),
    mark_count(
        "{n} file was passed over (no picture by its ending): {names}",
        "{n} files were passed over (no picture by its ending): {names}",
    ),
    mark_count(
        "{n} file was passed over (a loop of links): {names}",
        "{n} files were passed over (a loop of links): {names}",
    ),
    mark_count(
        "{n} file was passed over (a folder that cannot be read, {reason}): {names}",
        "{n} files were passed over (a folder that cannot be read, {reason}): {names}",
    ),
    mark("The parts that shards name are not used, as some name none: {names}"),
)
"""Every note that a study's own code writes; a place in braces holds what changes, `{n}` in two forms what counts."""

Pattern = str | tuple[str, str]
"""A sentence with places, or its two forms where `{n}` counts."""

FINDINGS = {
    "leak-exact": mark("Pictures with the same pixels as one in another part: {n}."),
    "leak-near": mark("Pictures with nearly the same look as one in another part: {n}."),
    "leak-group": mark("Pictures of a sequence or group that another part holds too: {n}."),
    "duplicates": mark("Pictures with the same pixels as another: {n}."),
    "near-duplicates": mark("Pictures with nearly the same look as another: {n}."),
    "conflicting-labels": mark("Pictures with the same pixels but different classes: {n}."),
    "doubtful-labels": mark("Pictures with nearly the same look but different classes: {n}."),
    "label-errors": mark("Pictures suspected of a wrong label: {n}."),
    "alike": mark("Pictures that a pretrained network can hardly tell apart, though they are no copies: {n}."),
    "frames": mark("Pictures that look like another of their own sequence: {n}."),
    "dark": mark("Very dark pictures: {n}."),
    "bright": mark("Very bright pictures: {n}."),
    "plain": mark("Pictures of one colour: {n}."),
    "blurred": mark("Blurred pictures: {n}."),
    "tiny": mark("Pictures of a few pixels: {n}."),
    "balance": mark("The classes are unbalanced; pictures in the smallest: {n}."),
    "extension": mark("Files whose ending is not that of the format inside: {n}."),
    "rotated": mark("Pictures turned upright by their EXIF orientation: {n}."),
    "cmyk": mark("Pictures converted from CMYK: {n}."),
    "16-bit": mark("Pictures of 16 bits a channel, of which 8 are kept: {n}."),
    "palette": mark("Pictures converted from a palette: {n}."),
    "alpha": mark("Pictures whose transparency is laid over white: {n}."),
    "unreadable": mark("Files that cannot be read: {n}."),
    "empty": mark("Empty files: {n}."),
    "no-picture": mark("Files that are no pictures: {n}."),
    "truncated": mark("Pictures that end too early or are damaged: {n}."),
    "bomb": mark("Pictures that would take too much memory once decoded: {n}."),
    "mask-missing": mark("Pictures without a mask: {n}."),
    "mask-unreadable": mark("Masks that cannot be read: {n}."),
    "mask-size": mark("Masks of another size than their picture: {n}."),
    "mask-ids": mark("Masks with ids that stand for no class: {n}."),
    "mask-void": mark("Masks that are void alone: {n}."),
}
"""What each kind of finding of the data check comes to, for languages that its own sentence is not in."""


def tell_finding(sentence: str, kind: str, count: int | None, words: Words) -> str:
    """Tell what the data check found: in English as it said it, in another language by its kind and its count."""
    if words.language == "en" or kind not in FINDINGS or count is None:
        return sentence
    told = str(words.say(FINDINGS[kind], n=words.count(count)))
    if not kind.startswith("leak-"):
        return told
    parts = {name: re.search(rf"([\d,]+) of the {name} part", sentence) for name in ("test", "validation")}
    counts = {name: words.count(int(found[1].replace(",", ""))) for name, found in parts.items() if found}
    if len(counts) == 2:
        told += " " + words.say("Of the test part: {test}; of the validation part: {validation}.", **counts)
    if "test" in counts:
        return f"{told} " + words.say("The test score is too good.")
    return f"{told} " + words.say("Choices on validation are too hopeful.") if counts else told


def tell_recorded(sentence: str, words: Words) -> str:
    """Tell a recorded sentence in the language of the report; a sentence that is not known stays as it is."""
    found = find_pattern(sentence, PATTERNS)
    return sentence if found is None else say_pattern(*found, words)


def find_pattern(sentence: str, patterns: Iterable[Pattern]) -> tuple[Pattern, dict[str, str]] | None:
    """Return the first pattern that a sentence was made by and what stands in its places; none where none made it."""
    for pattern in patterns:
        for form in (pattern,) if isinstance(pattern, str) else pattern:
            found = _expression(form).fullmatch(sentence)
            if found is not None:
                return pattern, found.groupdict()
    return None


def say_pattern(pattern: Pattern, places: Mapping[str, str], words: Words) -> str:
    """Say a known sentence with what stands in its places."""
    told = {
        name: _number(words.called(text), words)
        for name, text in places.items()
        if isinstance(pattern, str) or name != "n"
    }
    if isinstance(pattern, str):
        return str(words.say(pattern, **told))
    return str(words.say_count(*pattern, int(places["n"].replace(",", "")), **told))


_UNKNOWN_PROCESSOR = mark("unknown processor")


def tell_device(device: str, words: Words) -> str:
    r"""Tell on what a run was made: names of processors stay, what is counted is told in the language.

    >>> tell_device("cpu: AMD EPYC, 2 threads", Words("en")), tell_device("cuda: NVIDIA T4", Words("fr"))
    ('cpu: AMD EPYC, 2 threads', 'cuda\xa0: NVIDIA T4')
    """
    kind, colon, machine = device.partition(": ")
    told = ", ".join(_tell_part_of_machine(part, words) for part in (machine or kind).split(", "))
    return words.say("{device}: {machine}", device=kind, machine=told) if colon else told


def _tell_part_of_machine(part: str, words: Words) -> str:
    if threads := re.fullmatch(r"(\d[\d,]*) threads?", part):
        return words.say_count("{n} thread", "{n} threads", int(threads[1].replace(",", "")))
    if memory := re.fullmatch(r"(\d+) GiB", part):
        return words.say("{size} GiB", size=words.count(int(memory[1])))
    return words.say(_UNKNOWN_PROCESSOR) if part == _UNKNOWN_PROCESSOR else part


_RUN = re.compile(r"(?P<candidate>.+?)( trial (?P<trial>\d+))?, seed (?P<seed>\d+)(, fold (?P<fold>\d+))?")
"""What a run, or a trial while it trains, is called in a record."""


def name_run(candidate: str, seed: object, fold: object | None, words: Words) -> str:
    """Name a run for people."""
    if fold is None:
        return words.say("{candidate}, seed {seed}", candidate=candidate, seed=seed)
    return words.say("{candidate}, seed {seed}, fold {fold}", candidate=candidate, seed=seed, fold=fold)


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    pieces = re.split(r"{(\w+)}", pattern)
    told = "".join(f"(?P<{piece}>.+?)" if odd % 2 else re.escape(piece) for odd, piece in enumerate(pieces))
    return re.compile(told, re.DOTALL)  # what an exception says may have lines


def _number(text: str, words: Words) -> str:
    """Write a number, or the name of a run, as the language does; other texts stay."""
    if re.fullmatch(r"\d{1,3}(,\d{3})*|\d+", text):
        return words.count(int(text.replace(",", "")))
    if decimal := re.fullmatch(r"\d+\.(\d+)", text):
        return words.number(float(text), len(decimal[1]))
    if run := _RUN.fullmatch(text):
        name = run["candidate"]
        if run["trial"] is not None:
            name = words.say("{candidate}, trial {number}", candidate=name, number=_number(run["trial"], words))
        return name_run(name, run["seed"], run["fold"], words)
    return text
