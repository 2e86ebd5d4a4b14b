"""The record of one training, and the line that its history holds for each epoch."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from etude.core.class_names import ClassName
from etude.core.records import Config, Record

MODEL_FILE = "model.safetensors"
"""Where the weights of a finished run lie in its folder."""


class AdversarialLook(Config):
    """What a look at the training of a generator saw, since the look before; its epoch is the number of the look."""

    discriminator_loss: float
    """Mean loss of the discriminator, without penalties."""
    real_logit: float
    """Mean logit of real pictures: what the discriminator takes for real is above 0."""
    fake_logit: float
    """Mean logit of generated pictures."""
    generator_gradient: float
    """Mean length of the generator's gradient."""
    discriminator_gradient: float
    """Mean length of the discriminator's gradient."""
    diversity: float
    """Mean distance of two of the fixed samples over that of two training ones, all made small; 0: all the same. Of a
    conditional generator that within the class in which it is smallest; in records of earlier versions over all."""


class Epoch(Config):
    """One line of `history.jsonl`."""

    epoch: int
    """Number of the epoch, from 1."""
    step: int
    """Optimiser steps made so far."""
    train_loss: float
    """Mean training loss of the epoch, augmentation and regularisation included."""
    train_score: float | None = None
    """The study's metric on the training batches as they went by (augmented), where the task gives one."""
    validation_loss: float | None = None
    """Loss on the validation part."""
    validation_score: float | None = None
    """The study's metric on the validation part, unless `validation_metric` names another."""
    validation_metric: str = ""
    """The metric of `validation_score` where it is not the study's, as that takes too long to be counted each epoch."""
    validation_classes: tuple[float | None, ...] = ()
    """For masks, the IoU of each class on the validation part; none for a class neither there nor predicted."""
    lr: float
    """Learning rate of the last step of the epoch."""
    seconds: float
    """Training time of this epoch in seconds, validation not counted."""
    images_per_s: float
    """Training pictures a second in this epoch."""
    adversarial: AdversarialLook | None = None
    """For generators, what the look at this epoch's end saw; `train_loss` is the generator's."""
    stage: str = ""
    """What of a pretrained network was trained: head, last-N or all; empty where there is one stage."""


class Cost(Config):
    """What a run cost and what its model costs."""

    seconds: float
    """Training time in seconds, validation included, summed over interruptions."""
    seconds_to_best: float
    """Training time in seconds up to the epoch that was kept."""
    features_seconds: float = 0.0
    """Of the training time, what the features of a frozen network took, even where another run had computed them."""
    images_per_s: float
    """Training pictures a second: median over the epochs (validation not counted)."""
    params: int
    """Parameters of the model, trained or not."""
    macs: int
    """Multiply-adds of one forward pass of one picture."""
    memory_mb: float
    """Peak memory in MiB: of the process on a CPU, with all that it held before; of the device on a GPU."""
    own_memory_mb: float | None = None
    """Peak memory in MiB above what was held when the run began; none where the system does not tell (outside of Linux,
    or a container that forbids it), and in records of earlier versions."""
    latency_ms: float | None = None
    """Median time in ms of one picture through the model, batch 1, in this process."""
    latency_q1_ms: float | None = None
    """Time in ms that a quarter of the timed calls stays below; none in records of earlier versions."""
    latency_q3_ms: float | None = None
    """Time in ms that three quarters of the timed calls stay below."""
    size_mb: float
    """Size of `model.safetensors` in MB (10**6 bytes)."""


class RunRecord(Record):
    """One training: what was asked, what happened, what it gave and cost (`run.json`)."""

    FORMAT: ClassVar[int] = 1

    identity: str
    """Hash of the resolved configuration, data and weights: the same identity is the same run."""
    study: str
    """Name of the study that trained it first."""
    candidate: str
    """Name of the candidate in that study."""
    seed: int
    """Seed of initialisation, order and augmentation."""
    fold: int | None = None
    """Fold that was held out as the test part, from 0; none without folds."""
    config: dict[str, Any]
    """The whole resolved configuration, defaults included."""
    classes: tuple[ClassName, ...]
    """Names of the classes, in the order of their ids."""
    device: str
    """The device in words, such as 'cpu: AMD EPYC, 2 threads'."""
    precision: str
    """fp32, bf16 or fp16."""
    versions: dict[str, str]
    """Versions of Python and of the libraries that computed."""
    command: str = ""
    """The command line that started it."""
    started_at: str
    """ISO 8601 date and time, UTC."""
    finished_at: str
    """ISO 8601 date and time, UTC."""
    interruptions: int = 0
    """How many times it was interrupted and resumed."""
    stopped: Literal["complete", "early", "budget"] = "complete"
    """Why training ended: all epochs done, early stopping, or its time budget."""
    best_epoch: int
    """The epoch whose weights were kept, chosen on validation; 0 for a model that is not trained by steps."""
    epochs: int
    """Epochs that were trained."""
    steps: int
    """Optimiser steps that were made."""
    n_train: int
    """Pictures in the training part; of networks over folds, those that any of them was trained on."""
    validation: dict[str, float]
    """Scores on the validation part, by metric."""
    test: dict[str, float]
    """Scores on the test part, opened once at the end, by metric."""
    train: dict[str, float] = {}
    """Scores on the training part without augmentation, by metric: the gap to test tells overfitting."""
    test_classes: dict[ClassName, float | None] = {}
    """For masks, the IoU of each class on the test part; none for a class neither there nor predicted."""
    test_categories: dict[ClassName, float | None] = {}
    """The same of each category of classes, where the classes have some: Cityscapes' construction, nature, vehicle."""
    test_opened_at: str
    """ISO 8601 date and time, UTC, of the one time the test part was read."""
    cost: Cost
    """What it cost."""
    temperature: float | None = None
    """What the logits were divided by, chosen on validation; none where probabilities are the model's own."""
    threshold: float | None = None
    """For a detector, the probability from which it says yes, chosen on validation; none for the likelier class."""
    notes: tuple[str, ...] = ()
    """Sentences that a reader must know (a warning of the model's card, a part that was empty)."""
