"""Every parameter of a training in words: what it is, and what becomes of it when it is turned up."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from etude.data.augment.catalog import AUGMENTATIONS
from etude.report.messages import mark
from etude.report.tables import Cell, Column, Table
from etude.report.words import Words
from etude.train.schedules import WARMUPS

PARAMETER_SENTENCES = {
    "prepare.size_px": mark(
        "Side, in pixels, that every picture is brought to. Larger shows more detail, as far as the pictures have it, and costs time and memory with its square."  # noqa: E501
    ),
    "prepare.fit": mark("How a picture comes to that shape: stretched, cropped, or with a border added."),
    "prepare.crop_to_box": mark("Whether only the annotated box of each picture is kept: less to look at, and nothing around it to learn from."),  # noqa: E501
    "prepare.normalize": mark("What is taken from each colour and what it is divided by, so that numbers are near 0 and of one size."),  # noqa: E501
    "augment.use": mark(
        "Changes drawn anew for each training picture each time it is shown: the network sees more variety than there are pictures."  # noqa: E501
    ),
    "augment.strength": mark("How strongly they change it, 1 being the usual strength."),
    "augment.copies": mark("Augmented copies made once, before training, in place of changes drawn anew: the training part so many times over. 0: changes are drawn anew at each epoch."),  # noqa: E501
    "train.epochs": mark(
        "How often every training picture is shown. Too few, and the network has not learnt; too many, and it learns the pictures by heart."  # noqa: E501
    ),
    "train.steps": mark("How many times the weights are changed, in place of epochs."),
    "train.budget": mark("Time given to one training, in place of epochs: measured once, it becomes a number of steps, the same for every run."),  # noqa: E501
    "train.batch": mark(
        "Pictures looked at before the weights are changed once. Larger is quicker on wide machines and gives a steadier direction; "  # noqa: E501
        "the learning rate goes with it."
    ),
    "train.accumulate": mark("Parts that a batch is cut into, whose gradients are added up before the weights change: more of them take less memory and more time, for the same batch."),  # noqa: E501
    "train.crop_px": mark("Height and width of the window drawn from each picture in training: smaller ones take less time and memory, and show less of what lies around."),  # noqa: E501
    "train.balanced_crops": mark("Share of these windows laid about a pixel of a class drawn evenly among those of the picture: rare classes are seen more often."),  # noqa: E501
    "train.optimizer.name": mark("The rule by which weights follow the gradient."),
    "train.optimizer.lr": mark(
        "Learning rate: how far one step goes. Too small and training crawls; too large and the loss jumps or is lost altogether. "  # noqa: E501
        "It is the parameter to tune first."
    ),
    "train.optimizer.momentum": mark("Share of the last direction that is kept: steps roll on through small bumps."),
    "train.optimizer.nesterov": mark("Whether the gradient is taken a little ahead, where momentum leads."),
    "train.optimizer.weight_decay": mark("How strongly weights are drawn towards zero: simpler functions, less learnt by heart."),  # noqa: E501
    "train.optimizer.bias_lr_scale": mark("Factor on the learning rate of the biases of normalisations: above 1 they move faster than the weights."),  # noqa: E501
    "train.optimizer.head_lr_scale": mark("Factor on the learning rate of the last layer: above 1 it learns faster than what lies before it."),  # noqa: E501
    "train.schedule.name": mark(
        "How the learning rate goes over training: it mostly rises at first, while nothing is settled, and falls at the end, to settle."  # noqa: E501
    ),
    "train.schedule.warmup": mark("Share of the steps in which the learning rate rises. Too short, and the first large steps upset the network; longer, and less is left for learning at the full rate."),  # noqa: E501
    "train.schedule.start": mark("Learning rate of the first step, as a share of the highest."),
    "train.schedule.end": mark("Learning rate after the last step, as a share of the highest: near 0 the weights settle."),  # noqa: E501
    "train.schedule.milestones": mark("Shares of the training after which the learning rate falls."),
    "train.schedule.gamma": mark("What the learning rate is multiplied by there: smaller, it falls deeper."),
    "train.schedule.power": mark("The power of what is left of the steps: at 1 the learning rate falls evenly, smaller it stays high for longer."),  # noqa: E501
    "train.loss": mark("What is made small by training."),
    "train.focal_gamma": mark("The power by which what is answered well weighs less: at 0 it is the cross-entropy, larger it looks at the hard ones alone."),  # noqa: E501
    "train.tversky_missed": mark("What a missed pixel weighs beside a wrongly found one, which weighs the rest to 1: larger, more of small things is found, and more is found wrongly."),  # noqa: E501
    "train.label_smoothing": mark("Share of the target spread over all classes, so that the network is not driven to certainty."),  # noqa: E501
    "train.class_weights": mark("Whether rare classes weigh more in the loss."),
    "train.clip_norm": mark("The longest gradient that is followed; a longer one is shortened."),
    "train.early_stopping": mark("Epochs without a better validation score after which training ends."),
    "train.keep": mark("Which weights are kept: those of the epoch that was best on validation, or the last."),
    "train.average.name": mark("Whether weights are averaged over the last steps, which smooths the end of training."),
    "train.average.decay": mark("Share of the average that is kept at each update: nearer 1 it looks back further and follows more slowly."),  # noqa: E501
    "train.average.every": mark("Steps between two updates of the average."),
    "train.precision": mark("Digits that are computed with: bf16 is faster, fp32 finer."),
    "train.memory_format": mark("How the numbers of a picture lie in memory: it changes the speed, not the result."),
    "train.adversarial.augment": mark("Changes made to all that the discriminator sees, real and generated: with few pictures it cannot learn them by heart."),  # noqa: E501
    "train.adversarial.r1": mark("Weight of the penalty on the discriminator's gradient at real pictures: more of it, and the discriminator is smoother and training steadier."),  # noqa: E501
    "train.adversarial.r1_every": mark("Steps from one such penalty to the next, which counts so many times more: fewer penalties take less time."),  # noqa: E501
    "train.adversarial.redraw": mark("Weight of redrawing real pictures, which keeps the discriminator looking at the whole picture."),  # noqa: E501
    "train.adversarial.look_every": mark("Steps between two looks at the samples, at which training is also saved and checked."),  # noqa: E501
    "train.adversarial.collapse": mark("Training stops where samples differ from each other by less than this share of what training pictures do: the generator draws one picture over and over."),  # noqa: E501
    "finetune.name": mark("What of a pretrained network is trained: its head alone, its last blocks, all, or one after the other."),  # noqa: E501
    "finetune.blocks": mark("How many of the last blocks are trained beside the head: more can adapt better, and forget more."),  # noqa: E501
    "finetune.norm": mark("Whether normalisations keep the statistics of the pretrained weights while training, or follow each batch."),  # noqa: E501
    "finetune.layer_decay": mark("Factor on the learning rate from one block to the one before it: below 1 the first layers, which know the most general things, hardly move."),  # noqa: E501
    "finetune.head_epochs": mark("Epochs that the head alone is trained, over features computed once."),
    "finetune.last_share": mark("Share of the epochs that trains the last blocks; the rest trains all."),
    "finetune.last_lr_scale": mark("Highest learning rate while the last blocks are trained, as a share of the optimiser's."),  # noqa: E501
    "finetune.all_lr_scale": mark("Highest learning rate while all is trained, as a share of the optimiser's: small, so that what the weights know is not lost."),  # noqa: E501
    "combine.tta": mark("Views of a picture over which answers are averaged: more of them may steady the answer, and take as many times longer."),  # noqa: E501
    "combine.windows": mark("Whether a picture is answered whole, or in overlapping windows of the size that was trained on."),  # noqa: E501
    "combine.members": mark("Networks of other seeds that answer together: steadier answers, at the cost of all of them."),  # noqa: E501
    "combine.average": mark("What of these networks is averaged: their probabilities, or their weights, which makes one network of them."),  # noqa: E501
    "combine.folds": mark("Networks that answer together, each trained on all training pictures but one part of so many."),  # noqa: E501
    "combine.last_epochs": mark("Epochs at the end of training whose weights are averaged into one network."),
    "model.name": mark("The network."),
    "model.python": mark("The file and the name of a network of one's own."),
    "model.widths": mark("Channels of each block: more can hold more patterns, and cost more."),
    "model.width": mark("Factor on the channels of every layer, or channels at the picture's own size: wider can hold more patterns, and costs more with its square."),  # noqa: E501
    "model.depth": mark("Layers of the network."),
    "model.convs": mark("Convolutions in each block: more see further around and bend the signal more often."),
    "model.kernel_px": mark("Side of the convolutions' filters: larger ones look further around, and cost more with their square."),  # noqa: E501
    "model.activation": mark("What bends the signal after each layer."),
    "model.pool": mark("How a block halves the map: by the largest or the mean of four places, or by a convolution that steps over every other one."),  # noqa: E501
    "model.dropout": mark("Share of features put to zero by chance in training."),
    "model.block_dropout": mark("Share of channels put to zero by chance after each block in training."),
    "model.head_pool": mark("What becomes of the last map before the answer: its mean, its largest numbers, or all of it."),  # noqa: E501
    "model.head_width": mark("Units of a hidden layer before the answer; 0: none."),
    "model.stem_stride": mark("Whether the first level works at half the picture's resolution already: a quarter of the time, and coarser contours."),  # noqa: E501
    "model.pre_activation": mark("Whether normalisation and activation stand before each convolution in place of after it."),  # noqa: E501
    "model.shortcut": mark("How what goes round a block widens where the block does: by zeros, or by a 1×1 convolution that learns."),  # noqa: E501
    "model.logit_scale": mark("What the last numbers are multiplied by: small, it keeps the first steps of a high learning rate small."),  # noqa: E501
    "model.norm_momentum": mark("Share of the latest batch in the running statistics of the normalisations."),
    "model.bias_epochs": mark("Epochs after which the shifts of the first layer stay as they are, which saves time."),
    "model.head.pool": mark("How the last maps become one vector."),
    "model.head.hidden": mark("Units of a hidden layer in the new head; 0: none."),
    "model.head.dropout": mark("Share of features put to zero by chance before each layer of the new head, in training."),  # noqa: E501
    "model.drop_blocks": mark("Last levels of resolution that are left out, with all of their blocks and what stands behind them: a shorter network is quicker, and knows less that is particular."),  # noqa: E501
    "model.drop_path": mark("Share of residual branches skipped by chance in training."),
    "model.options": mark("What else the network's library was asked for."),
    "model.encoder": mark("The network that reads the picture, before masks are drawn from what it found."),
    "model.latent": mark("Random numbers that a picture is drawn from."),
    "model.most_width": mark("Channels at most, where the map is smallest."),
    "model.conditional": mark("Whether the class that is wanted is given to both networks."),
    "model.spectral_norm": mark("Whether the discriminator's layers are kept from growing: training is steadier."),
    "model.excitation": mark("Whether early maps weigh the channels of late ones."),
    "model.reconstruction": mark("What the discriminator must be able to draw again of a real picture: it keeps it looking at the whole."),  # noqa: E501
    "model.patches": mark("Whether the discriminator judges overlapping parts of a picture, one by one, rather than the whole."),  # noqa: E501
    "model.batch_norm": mark("Whether each convolution is followed by a batch normalisation."),
    "model.weights": mark("Pretrained weights to start from; none, and they are drawn from the seed."),
    "model.checkpoint": mark("File of weights that the whole network starts from."),
    "model.new_head": mark("Whether the last layer is drawn anew where that file's answers other classes."),
    "data.split.validation": mark("Share of the training pictures set apart to choose by."),
}  # fmt: skip
"""By field, what it is and what becomes of it when it is turned up."""

LOSS_SENTENCES = {
    "cross-entropy": mark("Cross-entropy is minus the logarithm of the probability given to the true class, so being wrong and sure costs most."),  # noqa: E501
    "dice": mark("The Dice loss is one minus the Dice coefficient, averaged over the classes: small classes count as much as large ones."),  # noqa: E501
    "tversky": mark("The Tversky loss is that of Dice in which a missed pixel costs more than one that is wrongly found: small things are missed more often than invented."),  # noqa: E501
    "focal": mark("The focal loss is a cross-entropy in which what is answered rightly and surely hardly counts: training turns to what is hard."),  # noqa: E501
    "lovasz": mark("The Lovász loss is a smooth stand-in for one minus the IoU, the measure that masks are judged by."),
    "cross-entropy+dice": mark("The sum of cross-entropy and Dice: the first teaches every pixel from the start, the second keeps small classes from being drowned."),  # noqa: E501
    "non-saturating": mark("The discriminator learns to tell real pictures from generated ones, by cross-entropy; the generator learns to have its own taken for real ones."),  # noqa: E501
    "hinge": mark("The discriminator learns to score real pictures above one and generated ones below minus one, and no further; the generator learns to raise the score of its own."),  # noqa: E501
}  # fmt: skip
"""By loss, what it makes small."""

_START, _AUGMENT = "train.schedule.start", "augment.use"
_OF_GENERATORS = ("non-saturating", "hinge")
_IDLE: dict[str, tuple[str, frozenset[str]]] = {
    "train.optimizer.nesterov": ("train.optimizer.name", frozenset({"adamw"})),
    **dict.fromkeys(
        ("train.schedule.milestones", "train.schedule.gamma"),
        ("train.schedule.name", frozenset({"onecycle", "cosine", "poly", "constant"})),
    ),
    "train.schedule.power": ("train.schedule.name", frozenset({"onecycle", "cosine", "step", "constant"})),
    **dict.fromkeys(
        ("train.average.decay", "train.average.every"), ("train.average.name", frozenset({"none"}))
    ),
    **dict.fromkeys(("train.balanced_crops", "combine.windows"), ("train.crop_px", frozenset({"null"}))),
    "train.focal_gamma": ("train.loss", frozenset(LOSS_SENTENCES) - {"focal"}),
    "train.tversky_missed": ("train.loss", frozenset(LOSS_SENTENCES) - {"tversky"}),
    "train.adversarial": ("train.loss", frozenset(LOSS_SENTENCES) - frozenset(_OF_GENERATORS)),
    "finetune.blocks": ("finetune.name", frozenset({"all", "head"})),
    **dict.fromkeys(
        ("finetune.head_epochs", "finetune.last_share", "finetune.last_lr_scale", "finetune.all_lr_scale"),
        ("finetune.name", frozenset({"all", "head", "last"})),
    ),
    "combine.average": ("combine.members", frozenset({"null"})),
    "model.new_head": ("model.checkpoint", frozenset({"null", ""})),
}  # fmt: skip
"""By field or group of fields, another field and its values with which it does nothing: it is left out then."""


def tabulate_parameters(settings: Mapping[str, str], words: Words) -> Table:
    """Set out the parameters of a training and of its network, each with what it does; idle ones are left out.

    Args:
        settings: a flat configuration (`etude.report.settings.flatten`).
        words: the language.
    """
    say = words.say
    columns = (
        Column(say("parameter"), numeric=False),
        Column(say("value"), numeric=False),
        Column(say("what it does"), numeric=False),
    )
    rows = tuple(
        (Cell(name, kind="code"), Cell(value), Cell(tell_parameter(name, value, words)))
        for name, value in _told_of(settings)
    )
    return Table(columns, rows)


def tabulate_other_parameters(
    reference: Mapping[str, str], candidates: Mapping[str, Mapping[str, str]], words: Words
) -> Table:
    """Set out what other candidates are trained with besides, each parameter once, and each loss; may have no row.

    Args:
        reference: a flat configuration, all of whose parameters are told already.
        candidates: the same of each candidate.
        words: the language.
    """
    say = words.say
    told = {name for name, _ in _told_of(reference)}
    values: dict[tuple[str, str], list[str]] = {}
    for settings in candidates.values():
        for name, value in _told_of(settings):
            is_new = name not in told or (name == "train.loss" and value != reference.get(name))
            if name == _AUGMENT and name in told:  # of a list only what the reference lacks
                value = ", ".join(name_ for name_ in _operations(value) if name_ not in _operations(reference[name]))
                is_new = bool(value)
            if is_new:
                key = (name, value if name == "train.loss" else "")
                values.setdefault(key, []).append(value)
    order = {name: place for place, name in enumerate(PARAMETER_SENTENCES)}
    columns = (
        Column(say("parameter"), numeric=False),
        Column(say("value"), numeric=False),
        Column(say("what it does"), numeric=False),
    )
    rows = tuple(
        (
            Cell(name, kind="code"),
            Cell(_join(dict.fromkeys(values[name, loss]))),
            Cell(tell_parameter(name, loss or ", ".join(values[name, loss]), words)),
        )
        for name, loss in sorted(values, key=lambda key: order.get(key[0], len(order)))
    )
    return Table(columns, rows)


def _join(values: Iterable[str]) -> str:
    """Join values, and set lists apart."""
    texts = list(values)
    return ("; " if any(", " in text for text in texts) else ", ").join(texts)


def _told_of(settings: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the parameters of a configuration that do something, with their values."""
    settings = {**settings, **_warmup(settings)}
    others = [name for name in settings if name.startswith("model.") and name not in PARAMETER_SENTENCES]
    return [
        (name, settings[name])
        for name in (*PARAMETER_SENTENCES, *others)
        if name in settings and settings[name] not in ("null", "", "{}") and not _is_idle(name, settings)
    ]


def _warmup(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the warm-up that a schedule has where the study file does not say; without any, start does nothing."""
    name, field = settings.get("train.schedule.name", ""), "train.schedule.warmup"
    found = settings.get(field, "null")
    if found == "null" and name in WARMUPS:
        found = json.dumps(WARMUPS[name])
    return {field: "null", _START: "null"} if found in ("null", "0", "0.0") else {field: found}


def tell_parameter(name: str, value: str, words: Words) -> str:
    """Say what a parameter is; of the loss, what that very loss makes small."""
    if name == "train.loss" and value in LOSS_SENTENCES:
        return f"{words.say(PARAMETER_SENTENCES[name])} {words.say(LOSS_SENTENCES[value])}"
    if name == _AUGMENT:
        return " ".join([words.say(PARAMETER_SENTENCES[name]), *tell_augmentations(value, words)])
    text = PARAMETER_SENTENCES.get("model.options" if name.startswith("model.options.") else name)
    return words.say(text) if text else words.say("A parameter of this network.")


def tell_augmentations(value: str, words: Words) -> list[str]:
    """Say what each augmentation of a list does, and how far it goes at strength 1.

    Args:
        value: the list as a configuration has it, or names with commas between.
        words: the language.
    """
    cards = [AUGMENTATIONS[name] for name in _operations(value)]
    return [
        words.say(
            "{name}: {what} At strength 1: {range}.",
            name=card.name,
            what=words.messages.get(card.summary),
            range=words.messages.get(card.at_strength_1),
        )
        for card in cards
    ]


def _operations(value: str) -> list[str]:
    """Return the names of augmentations that a text holds, each once."""
    return [name for name in dict.fromkeys(re.findall(r"[a-z]+", value)) if name in AUGMENTATIONS]


def _is_idle(name: str, settings: Mapping[str, str]) -> bool:
    if name == "train.epochs" and settings.get("train.steps", "null") != "null":
        return True
    groups = (field for field in _IDLE if name == field or name.startswith(f"{field}."))
    return any(settings.get(_IDLE[field][0], "null") in _IDLE[field][1] for field in groups)
