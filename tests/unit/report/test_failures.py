"""Failures in the language of the report: each that a training can end with is known, what is not ours is quoted."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from etude.core.errors import ModelError
from etude.models import build_model
from etude.models.families.gan import check_size
from etude.models.networks import shortened
from etude.models.networks.depth import train_last
from etude.report.failures import FAILURES, tell_failure, write_failure
from etude.report.recorded import find_pattern
from etude.report.words import Words
from etude.search.session import Turn
from etude.study.trials import Trials
from etude.train import adversarial, loop

EN, FR = Words("en"), Words("fr")


def diverged():
    for label in ("cnn, seed 0", "cnn, seed 12, fold 3", "cnn trial 3, seed 1000"):
        yield loop._divergence(SimpleNamespace(label=label), 7, 0.25)
        yield adversarial._divergence(SimpleNamespace(label=label), 1200)


def unscored():
    config = SimpleNamespace(of="cnn")
    trials = Trials(SimpleNamespace(config=config, name="s"), study=None, workspace=None, watch=None)
    turn = Turn(0, {}, "random", lambda epoch, score: False)
    return trials._judged(turn, "f" * 16, {}, None, 3, 1.0).failure


def refused(call):
    with pytest.raises(ModelError) as caught:
        call()
    return str(caught.value)


def built(spec, size_px=(32, 32), base=None):
    return lambda: build_model(spec, n_outputs=10, size_px=size_px, seed=0, base=base)


NETS = """
from torch import nn


class Wrong(nn.Module):
    def __init__(self): raise RuntimeError("no room\\non the shelf")


class Shut(nn.Module):
    def forward(self, images): raise ValueError("I take none of these.")


class Flat(nn.Module):
    def forward(self, images): return images.mean((2, 3))
"""


def refusals(tmp_path):
    """The sentence of every way in which a drawn configuration, or a network of one's own, is refused."""
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "broken.py").write_text("class Net: ...\n1 / 0\n")
    network = build_model("cnn", n_outputs=2, size_px=(32, 32), seed=0)
    cuttable = SimpleNamespace(feature_info=(1, 2, 3), prune_intermediate_layers=None)
    return [
        refused(built({"name": "cnn", "widths": [8, 8, 8]}, (4, 4))),
        refused(built({"name": "cnn", "widths": [8]}, (1, 1))),
        refused(built("airnet", (4, 4))),
        refused(lambda: check_size("dcgan", (48, 48))),
        refused(lambda: shortened._cut(network, 1)),
        refused(lambda: shortened._cut(cuttable, 3)),
        refused(lambda: train_last(network, 99, frozenset(name for name, _ in network.named_parameters()))),
        refused(built({"python": "nets.py:Wrong"}, base=tmp_path)),
        refused(built({"python": "nets.py:Shut"}, base=tmp_path)),
        refused(built({"python": "nets.py:Flat"}, base=tmp_path)),
        refused(built({"python": "broken.py:Net"}, base=tmp_path)),
    ]


ENGLISH = re.compile(r"\b(the|of|must|be|at|least|give|got|lower|fails|when|seed|pictures)\b", re.IGNORECASE)


def test_every_way_in_which_a_training_fails_is_told_in_french(tmp_path):
    sentences = [*diverged(), unscored(), *refusals(tmp_path)]
    for sentence in sentences:
        assert find_pattern(sentence, FAILURES) is not None, sentence
        ours = " ".join(piece.text for piece in tell_failure(sentence, FR) if not piece.is_quoted)
        assert not ENGLISH.search(ours.replace(str(tmp_path), "")), ours
        told = "".join(piece.text for piece in tell_failure(sentence, EN))
        assert told.replace(",", "") == sentence.replace(",", "")  # but for how a number, and a trial, is written


def test_the_run_the_trial_and_the_numbers_are_told_as_the_language_does():
    first, _, fold, steps, trial, _ = (write_failure(sentence, FR) for sentence in diverged())
    assert "cnn, graine 0" in first
    assert "0,25" in first
    assert "cnn, graine 12, pli 3" in fold
    assert "1\u202f200" in steps
    assert "cnn, essai 3, graine 1000" in trial.replace("\u202f", "")


def test_what_an_exception_says_is_quoted_and_stays(tmp_path):
    (tmp_path / "nets.py").write_text(NETS)
    sentence = refused(built({"python": "nets.py:Shut"}, base=tmp_path))
    for words in (EN, FR):
        (quoted,) = (piece.text for piece in tell_failure(sentence, words) if piece.is_quoted)
        assert quoted == "ValueError: I take none of these."
    assert "«\xa0ValueError: I take none of these.\xa0»" in write_failure(sentence, FR)


def test_a_failure_that_nobody_knows_is_quoted_whole_and_in_english_stands_as_it_is():
    lead, quoted = tell_failure("The disk fell off.", FR)
    assert not lead.is_quoted
    assert (quoted.text, quoted.is_quoted) == ("The disk fell off.", True)
    assert write_failure("The disk fell off.", EN) == "The disk fell off."
