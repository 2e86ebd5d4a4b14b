"""Layers in words: what each kind does, why it stands where it stands, what was measured of it."""

from __future__ import annotations

from collections.abc import Sequence

from etude.core.interval import Interval
from etude.explain.records import Kind, LayerRow, LayersRecord, Member, Side
from etude.report.messages import mark
from etude.report.tables import ABSENT, Cell, Column, Table
from etude.report.words import MetricWords, Words

KIND_WORDS: dict[Kind, str] = {
    "convolution": mark("convolution"),
    "depthwise convolution": mark("depthwise convolution"),
    "pointwise convolution": mark("pointwise convolution (1×1)"),
    "patch embedding": mark("cutting into patches"),
    "up-sampling": mark("up-sampling"),
    "resizing": mark("resizing"),
    "dense": mark("dense layer"),
    "head": mark("head"),
    "batch norm": mark("batch normalisation"),
    "layer norm": mark("layer normalisation"),
    "activation": mark("activation"),
    "pooling": mark("pooling"),
    "global pooling": mark("global pooling"),
    "dropout": mark("dropout"),
    "residual": mark("residual sum"),
    "gate": mark("gate"),
    "join": mark("joining"),
    "attention": mark("attention"),
    "scale": mark("scaling"),
    "parameters": mark("free parameters"),
    "other": mark("other layer"),
}

KIND_SENTENCES: dict[Kind, str] = {
    "convolution": mark(
        "Slides small filters over the map: each looks for one pattern, the same everywhere. Few weights see all places, "  # noqa: E501
        "and a thing that moves in the picture moves in the map."
    ),
    "depthwise convolution": mark(
        "Filters each channel on its own: it looks around in space at a fraction of the cost of a full convolution, "
        "and leaves the mixing of channels to a 1×1 convolution beside it."
    ),
    "pointwise convolution": mark(
        "Mixes the channels of each place without looking around: it makes new features of those found, or brings their "  # noqa: E501
        "number down or up at little cost."
    ),
    "patch embedding": mark(
        "Cuts the picture into patches that do not overlap and turns each into one vector, a word of the sentence that "
        "the layers behind it read."
    ),
    "up-sampling": mark("Makes the map larger, until there are numbers for every place of the picture."),
    "resizing": mark(
        "Brings the map to a smaller size by interpolation, so that it fits what it is put together with."
    ),
    "dense": mark(
        "Weighs all numbers of the picture, or of each place by itself, to make each number that it gives; it knows no "
        "neighbourhood."
    ),
    "head": mark("Turns the last features into one number a class, of which the answer is made."),
    "batch norm": mark(
        "Brings each channel to mean 0 and variance 1 over the batch, then to a scale that it learns: training stands "
        "larger learning rates and ends sooner. Once trained it is a plain scaling."
    ),
    "layer norm": mark(
        "Brings the numbers of each picture, or of each place, to mean 0 and variance 1, whatever the batch: the signal "  # noqa: E501
        "keeps its scale through many layers."
    ),
    "activation": mark(
        "The non-linearity: it bends the signal, as layers in a row would else amount to a single one. What is below zero is "  # noqa: E501
        "cut or damped, so each channel says where its pattern is, and nothing elsewhere."
    ),
    "pooling": mark(
        "Keeps one number of each small window: the map gets smaller, what follows sees more of the picture, and small "
        "shifts matter less."
    ),
    "global pooling": mark(
        "Keeps one number a channel, whatever the size of the map: whether a feature is there, no longer where."
    ),
    "dropout": mark(
        "Puts numbers to zero by chance while training, so that no feature is relied on alone; at use it does nothing."
    ),
    "residual": mark(
        "Adds what the block was given to what the block found: the block learns a correction only, and the gradient has "  # noqa: E501
        "a way round it. Deep networks train because of it."
    ),
    "gate": mark("Multiplies each channel by a number between 0 and 1 drawn from the whole map: it turns channels up or down."),  # noqa: E501
    "join": mark("Puts several maps side by side, so that what follows sees them all."),
    "attention": mark(
        "Lets each place look at all others and take from those that concern it; what concerns it is computed from the "
        "picture itself."
    ),
    "scale": mark("Multiplies each channel by a number that it learns; small at first, so that a block starts gently."),
    "parameters": mark("Numbers learnt as they are, such as the vector that says where in the picture a patch lies."),
    "other": mark("A layer of the network's own."),
}  # fmt: skip


def kinds_of(records: Sequence[LayersRecord], words: Words) -> list[tuple[str, str]]:
    """Return the kinds of layers of some networks, in the order of their first one, each with what it does."""
    kinds = dict.fromkeys(row.kind for record in records for row in record.rows)
    return [(words.say(KIND_WORDS[kind]), words.say(KIND_SENTENCES[kind])) for kind in kinds]


PLACE_SENTENCES: dict[Kind, str] = {
    "convolution": mark("looks further around, at the same size ({shape})"),
    "depthwise convolution": mark("looks around in each channel by itself, at the same size ({shape})"),
    "pointwise convolution": mark("mixes the channels of each place, at the same size ({shape})"),
    "patch embedding": mark("turns patches into vectors for {next}"),
    "up-sampling": mark("spreads what {previous} gives over the picture, for {next}"),
    "resizing": mark("brings the map to the size that {next} takes"),
    "dense": mark("mixes the features, as many out as in ({shape})"),
    "batch norm": mark("brings what {previous} gives to one scale, for {next}"),
    "layer norm": mark("brings what {previous} gives to one scale, for {next}"),
    "activation": mark("makes what {previous} gives non-linear, for {next}"),
    "pooling": mark("gathers what lies near, at the same size ({shape})"),
    "dropout": mark("hides part of what {previous} gives while training, so that {next} leans on no single feature"),
    "gate": mark("turns what the block found up or down, before {next}"),
    "join": mark("puts what came by different ways side by side, {shape} in all, for {next}"),
    "attention": mark("lets places exchange what they know, before {next} goes on with each"),
    "scale": mark("weighs what {previous} gives, for {next}"),
    "parameters": mark("is learnt beside the layers: no single one of them holds it"),
    "other": mark("stands between {previous} and {next}"),
}
"""What a layer does where it stands, where its role says no more; heads, residual sums and global poolings have
sentences of their own."""


def tell_place(
    row: LayerRow,
    words: Words,
    previous: LayerRow | None = None,
    following: LayerRow | None = None,
    side: Side = "",
) -> str:
    """Write why a layer stands where it stands: from its role and its shapes, else from the layers beside it.

    Args:
        row: the layer.
        words: the language.
        previous: the layer before it; none where it reads the picture.
        following: the layer behind it; none where it gives the answer.
        side: which network it is of two that are trained against each other.
    """
    before, after = shape_text(row.input_shape), shape_text(row.output_shape)
    places = {"before": before, "after": after}
    if row.kind == "head":
        return words.say_count(
            "gives the score of one class", "gives the scores of {n} classes", row.output_shape[0] if row.output_shape else 0  # noqa: E501
        )  # fmt: skip
    if row.kind == "residual":
        return words.say("closes a block by adding what went round it")
    if row.role == "first" and side == "generator":
        return words.say("first layer: makes a small map, {after}, of the latent vector ({before})", **places)
    if row.role == "first":
        return words.say("first layer: reads the picture itself ({before})", **places)
    if row.role == "halves":
        return words.say("makes the map smaller, from {before} to {after}", **places)
    if row.role == "enlarges":
        return words.say("makes the map larger again, from {before} to {after}", **places)
    if row.role == "widens":
        return words.say("makes room for more features, from {before} to {after}", **places)
    if row.role == "narrows":
        return words.say("condenses the features, from {before} to {after}", **places)
    if row.kind == "global pooling":
        return words.say("goes from {before} to {after}", **places)
    # The layer that is called next need not be the one that takes what this one gives: only of one shape is it named.
    first = words.say("the latent vector") if side == "generator" else words.say("the picture")
    last = {
        "": words.say("the answer"), "generator": words.say("the picture"), "discriminator": words.say("the judgement")
    }[side]  # fmt: skip
    given_by = first if previous is None else previous.name
    taken_by = last if following is None else following.name
    if previous is not None and previous.output_shape != row.input_shape:
        given_by = words.say("the layer before it")
    if following is not None and following.input_shape != row.output_shape:
        taken_by = words.say("what follows")
    return words.say(PLACE_SENTENCES[row.kind], shape=after, previous=given_by, next=taken_by)


def tell_member(member: Member | None, words: Words) -> list[str]:
    """Say that one network is explained of several that answer together; nothing where there is but one."""
    if member is None:
        return []
    told = words.say(
        "Several networks answer together in this candidate; what is shown is of one of them alone, number {number} of {of}.",  # noqa: E501
        number=words.count(member.number),
        of=words.count(member.of),
    )
    return [told]


def _layer_at(record: LayersRecord, place: int) -> LayerRow | None:
    """Return a layer by its place; none where the row holds parameters of no layer, or there is none."""
    row = record.rows[place] if place < len(record.rows) else None
    return None if row is None or row.kind == "parameters" else row


def shape_text(shape: Sequence[int]) -> str:
    r"""Write a shape.

    >>> shape_text((64, 8, 8))
    '64\xa0×\xa08\xa0×\xa08'
    """
    return "\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}".join(str(side) for side in shape)


def receptive_text(row: LayerRow, record: LayersRecord, words: Words) -> str:
    """Write how much of the picture one place of a layer can depend on."""
    if row.receptive_px is None:
        return words.say("whole picture") if row.sees_all else ABSENT
    sides = [words.tick(round(side, 1)) for side in row.receptive_px]
    text = sides[0] if sides[0] == sides[1] else f"{sides[0]} × {sides[1]}"
    covers = all(side >= whole for side, whole in zip(row.receptive_px, record.size_px, strict=True))
    if row.sees_all and not covers:
        return words.say("{size} px, and a gate on the whole", size=text)
    return words.say("{size} px", size=text)


def caption_layers(record: LayersRecord, words: Words) -> str:
    """Say in which order the table of a network's layers is."""
    if record.side == "generator":
        return words.say("Layer by layer, in the order in which a latent vector goes through.")
    return words.say("Layer by layer, in the order in which a picture goes through.")


def tabulate_layers(record: LayersRecord, words: Words) -> Table:
    """Set out a network layer by layer; a column that no layer has a value for is left out."""
    say = words.say
    metric = MetricWords(words, record.metric)

    def share(value: float | None) -> Cell:
        return Cell(ABSENT) if value is None else Cell(words.percent(value), value)

    def fall(value: float | None, interval: Interval | None) -> Cell:
        return Cell(ABSENT) if value is None else Cell(_with_interval(metric.bare(value), interval, metric), value)

    without_hint, shuffled_hint = _fall_hints(metric)
    time_hint, dead_hint = (
        (
            say("measured, a batch of latent vectors"),
            say("share of channels that say the same to every latent vector"),
        )
        if record.side == "generator"
        else (say("measured, a batch of real pictures"), say("share of channels that say the same to every picture"))
    )
    columns = [
        Column(say("layer"), numeric=False),
        Column(say("kind"), numeric=False),
        Column(say("takes")),
        Column(say("gives")),
        Column(say("parameters")),
        Column(say("multiply-adds"), hint=say("one picture")),
        Column(say("receptive field"), hint=say("side of what one place depends on")),
        Column(say("share of time"), hint=time_hint),
        Column(say("dead channels"), hint=dead_hint),
        Column(say("not above zero"), hint=say("share of the numbers that it gives")),
        Column(say("fall without it"), hint=without_hint),
        Column(say("fall shuffled"), hint=shuffled_hint),
        Column(say("here"), numeric=False),
    ]
    rows = [
        (
            Cell(row.name, kind="code"),
            Cell(say(KIND_WORDS[row.kind])),
            Cell(shape_text(row.input_shape) or ABSENT),
            Cell(shape_text(row.output_shape) or ABSENT),
            Cell(words.count(row.params), row.params),
            Cell(words.short(row.macs) if row.macs else "0", row.macs),
            Cell(receptive_text(row, record, words), row.receptive_px[0] if row.receptive_px else None),
            share(row.time_share),
            share(row.dead),
            share(row.sparsity),
            fall(row.fall_bypassed, row.interval_bypassed),
            fall(row.fall_shuffled, row.interval_shuffled),
            Cell(tell_place(row, words, before, _layer_at(record, place + 1), record.side)),
        )
        for place, (before, row) in enumerate(zip((None, *record.rows), record.rows, strict=False))
    ]
    kept = [place for place in range(len(columns)) if any(row[place].text not in (ABSENT, "") for row in rows)]
    return Table(tuple(columns[place] for place in kept), tuple(tuple(row[place] for place in kept) for row in rows))


def _fall_hints(metric: MetricWords) -> tuple[str, str]:
    """Return what the columns of falls measure: points of a score in percent, else the metric's own unit."""
    say = metric.words.say
    if metric.in_percent:
        return (
            say("points of score lost when it is left out, and the 95% interval"),
            say("points of score lost when its weights are shuffled, and the 95% interval"),
        )
    return (
        say("by how much the score gets worse, in its own unit, when it is left out, and the 95% interval"),
        say("by how much the score gets worse, in its own unit, when its weights are shuffled, and the 95% interval"),
    )


def tell_lacking(record: LayersRecord, words: Words) -> list[str]:
    """Say what cannot be shown of a network, and why; empty for one that can be looked into."""
    if record.side == "generator":
        return [
            words.say(
                "What it costs to leave a layer out is not measured: a single picture of a generator has no score, and that "  # noqa: E501
                "of few pictures together is mostly chance."
            ),
            words.say(
                "What a layer sees, why this answer, maps of the data and errors are left out: a generator gives no "
                "answer to a picture."
            ),
        ]
    if any(row.gives_maps for row in record.rows):
        return []
    return [
        words.say(
            "What a layer sees is left out: no layer of {network} gives a map of the picture, so there are no filters, "
            "no feature maps, and no pictures that excite them.",
            network=record.network,
        ),
        words.say(
            "Why this answer is left out: Grad-CAM weighs the maps of a layer, and {network} has none.",
            network=record.network,
        ),
    ]


def _called(record: LayersRecord, words: Words) -> str:
    """Return what a network is called: of two that are trained against each other, which it is too."""
    if record.side == "generator":
        return words.say("{network} (generator)", network=record.network)
    if record.side == "discriminator":
        return words.say("{network} (discriminator)", network=record.network)
    return record.network


def tell_layers(record: LayersRecord, words: Words) -> list[str]:
    """Write what the table comes to, in a few sentences, from the record alone."""
    said = [
        words.say_count(
            "{network} has {n} layer, {params} parameters and {macs} multiply-adds for a picture of {size} px.",
            "{network} has {n} layers, {params} parameters and {macs} multiply-adds for a picture of {size} px.",
            len(record.rows),
            network=_called(record, words),
            params=words.short(record.params),
            macs=words.short(record.macs),
            size=shape_text(record.size_px),
        ),
        *tell_member(record.member, words),
    ]
    if record.member is not None:
        said.append(words.say("It is measured on validation pictures that this one was not trained on."))
    if timed := [row for row in record.rows if row.time_share > 0]:
        slowest = max(timed, key=lambda row: row.time_share)
        said.append(
            words.say("Most time goes to {layer}: {share} of it.", layer=slowest.name, share=words.percent(slowest.time_share))  # noqa: E501
        )  # fmt: skip
    if active := [row for row in record.rows if row.dead is not None]:
        dying = max(active, key=lambda row: row.dead or 0.0)
        if dying.dead:
            share = words.percent(dying.dead)
            said.append(
                words.say("The most dead channels are in {layer}: {share} of them.", layer=dying.name, share=share)
            )
        else:
            said.append(words.say("No activation has a dead channel."))
    if record.side == "discriminator":
        said.append(
            words.say(
                "The weights of a discriminator are not kept once training is over: what its activations do is not told, "  # noqa: E501
                "while shapes, costs and receptive fields are the same with any weights."
            )
        )
    return said + _tell_falls(record, words)


def _tell_falls(record: LayersRecord, words: Words) -> list[str]:
    """Write which layer the score depends on most, and of which no cost is shown."""
    metric = MetricWords(words, record.metric)
    shuffled = sorted(
        (row for row in record.rows if row.fall_shuffled is not None), key=lambda row: row.fall_shuffled or 0
    )
    if not shuffled or record.score is None:
        return []
    values = {"score": metric.score(record.score), "metric": metric.name}
    said = [
        words.say_count(
            "On {n} training picture, as there is no validation part, the score is {score} ({metric}).",
            "On {n} training pictures, as there is no validation part, the score is {score} ({metric}).",
            record.n_pictures,
            **values,
        )
        if record.of_training
        else words.say_count(
            "On {n} picture drawn from validation the score is {score} ({metric}).",
            "On {n} pictures drawn from validation the score is {score} ({metric}).",
            record.n_pictures,
            **values,
        ),
    ]
    if record.n_shuffles > 1:
        said.append(
            words.say_count(
                "The weights of each layer were shuffled {n} time; the 95% intervals are over these pictures and shuffles.",  # noqa: E501
                "The weights of each layer were shuffled {n} times; the 95% intervals are over these pictures and shuffles.",  # noqa: E501
                record.n_shuffles,
            )
        )
    most = shuffled[-1]
    if not _costs(most, metric):
        return [*said, words.say("That shuffling the weights of any one layer costs anything is not shown.")]
    fall = _tell_fall(most, metric)
    said.append(words.say("Shuffling the weights of {layer} costs most: {fall}.", layer=most.name, fall=fall))
    measured = [row for row in shuffled if row.interval_shuffled is not None]
    free = [row for row in measured if not _costs(row, metric)]
    if free:
        names = words.listing(name_few([row.name for row in free], words, most=6))
        said.append(words.say("No cost is shown of shuffling those of {layers}.", layers=names))
    elif len(measured) > 1:
        least = measured[0]
        said.append(
            words.say("Shuffling those of {layer} costs least: {fall}.", layer=least.name, fall=_tell_fall(least, metric))  # noqa: E501
        )  # fmt: skip
    return said


def _costs(row: LayerRow, metric: MetricWords) -> bool:
    """Whether shuffling is shown to cost: the interval lies above zero; without one, of old records, the fall does."""
    least = row.fall_shuffled if row.interval_shuffled is None else row.interval_shuffled.low
    return least is not None and least > 0 and not metric.reads_zero(least)


def _tell_fall(row: LayerRow, metric: MetricWords) -> str:
    return _with_interval(metric.points(row.fall_shuffled or 0.0), row.interval_shuffled, metric)


def _with_interval(told: str, interval: Interval | None, metric: MetricWords) -> str:
    return told if interval is None else f"{told} {metric.interval(interval.low, interval.high)}"


def name_few(names: list[str], words: Words, most: int = 12) -> list[str]:
    """Return names for a sentence; of many the first ones, and how many there are besides."""
    if len(names) <= most:
        return names
    return [*names[: most - 1], words.say_count("{n} other", "{n} others", len(names) - most + 1)]
