"""Notes of records in the language of the report: every note that a study can write is known here."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from etude.check import CheckLimits, kinship, quality
from etude.check.checking import _survey, _twins
from etude.core.run_record import AdversarialLook, Epoch
from etude.data.prepared import note_left_out
from etude.data.sources.folder import _Walk
from etude.data.sources.paired import note_without_mask
from etude.data.sources.parquet import _note_unnamed
from etude.report.recorded import FINDINGS, PATTERNS, tell_device, tell_finding, tell_recorded
from etude.report.words import Words
from etude.study.cautions import cautions
from etude.study.file import CombineConfig
from etude.study.guard import leak_notes
from etude.study.parse import parse_study
from etude.study.resolve import resolve_candidate
from etude.train.adversarial import collapse_note, passed_collapse_note
from etude.train.misfit import misfit_note

UNSEEN = []
_survey(None, range(110_000), CheckLimits(open=100_000, near=60_000, alike=10_000), 1, None, UNSEEN)
_twins(SimpleNamespace(), range(70_000), CheckLimits(open=100_000, near=60_000, alike=10_000), 1, None, UNSEEN)


def leaky(mode, test=(), n_test=0, dropped=(), kinds=("leak-exact",), skipped=()):
    findings = [SimpleNamespace(kind=kind) for kind in kinds]
    fold = SimpleNamespace(test=test, n_test=n_test, dropped=dropped)
    study = SimpleNamespace(data=SimpleNamespace(on_leak=mode))
    return SimpleNamespace(
        check=SimpleNamespace(leaks_any=True, leaks=[fold], findings=findings, skipped=skipped), study=study
    )


STUDY = """
data: {source: shapes, split: {kind: kfold}}
candidates:
  frozen: {model: cnn, finetune: head}
  many: {model: cnn, combine: {folds: 5}}
  soup: {model: cnn, combine: {members: 3, average: weights}}
"""


def cautioned():
    items = SimpleNamespace(ids=np.array(["n02085620_1", "n02085620_2"]))
    dogs = type("Dogs", (), {"items": items, "classes": items.ids, "raw": lambda *_: np.zeros((99, 99, 3), np.uint8)})()
    dogs.classes = ("n02085620", "n02085621")
    study = parse_study(STUDY)
    for name in study.candidates:
        yield from cautions(resolve_candidate(study, name), dogs, study)
    sizes = parse_study(
        "task: generation\ndata: {source: shapes}\n"
        "candidates: {a: {model: dcgan}, b: {model: dcgan, prepare: {size_px: 32}}}"
    )
    yield from cautions(resolve_candidate(sizes, "a"), dogs, sizes)
    pretrained = SimpleNamespace(
        name="big", model=SimpleNamespace(weights="imagenet", checkpoint=None, name="resnet18"),
        finetune=SimpleNamespace(name="all"), generated=SimpleNamespace(pictures=100, size_px=32), combine=CombineConfig(), prepare=SimpleNamespace(fit="crop", height_px=64, width_px=96),
    )  # fmt: skip
    masks = SimpleNamespace(
        task="segmentation", protocol=SimpleNamespace(metric="pixel_accuracy", resolution="network")
    )
    yield from cautions(pretrained, SimpleNamespace(items=items, classes=("road", "void")), masks)


def looks():
    look = dict.fromkeys(
        ("discriminator_loss", "real_logit", "fake_logit", "generator_gradient", "discriminator_gradient"), 0.0
    )
    return [
        Epoch(
            epoch=n, step=10 * n, train_loss=0, lr=1, seconds=1, images_per_s=1,
            adversarial=AdversarialLook(**look, diversity=diversity),
        )
        for n, diversity in enumerate((0.5, 0.043, 0.043, 0.043), 1)
    ]  # fmt: skip


def passed_over():
    """What a source of folders says of all that it passes over, of one file each and of several."""
    for names in (["a.txt"], [f"{number}.txt" for number in range(1200)]):
        walk = _Walk(Path("/photos"))
        for name in names:
            for reason in ("hidden", "outside any class folder", "no picture by its ending", "a loop of links"):
                walk._pass(reason, f"/photos/{name}")
            walk._pass("a folder that cannot be read, Permission denied", f"/photos/{name}")
        yield from walk.notes()


NOTES = [
    *(f"{label}: {collapse_note(looks(), 0.1, 100)}" for label in ("dcgan, seed 0", "dcgan, seed 12, fold 3")),
    f"dcgan, seed 0: {passed_collapse_note(looks(), 100)}",
    misfit_note("gradual", "imagenet", "half"),
    *leak_notes(leaky("allow", range(1353), 10_000)),
    *leak_notes(leaky("allow", range(101), 101)),
    *leak_notes(leaky("allow")),
    *leak_notes(leaky("allow", kinds=("leak-group",), skipped=UNSEEN)),
    *leak_notes(leaky("drop", dropped=range(12))),
    *cautioned(),
    *note_left_out((("a/0.png", "…"),)),
    *note_left_out(tuple((f"b/{number}.png", "…") for number in range(7))),
    *passed_over(),
    *_note_unnamed([Path("train-0.parquet"), Path("more.parquet")]),
]


@pytest.mark.parametrize("note", NOTES, ids=lambda note: note[:40])
def test_every_note_of_a_study_is_told_in_french(note):
    told = tell_recorded(note, Words("fr"))
    assert told != note
    assert "{" not in told
    assert sorted(re.sub(r"\D", "", told)) == sorted(re.sub(r"\D", "", note))
    assert tell_recorded(note, Words("en")) == note


def test_a_collapse_names_its_run_and_its_share_as_the_language_does():
    told = tell_recorded(NOTES[1], Words("fr"))
    assert told.startswith("dcgan, graine 12, pli 3")
    assert "4,3 %" in told.replace("\xa0", " ")
    assert "effondré" in told


def test_every_kind_of_finding_is_told_in_french():
    kinds = {*quality._FAULTS, *quality._TRAITS, "balance", "alike", "label-errors", "frames"}
    kinds |= {"tiny", "dark", "bright", "plain", "blurred", "leak-exact", "leak-near", "leak-group"}
    text = Path(kinship.__file__).read_text("utf-8") + Path(quality.__file__).read_text("utf-8")
    kinds |= set(re.findall(r'_of_sets\(family, "([\w-]+)"', text))
    assert kinds | {"conflicting-labels", "doubtful-labels"} == set(FINDINGS)
    assert tell_finding("2 pictures are very dark.", "dark", 2000, Words("en")) == "2 pictures are very dark."
    assert "2\N{NARROW NO-BREAK SPACE}000" in tell_finding("…", "dark", 2000, Words("fr"))
    assert tell_finding("A test of my own.", "mine", 3, Words("fr")) == "A test of my own."


def test_the_notes_tried_are_of_many_kinds():
    assert len(NOTES) >= 9


def test_a_note_that_nobody_knows_stands_as_it_is():
    assert tell_recorded("A note of a source of my own.", Words("fr")) == "A note of a source of my own."


def test_no_pattern_swallows_the_notes_of_another():
    forms = [form for pattern in PATTERNS for form in ([pattern] if isinstance(pattern, str) else pattern)]
    for form in forms:
        sample = re.sub(r"{(\w+)}", "12", form)
        assert sum(re.fullmatch(re.sub(r"\\{\w+\\}", ".+?", re.escape(other)), sample) is not None
                   for other in forms) == 1  # fmt: skip


def test_a_note_of_one_picture_is_told_in_the_singular():
    (note,) = leak_notes(leaky("drop", dropped=range(1)))
    assert note.startswith("1 picture left training")
    assert tell_recorded(note, Words("fr")).startswith("1 image a quitté")
    assert tell_recorded(note_without_mask(1)[0], Words("fr")) == "1 image sans masque a été laissée de côté."
    assert tell_recorded(note_without_mask(2000)[0], Words("fr")).startswith("2\N{NARROW NO-BREAK SPACE}000 images")


@pytest.mark.parametrize(
    ("device", "french"),
    [
        ("cpu: AMD EPYC, 2 threads", "cpu : AMD EPYC, 2 fils d’exécution"),
        ("cpu: unknown processor, 1 thread", "cpu : processeur inconnu, 1 fil d’exécution"),
        ("AMD EPYC, 2 threads, 8 GiB, Linux", "AMD EPYC, 2 fils d’exécution, 8 Gio, Linux"),
        ("cuda:0: NVIDIA T4", "cuda:0 : NVIDIA T4"),
    ],
)
def test_a_machine_is_told_in_the_language_but_for_its_own_name(device, french):
    assert tell_device(device, Words("en")).replace("\xa0", " ") == device
    assert tell_device(device, Words("fr")).replace("\xa0", " ") == french


def test_a_leak_is_told_with_its_parts_and_what_it_does():
    sentence = "1,101 of the test part and 36 of the validation part have the same pixels as a picture in another part"
    told = tell_finding(sentence, "leak-exact", 1137, Words("fr")).replace("\u00a0", " ").replace("\u202f", " ")
    assert "De la partie de test : 1 101 ; de la partie de validation : 36." in told
    assert told.endswith("Le score de test est trop bon.")
    only = tell_finding("36 of the validation part have the same pixels", "leak-exact", 36, Words("fr"))
    assert only.endswith("Les choix faits sur la validation sont trop optimistes.")
