"""What was explained, in the report: whose it is, what a check allows to say, and every layer that was kept."""

from __future__ import annotations

import numpy as np
import pytest

from etude.core.interval import Interval
from etude.core.study_record import StudyRecord
from etude.explain.records import (
    Attribution,
    ClassSeparation,
    DataMapRecord,
    Doubtful,
    ErrorsRecord,
    GroupScore,
    LayerRow,
    LayersRecord,
    MapRecord,
    Member,
    PictureRef,
    SightRecord,
    WhyRecord,
)
from etude.report.explanations import explain_final
from etude.report.layer_words import tell_layers
from etude.report.note import gather, write_note
from etude.report.pdf import render_typst
from etude.report.reading import read_study
from etude.report.sights import gather_chapters
from etude.report.slides import write_slides
from etude.report.words import Words

PICTURE = PictureRef(item="test/1", truth="cat", answer="cat", probability=0.9)


def write_layers(folder, candidate, seed=0, side=""):
    record = StudyRecord.load(folder / "study.json")
    ref = next(ref for ref in record.runs if (ref.candidate, ref.seed) == (candidate, seed))
    row = LayerRow(
        name="head", kind="head", type="Linear", input_shape=(48,), output_shape=(10,), params=10, trained=10, macs=10
    )
    LayersRecord(network=candidate, size_px=(4, 4), rows=(row,), params=10, macs=10, side=side).save(
        folder / "runs" / ref.identity / "explain" / "layers.json"
    )
    return folder / "runs" / ref.identity / "explain"


def write_why(folder, **changes):
    found = Attribution(
        picture=PICTURE, is_right=True, drop_grad_cam=0.3, drop_integrated=0.1, drop_random=0.1, likeness=0.1
    )
    record = WhyRecord(
        layer="conv", pictures=(found,), mean_drop_grad_cam=0.3, mean_drop_integrated=0.1, mean_drop_random=0.1,
        mean_likeness=0.1,
    )  # fmt: skip
    record.model_copy(update=changes).save(folder / "why.json")
    pixels, flat = np.zeros((1, 8, 8, 3), np.uint8), np.zeros((8, 8), np.float32)
    np.savez(folder / "why.npz", pictures=pixels, **{"grad_cam.0": flat, "integrated.0": flat})


def tell_why(folder, language="en"):
    (chapter,) = gather_chapters(folder, Words(language))
    return " ".join(chapter.told).replace("\xa0", " ").replace("\u202f", " ")


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_explanation_of_another_candidate_is_not_called_that_of_the_final_one(study_folder, tmp_path, language):
    write_why(write_layers(study_folder, "cnn"))
    words = Words(language)
    study = read_study(study_folder)
    note = write_note(study_folder, language, to=tmp_path / "note.html").read_text("utf-8")
    typst = render_typst(study, words, tmp_path)
    warning = words.say(
        "What follows was explained of {candidate}; the final candidate, {final}, was not explained.",
        candidate="cnn",
        final="resnet",
    )
    final = words.say("Layers of the final network, {candidate}", candidate="cnn")
    for text in (note, typst):
        assert warning in text
        assert final not in text
    assert words.say("Layers of {candidate}", candidate="cnn") in note
    assert f"{words.say('Why this answer')} (cnn)" in note
    write_layers(study_folder, "resnet")
    note = write_note(study_folder, language, to=tmp_path / "note.html").read_text("utf-8")
    assert words.say("Layers of the final network, {candidate}", candidate="resnet") in note
    assert warning not in note


def test_slides_do_not_give_another_candidates_layers_as_those_of_the_final_model(study_folder, tmp_path):
    from tests.unit.report.test_formats import texts_of

    write_layers(study_folder, "cnn")
    said = texts_of(write_slides(study_folder, "en", to=tmp_path / "s.pptx"))
    assert "Its layers" not in said
    assert "Layers of cnn" in said
    write_layers(study_folder, "resnet")
    assert "Its layers" in texts_of(write_slides(study_folder, "en", to=tmp_path / "s.pptx"))


def test_the_pdf_says_where_a_table_of_very_many_layers_is(study_folder, tmp_path, monkeypatch):
    write_layers(study_folder, "resnet")
    study, said = read_study(study_folder), "The table of its"
    assert said not in render_typst(study, Words("en"), tmp_path)
    monkeypatch.setattr("etude.report.pdf.MOST_LAYERS", 0)
    text = render_typst(study, Words("en"), tmp_path)
    assert said in text
    assert "note.en.html" in text
    assert "Layer by layer" not in text


def test_a_run_without_layers_is_told_by_its_other_parts_and_one_with_layers_comes_first(study_folder):
    folder = write_layers(study_folder, "resnet")
    (folder / "layers.json").unlink()
    write_why(folder)
    explained = explain_final(read_study(study_folder), Words("en"))
    assert explained.layers is None
    assert explained.contents == [("explained-why", "Why this answer")]
    record = StudyRecord.load(study_folder / "study.json")
    other = [ref for ref in record.runs if ref.candidate == "resnet"][1]
    elsewhere = study_folder / "runs" / other.identity / "explain"
    elsewhere.mkdir()
    (write_layers(study_folder, "resnet") / "layers.json").rename(elsewhere / "layers.json")
    told = gather(read_study(study_folder), Words("en"))["explained"]
    assert told.source.ref.identity == other.identity


def test_a_difference_that_its_interval_does_not_show_is_not_claimed(tmp_path):
    write_why(tmp_path, gain_grad_cam=Interval(low=0.12, high=0.28), gain_integrated=Interval(low=-0.05, high=0.05))
    said = tell_why(tmp_path)
    assert "Grad-CAM: what is marked matters, by 20.0 points [12.0, 28.0] more" in said
    assert "Integrated gradients: that what is marked matters more than a fifth chosen by chance is not shown" in said
    write_why(tmp_path, gain_grad_cam=Interval(low=-0.01, high=0.41))
    said = tell_why(tmp_path)
    assert "what is marked matters, by" not in said
    assert "(+20.0 points [−1.0, 41.0])" in said
    write_why(tmp_path)  # a record of before: no interval, no claim
    assert "matters" not in tell_why(tmp_path)
    assert "compte" not in tell_why(tmp_path, "fr")


@pytest.mark.parametrize(
    ("language", "told", "lacking"),
    [("en", "takes 30.0 points", "Its figures are left out"), ("fr", "ôte 30,0 points", "Ses figures sont laissées")],
)
def test_what_was_recorded_is_told_where_its_arrays_are_not_there(tmp_path, language, told, lacking):
    """As in a notebook that had no room for them."""
    write_why(tmp_path, gain_grad_cam=Interval(low=0.12, high=0.28))
    assert lacking not in tell_why(tmp_path, language)
    (tmp_path / "why.npz").unlink()
    assert told in tell_why(tmp_path, language)
    assert lacking in tell_why(tmp_path, language)
    assert gather_chapters(tmp_path, Words(language))[0].exhibits == []


def test_tables_of_maps_and_errors_stand_without_their_arrays(tmp_path):
    ends = Interval(low=0.6, high=0.9)
    apart = tuple(ClassSeparation(name=name, n=20, share=0.8, interval=ends) for name in ("cat", "dog"))
    DataMapRecord(
        maps=(MapRecord(space="pixels", method="pca", explained=0.3),), n=40, separation={"pixels": apart},
        chance={"cat": 0.5, "dog": 0.5}, seconds=1.0, pixels_px=16, groups=("a", "b"), group_chance={"a": 0.5, "b": 0.5},
        group_separation={"pixels": tuple(entry.model_copy(update={"name": name}) for entry, name in zip(apart, "ab", strict=True))},
    ).save(tmp_path / "map.json")  # fmt: skip
    score = GroupScore(name="cat", n=20, share=0.7, interval=ends)
    ErrorsRecord(
        candidate="cnn", n_runs=2, confident=(PICTURE,), hardest=(), mislabelled=(), classes=(score,), groups=(score,)
    ).save(tmp_path / "errors.json")  # fmt: skip
    SightRecord(picture=PICTURE, layers=("conv",), first="conv", exciting=()).save(tmp_path / "sight.json")
    sight, maps, errors = gather_chapters(tmp_path, Words("en"))
    assert "The picture is test/1" in sight.told[0]
    assert not any("no filters" in said for said in sight.told)  # nothing is known of them
    assert [len(chapter.tables) for chapter in (sight, maps, errors)] == [0, 2, 2]
    assert "2 classes stand apart: cat and dog" in " ".join(maps.told)
    assert not any(chapter.exhibits for chapter in (sight, maps, errors))


def test_the_sample_that_separability_is_measured_on_is_said(tmp_path):
    apart = ClassSeparation(name="cat", n=20, share=0.8, interval=Interval(low=0.6, high=0.9))
    record = DataMapRecord(
        maps=(), n=2000, separation={"pixels": (apart,)}, chance={"cat": 0.5}, n_judged=400, n_test=10_000, seconds=1.0,
        pixels_px=16,
    )  # fmt: skip
    record.save(tmp_path / "map.json")
    (chapter,) = gather_chapters(tmp_path, Words("en"))
    assert "This is measured on 400 of the 10,000 test pictures, evenly spread." in chapter.told
    record.model_copy(update={"n_judged": 400, "n_test": 400, "n_alone": 4}).save(tmp_path / "map.json")
    told = " ".join(gather_chapters(tmp_path, Words("en"))[0].told)
    assert "evenly spread" not in told
    assert "4 test pictures have no neighbour that is not of their group, and are left out of this." in told


def test_random_weights_are_told_of_both_ways_where_their_interval_decides(tmp_path):
    ends = {
        "interval_likeness": Interval(low=-0.1, high=0.3),
        "interval_likeness_integrated": Interval(low=0.6, high=0.8),
    }
    write_why(tmp_path, mean_likeness_integrated=0.7, **ends)
    said = tell_why(tmp_path)
    assert (
        "Grad-CAM: the maps are unlike those of the same network with random weights (rank correlation 0.10 [−0.10, 0.30])"
        in said
    )
    assert "Integrated gradients: the maps are much like those" in said
    assert "Gradients intégrés : les cartes ressemblent beaucoup" in tell_why(tmp_path, "fr")
    write_why(tmp_path, mean_likeness_integrated=0.4, interval_likeness_integrated=Interval(low=0.1, high=0.7))
    said = tell_why(tmp_path)
    assert "Integrated gradients: whether the maps are like those" in said
    assert "Grad-CAM: whether the maps are like those" in said  # no interval: one picture, or a record of before


def test_pictures_that_were_chosen_are_not_told_as_a_sample(tmp_path):
    def found(is_right, covers=None):
        return Attribution(
            picture=PICTURE.model_copy(update={"covers": covers}), is_right=is_right, drop_grad_cam=0.3,
            drop_integrated=0.1, drop_random=0.1, likeness=0.1,
        )  # fmt: skip

    write_why(tmp_path, pictures=(found(True), found(True), found(False)))
    (tmp_path / "why.npz").unlink()
    assert "(means over 3 pictures: 2 right answers and 1 of the surest mistakes)." in tell_why(tmp_path)
    assert "(moyennes sur 3 images : 2 réponses justes et 1 des erreurs les plus assurées)." in tell_why(tmp_path, "fr")
    write_why(tmp_path)
    assert "(means over 1 picture: 1 right answer)." in tell_why(tmp_path)
    write_why(tmp_path, pictures=(found(True, 0.2), found(False, 0.1)))  # of masks, the largest misses
    (tmp_path / "why.npz").unlink()
    assert "(means over 2 pictures)." in tell_why(tmp_path)


def test_maps_that_cannot_be_compared_pass_no_check(tmp_path):
    write_why(tmp_path, mean_likeness=None, mean_likeness_integrated=None)
    said = tell_why(tmp_path)
    assert said.count("cannot be measured") == 2
    assert "tell of what was learnt" not in said


def test_one_of_several_networks_is_named(tmp_path):
    write_why(tmp_path, member=Member(number=1, of=5))
    said = tell_why(tmp_path)
    assert "of one of them alone, number 1 of 5" in said
    assert "The answers and their probabilities are those of all of them." in said
    row = LayerRow(
        name="head", kind="head", type="Linear", input_shape=(48,), output_shape=(10,), params=10, trained=10, macs=10
    )
    layers = LayersRecord(network="cnn", member=Member(number=1, of=5), size_px=(4, 4), rows=(row,), params=10, macs=10)
    assert "number 1 of 5" in " ".join(tell_layers(layers, Words("en")))
    assert "le numéro 1 sur 5" in " ".join(tell_layers(layers, Words("fr")))
    assert "number" not in " ".join(tell_layers(layers.model_copy(update={"member": None}), Words("en")))


@pytest.mark.parametrize(
    ("number", "told"), [(1, "for it or against it"), (2, "Bright is what speaks for the answer.")]
)
def test_what_is_bright_is_told_as_it_was_drawn(tmp_path, number, told):
    write_why(tmp_path, format=number)
    (chapter,) = gather_chapters(tmp_path, Words("en"))
    assert told in chapter.exhibits[0].caption


def test_every_layer_that_was_kept_is_drawn(tmp_path):
    names = tuple(f"conv{n}" for n in range(30))
    SightRecord(picture=PICTURE, layers=names, first=None, exciting=()).save(tmp_path / "sight.json")
    maps = {f"maps.{n}": np.random.default_rng(n).random((2, 4, 4)).astype(np.float16) for n in range(30)}
    np.savez(tmp_path / "sight.npz", picture=np.zeros((8, 8, 3), np.uint8), **maps)
    (chapter,) = gather_chapters(tmp_path, Words("en"))
    figures = [entry for entry in chapter.exhibits if entry.drawing.name.startswith("sight-maps")]
    assert [entry.drawing.name for entry in figures] == ["sight-maps", "sight-maps-2", "sight-maps-3"]
    drawn = [axes.get_ylabel() for entry in figures for axes in entry.drawing.draw(7.0).axes if axes.get_ylabel()]
    assert drawn == list(names)
    assert figures[1].caption.endswith("Part 2 of 3.")


def write_errors(folder, **changes):
    """Let the errors of a candidate have been looked at."""
    score = GroupScore(name="a", n=20, share=0.7, interval=Interval(low=0.6, high=0.9))
    given = {"confident": (PICTURE,), "hardest": (), "mislabelled": (), "classes": (score,), "groups": (score,)}
    ErrorsRecord(candidate="cnn", **{"n_runs": 2, **given, **changes}).save(folder / "errors.json")


def test_it_is_said_which_groups_are_left_out(tmp_path):
    write_errors(tmp_path)
    (chapter,) = gather_chapters(tmp_path, Words("en"))
    caption = chapter.tables[-1][1]
    assert caption == "Right answers by group, the worst first. Groups of fewer than 5 test pictures are left out."
    score = GroupScore(name="a", n=20, share=0.7, interval=Interval(low=0.6, high=0.9))
    write_errors(tmp_path, groups=tuple(score.model_copy(update={"name": str(n)}) for n in range(50)))
    (chapter,) = gather_chapters(tmp_path, Words("en"))
    assert chapter.tables[-1][1].endswith("At most 50 groups are shown.")


@pytest.mark.parametrize(
    ("n_runs", "english", "french"),
    [
        (1, "Which labels look wrong is not told", "Il n’est pas dit quelles"),
        (2, "No label was found that looks wrong", "Aucune étiquette"),
    ],
)
def test_where_no_label_looks_wrong_it_is_said_why(tmp_path, n_runs, english, french):
    write_errors(tmp_path, n_runs=n_runs)
    told = {language: " ".join(gather_chapters(tmp_path, Words(language))[0].told) for language in ("en", "fr")}
    assert english in told["en"]
    assert french in told["fr"]
    assert ("Les réponses d’un entraînement de cnn" in told["fr"]) == (n_runs == 1)
    write_errors(tmp_path, mislabelled=(Doubtful(picture=PICTURE, of_truth=0.1),))
    assert "look" not in " ".join(gather_chapters(tmp_path, Words("en"))[0].told)


def test_with_folds_answers_are_those_of_the_networks_that_a_picture_was_held_out_of(tmp_path):
    write_errors(tmp_path, n_runs=2, n_folds=5)
    (english,), (french,) = (gather_chapters(tmp_path, Words(language))[0].told[:1] for language in ("en", "fr"))
    assert english.startswith("The answers of cnn to the pictures of all 5 folds, each answered by the 2 networks that")
    assert french.startswith(
        "Les réponses de cnn aux images de l’ensemble des 5 plis, chaque image étant jugée par les 2"
    )


def test_the_run_that_is_handed_over_is_told_before_others_of_its_candidate(study_folder):
    write_layers(study_folder, "resnet", seed=0)
    study = read_study(study_folder)
    assert explain_final(study, Words("en")).source.ref.seed == 0
    write_layers(study_folder, "resnet", seed=1)  # the better one on validation
    assert explain_final(study, Words("en")).source.ref.seed == 1


@pytest.mark.parametrize(
    ("language", "given", "caption"),
    [
        ("en", "latent vector", "the order in which a latent vector goes through"),
        ("fr", "vecteur latent", "l’ordre où un vecteur latent les traverse"),
    ],
)
def test_a_generator_is_not_told_as_if_it_were_given_pictures(study_folder, language, given, caption):
    write_layers(study_folder, "resnet", side="generator")
    explained = explain_final(read_study(study_folder), Words(language))
    assert f">{given}</text>" in explained.drawing.wide
    assert "4 × 4" not in explained.drawing.wide.split("</text>")[0]
    assert caption in explained.layers_caption


@pytest.mark.parametrize(
    ("share", "n_folds", "told"),
    [
        (1.0, 1, "There is no wrong answer."),
        (0.9, 1, "The run that is explained makes no mistake."),
        (0.9, 3, "The networks that were dealt together with the explained one make no mistake."),
    ],
)
def test_where_no_mistake_is_shown_others_may_have_made_some(tmp_path, share, n_folds, told):
    of_cats = GroupScore(name="cat", n=10, share=share, interval=Interval(low=0.5, high=1.0))
    write_errors(tmp_path, confident=(), classes=(of_cats,), n_runs=2, n_folds=n_folds)
    assert told in gather_chapters(tmp_path, Words("en"))[0].told
