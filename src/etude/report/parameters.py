"""Every parameter of a training in words: what it is, and what becomes of it when it is turned up."""

from __future__ import annotations

from collections.abc import Mapping

from etude.report.messages import mark
from etude.report.tables import Cell, Column, Table
from etude.report.words import Words

PARAMETER_SENTENCES = {
    "prepare.size_px": mark(
        "Side, in pixels, that every picture is brought to. Larger shows more detail, and costs time and memory with its square."  # noqa: E501
    ),
    "prepare.fit": mark("How a picture comes to that shape: stretched, cropped, or with a border added."),
    "prepare.normalize": mark("What is taken from each colour and what it is divided by, so that numbers are near 0 and of one size."),  # noqa: E501
    "augment.use": mark(
        "Changes drawn anew for each training picture each time it is shown: the network sees more variety than there are pictures."  # noqa: E501
    ),
    "augment.strength": mark("How strongly they change it, 1 being the usual strength."),
    "train.epochs": mark(
        "How often every training picture is shown. Too few, and the network has not learnt; too many, and it learns the pictures by heart."  # noqa: E501
    ),
    "train.steps": mark("How many times the weights are changed, in place of epochs."),
    "train.batch": mark(
        "Pictures looked at before the weights are changed once. Larger is quicker on wide machines and gives a steadier direction; "  # noqa: E501
        "the learning rate goes with it."
    ),
    "train.optimizer.name": mark("The rule by which weights follow the gradient."),
    "train.optimizer.lr": mark(
        "Learning rate: how far one step goes. Too small and training crawls; too large and the loss jumps or is lost altogether. "  # noqa: E501
        "It is the parameter to tune first."
    ),
    "train.optimizer.momentum": mark("Share of the last direction that is kept: steps roll on through small bumps."),
    "train.optimizer.nesterov": mark("Whether the gradient is taken a little ahead, where momentum leads."),
    "train.optimizer.weight_decay": mark("How strongly weights are drawn towards zero: simpler functions, less learnt by heart."),  # noqa: E501
    "train.schedule.name": mark(
        "How the learning rate goes over training: it mostly rises at first, while nothing is settled, and falls at the end, to settle."  # noqa: E501
    ),
    "train.loss": mark(
        "What is made small: cross-entropy is minus the logarithm of the probability given to the true class, so being wrong and sure costs most; "  # noqa: E501
        "the focal loss counts what is answered well already for little, so that hard pictures and rare classes are not drowned."  # noqa: E501
    ),
    "train.label_smoothing": mark("Share of the target spread over all classes, so that the network is not driven to certainty."),  # noqa: E501
    "train.class_weights": mark("Whether rare classes weigh more in the loss."),
    "train.clip_norm": mark("The longest gradient that is followed; a longer one is shortened."),
    "train.early_stopping": mark("Epochs without a better validation score after which training ends."),
    "train.keep": mark("Which weights are kept: those of the epoch that was best on validation, or the last."),
    "train.average.name": mark("Whether weights are averaged over the last steps, which smooths the end of training."),
    "train.precision": mark("Digits that are computed with: bf16 is faster, fp32 finer."),
    "finetune.name": mark("What of a pretrained network is trained: its head alone, its last blocks, all, or one after the other."),  # noqa: E501
    "finetune.norm": mark("Whether normalisations keep the statistics of the pretrained weights while training, or follow each batch."),  # noqa: E501
    "model.name": mark("The network."),
    "model.widths": mark("Channels of each block: more can hold more patterns, and cost more."),
    "model.depth": mark("Layers of the network."),
    "model.dropout": mark("Share of features put to zero by chance in training."),
    "model.batch_norm": mark("Whether each convolution is followed by a batch normalisation."),
    "model.weights": mark("Pretrained weights to start from; none, and they are drawn from the seed."),
    "data.split.validation": mark("Share of the training pictures set apart to choose by."),
}  # fmt: skip


def tabulate_parameters(settings: Mapping[str, str], words: Words) -> Table:
    """Set out those parameters of a configuration that there is something to say of."""
    say = words.say
    columns = (
        Column(say("parameter"), numeric=False),
        Column(say("value"), numeric=False),
        Column(say("what it does"), numeric=False),
    )
    rows = tuple(
        (Cell(name, kind="code"), Cell(settings[name]), Cell(say(text)))
        for name, text in PARAMETER_SENTENCES.items()
        if name in settings and settings[name] not in ("null", "")
    )
    return Table(columns, rows)
