"""Classes are renamed where a record names classes, and nowhere else."""

from etude.core.class_names import rename_classes
from etude.core.interval import Interval
from etude.core.judgement_record import JudgedPictures
from etude.core.robustness_record import RobustnessRecord, RunRobustness, SliceScore
from etude.core.study_record import LeaderboardRow, StudyRecord
from etude.explain.records import (
    ClassSeparation,
    DataMapRecord,
    Doubtful,
    ErrorsRecord,
    GroupScore,
    PictureRef,
)

FRENCH = {"cat": "chat", "train": "train à vapeur", "pixels": "points"}
HALF = Interval(low=0.4, high=0.6)


def called(name):
    return FRENCH.get(name, name)


def test_keys_of_counts_are_renamed_and_parts_are_not():
    record = StudyRecord(
        name="cat", question="cat", task="classification", metric="accuracy", higher_is_better=True, baseline="cat",
        config={"positive": "cat"}, classes=("cat", "train"), counts={"train": {"cat": 3, "train": 4}}, runs=(),
        leaderboard=(), verdicts=(),
    )  # fmt: skip
    told = rename_classes(record, called)
    assert told.classes == ("chat", "train à vapeur")
    assert told.counts == {"train": {"chat": 3, "train à vapeur": 4}}
    assert (told.name, told.config) == ("cat", {"positive": "cat"})
    assert record.classes == ("cat", "train"), "the record that was given has changed"


def test_a_picture_keeps_its_id():
    picture = PictureRef(item="cat", truth="cat", answer="dog", probability=0.5)
    group = GroupScore(name="cat", n=1, share=0.5, interval=HALF)
    record = ErrorsRecord(
        candidate="cat", n_runs=1, confident=(picture,), hardest=(Doubtful(picture=picture, of_truth=0.1),),
        mislabelled=(), classes=(group,), groups=(group,),
    )  # fmt: skip
    told = rename_classes(record, called)
    assert (told.confident[0].item, told.confident[0].truth, told.confident[0].answer) == ("cat", "chat", "dog")
    assert told.hardest[0].picture.truth == "chat"
    assert (told.classes[0].name, told.groups[0].name, told.candidate) == ("chat", "cat", "cat")


def test_spaces_and_groups_of_a_map_keep_their_names():
    apart = ClassSeparation(name="cat", n=2, share=0.5, interval=HALF)
    record = DataMapRecord(
        maps=(), n=2, separation={"pixels": (apart,)}, chance={"cat": 0.5}, seconds=1, pixels_px=8,
        groups=("cat",), group_separation={"pixels": (apart,)}, group_chance={"cat": 0.5},
    )  # fmt: skip
    told = rename_classes(record, called)
    assert told.separation["pixels"][0].name == "chat"
    assert told.chance == {"chat": 0.5}
    assert (told.groups, told.group_separation, told.group_chance) == (("cat",), record.group_separation, {"cat": 0.5})


def test_slices_of_classes_are_renamed_and_those_of_groups_are_not():
    one = SliceScore(name="cat", n=1, clean=1, corrupted=0.5)
    run = RunRobustness(identity="cat", candidate="cat", clean=1, scores=(), classes=(one,), groups=(one,))
    told = rename_classes(RobustnessRecord(metric="accuracy", runs=(run,)), called).runs[0]
    assert (told.classes[0].name, told.groups[0].name, told.identity, told.candidate) == ("chat", "cat", "cat", "cat")


def test_what_needs_no_other_name_is_the_very_record():
    pictures = JudgedPictures(
        kind="real", target="fox", n=1, called=1, called_interval=HALF, confidence=1, confidence_interval=HALF
    )
    assert rename_classes(pictures, called) is pictures
    assert rename_classes(pictures.model_copy(update={"target": "cat"}), called).target == "chat"


def test_scores_by_class_without_a_value_are_kept():
    row = LeaderboardRow(candidate="cat", n_runs=1, score=0.5, class_scores={"cat": None, "dog": 0.5})
    assert rename_classes(row, called) == row.model_copy(update={"class_scores": {"chat": None, "dog": 0.5}})
