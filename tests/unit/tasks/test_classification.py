"""Losses of one class a picture: the focal loss against its formula, its paper's binary form, and mixed pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from etude import Study
from etude.core.errors import StudyFileError
from etude.data.batches import Batch
from etude.study.parse import parse_study
from etude.tasks.classification import Classification, focal_losses
from etude.tasks.task import CLASS_LOSSES

WEIGHTS_K = torch.tensor([0.5, 1.0, 2.0, 4.0])


def drawn(n: int = 64, n_classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits_BK = 3 * torch.randn(n, n_classes, generator=generator)
    return logits_BK, torch.randint(n_classes, (n,), generator=generator)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
@pytest.mark.parametrize("weights_K", [None, WEIGHTS_K])
def test_the_focal_loss_is_its_formula(weights_K: torch.Tensor | None, gamma: float) -> None:
    logits_BK, targets_B = drawn()
    p_B = logits_BK.double().softmax(1)[torch.arange(64), targets_B]
    alpha_B = torch.ones(64) if weights_K is None else weights_K[targets_B]
    expected_B = -alpha_B * (1 - p_B) ** gamma * p_B.log()
    found_B = focal_losses(logits_BK, targets_B, weights_K, gamma).double()
    torch.testing.assert_close(found_B, expected_B, rtol=1e-4, atol=1e-7)


def test_of_two_classes_it_is_the_binary_loss_of_the_paper() -> None:
    binary = pytest.importorskip("torchvision.ops").sigmoid_focal_loss
    logits_BK, targets_B = drawn(n_classes=2)
    expected_B = binary(logits_BK[:, 1] - logits_BK[:, 0], targets_B.float(), alpha=-1, gamma=2)
    torch.testing.assert_close(focal_losses(logits_BK, targets_B), expected_B, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0])
def test_a_small_power_has_a_gradient_where_the_answer_is_sure(gamma: float) -> None:
    logits_BK = torch.tensor([[12.0, 0.0], [200.0, 0.0]], requires_grad=True)
    focal_losses(logits_BK, torch.tensor([0, 0]), gamma=gamma).sum().backward()
    assert logits_BK.grad is not None
    assert torch.isfinite(logits_BK.grad).all()


def test_what_is_all_but_sure_keeps_its_digits_and_has_a_gradient() -> None:
    logits_BK = torch.tensor([[12.0, 0.0], [200.0, 0.0]], requires_grad=True)
    losses_B = focal_losses(logits_BK, torch.tensor([0, 0]))
    torch.testing.assert_close(losses_B[0].double(), torch.tensor(-12.0).double().exp() ** 3, rtol=0.05, atol=0)
    losses_B.sum().backward()
    assert logits_BK.grad is not None
    assert torch.isfinite(logits_BK.grad).all()


class Given(torch.nn.Module):
    """A network whose answer is given."""

    def __init__(self, logits_BK: torch.Tensor) -> None:
        super().__init__()
        self.logits_BK = logits_BK

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        return self.logits_BK


@pytest.mark.parametrize(
    ("loss", "reference"),
    [
        ("focal", focal_losses),
        ("cross-entropy", lambda logits_BK, targets_B: F.cross_entropy(logits_BK, targets_B, reduction="none")),
    ],
)
def test_a_mixed_picture_counts_for_both_its_classes_by_their_shares(loss: str, reference: Callable[..., torch.Tensor]):
    logits_BK, targets_B = drawn(8)
    other_B, mix_B = targets_B.flip(0), torch.linspace(0, 1, 8)
    batch = Batch(torch.zeros(8, 3, 4, 4), targets_B, other_B, mix_B)
    step = Classification(("a", "b", "c", "d"), loss=loss).step(Given(logits_BK), batch)
    expected_B = mix_B * reference(logits_BK, targets_B) + (1 - mix_B) * reference(logits_BK, other_B)
    torch.testing.assert_close(step.loss, expected_B.mean())


def test_validation_is_told_in_cross_entropy_whatever_is_trained_with() -> None:
    logits_BK, targets_B = drawn()
    expected = F.cross_entropy(logits_BK, targets_B)
    for loss in CLASS_LOSSES:
        torch.testing.assert_close(Classification(("a", "b", "c", "d"), loss=loss).loss(logits_BK, targets_B), expected)


@pytest.mark.parametrize(
    ("train", "told"),
    [
        ("{loss: dice}", "train.loss must be cross-entropy or focal for a classification. Got 'dice'."),
        ("{class_weights: log}", "train.class_weights must be none or balanced for a classification. Got 'log'."),
        ("{loss: focal, label_smoothing: 0.1}", "train.label_smoothing must be 0 with train.loss: focal"),
        (
            "{focal_gamma: 1}",
            "train.focal_gamma must be left out: it is of train.loss: focal. Got train.loss: cross-ent",
        ),
        ("{tversky_missed: 0.8}", "train.tversky_missed must be left out: it is of train.loss: tversky"),
    ],
)
def test_what_a_classification_cannot_have_is_told_in_a_sentence(train: str, told: str) -> None:
    with pytest.raises(StudyFileError) as caught:
        parse_study(f"train: {train}\ncandidates: {{plain: {{model: cnn}}}}\n")
    assert any(told in problem for problem in caught.value.problems), caught.value.problems


VARIED = """
study: losses
data: {source: shapes, split: {train_items: 120}}
prepare: {size_px: 16, normalize: half}
train: {epochs: 4, batch: 32, precision: fp32, optimizer: {name: adamw, lr: 0.01}}
candidates:
  plain: {model: {name: cnn, widths: [8]}}
  mixed: {extends: plain, augment: [mixup, cutmix], train: {loss: focal, class_weights: balanced}}
ablations: [{of: plain, vary: train.loss, over: [cross-entropy, focal]}]
"""


def test_the_loss_is_an_axis_of_an_ablation(tmp_path: Path) -> None:
    record = Study.from_text(VARIED).run(tmp_path).record
    (group,) = record.ablations
    assert group.candidates == ("plain train.loss=focal",)
    assert {row.candidate for row in record.leaderboard if row.score is not None} == {
        "plain",
        "mixed",
        *group.candidates,
    }
    for ref in record.runs:
        history = (tmp_path / "losses" / "runs" / ref.identity / "history.jsonl").read_text("utf-8").splitlines()
        losses = [json.loads(line)["train_loss"] for line in history]
        assert losses[-1] < losses[0], ref.candidate
