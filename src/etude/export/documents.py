"""The texts inside a bundle: the model card, and the contract for whoever calls the graph without Étude."""

from __future__ import annotations

from etude.core.bundle_record import BundleRecord, Score, Speed
from etude.core.counting import how_many
from etude.pictures.prepare import Preparation


def model_card(record: BundleRecord) -> str:
    """Return the model card: what it is for, what it is not for, where it comes from, how good it is."""
    parts = [
        f"# {record.name}",
        f"{_what(record)} Made with Étude {record.etude} on {record.created_at[:10]}.",
        "## Intended use",
        _intended(record),
        "## Excluded uses",
        _EXCLUDED,
        "## Classes",
        ", ".join(f"{index} {name}" for index, name in enumerate(record.classes)),
        "## How good it is",
        score_table(record.scores),
        _scored_by(record),
        _own_masks(record),
        _decisions(record),
        *closing_parts(record, _gate(record), _PERSONAL),
    ]
    return as_page(parts)


_EXCLUDED = """\
- Pictures of another kind than the training pictures: the model names one of its classes whatever it is shown.
- Decisions about people, and any decision that nobody looks over where an error does harm.
- Safety: nothing here was tested against pictures that were made to deceive it."""
_PERSONAL = """\
A bundle holds weights, names and numbers, and no picture of the training data: its reference pictures are drawn by a
formula. What a network of this size keeps of single pictures was not measured. The predictor and the server keep no
picture; the indexer keeps paths, sizes and answers in its library, which tells about people where the pictures do."""


def closing_parts(record: BundleRecord, agreement: str, personal: str) -> list[str]:
    """Return what every card ends with: agreement, speed, data, personal data, origin."""
    return [
        "## Agreement with the network that was trained",
        agreement,
        "## Speed",
        speed_table(record.speeds) or "Not measured.",
        _measured_on(record),
        "## Training data",
        _data_lines(record),
        "## Personal data",
        personal,
        "## Origin and licences",
        *_origin_lines(record),
    ]


def _measured_on(record: BundleRecord) -> str:
    if not record.speeds:
        return ""
    has_torch = any(speed.name == "pytorch" and speed.memory_mb is not None for speed in record.speeds)
    itself = ", of `pytorch` with PyTorch itself and all that it reads a network with" if has_torch else ""
    return f"Measured on: {record.machine}. Memory is that of one picture at a time{itself}."


def as_page(parts: list[str]) -> str:
    """Return the parts of a card as Markdown, those that are empty left out."""
    return "\n\n".join(part for part in parts if part).replace("\n\n- ", "\n- ") + "\n"


def _origin_lines(record: BundleRecord) -> list[str]:
    """Return where the model comes from and under which terms, as items of a list."""
    origin, data = record.origin, record.data
    return [
        f"- Study `{origin.study}`, candidate `{origin.candidate}`, run `{origin.run}`, trained {origin.trained_at}.",
        f"- {origin.chosen}" if origin.chosen else "",
        f"- Question: {origin.question}" if origin.question else "",
        f"- Network: {origin.network}. {origin.paper}".rstrip(),
        f"- Licence of the network's code: {origin.licence_code or 'not known'}.",
        f"- Pretrained weights: {origin.pretrained or 'none, training started from drawn weights'}.",
        f"- Licence of the pretrained weights: {origin.licence_weights or 'not known'}." if origin.pretrained else "",
        f"- Terms of the training pictures: {data.licence or 'not stated by the source'}.",
    ]


def _what(record: BundleRecord) -> str:
    if record.task == "segmentation":
        return f"It gives each pixel of a picture one of {how_many(len(record.classes), 'class', 'classes')}."
    if record.threshold is not None:
        return f"It tells {record.classes[1]} from {record.classes[0]}."
    return f"It gives a picture one of {how_many(len(record.classes), 'class', 'classes')}."


def _intended(record: BundleRecord) -> str:
    question = f" It was made to answer: {record.origin.question}" if record.origin.question else ""
    return f"Pictures like those of `{record.data.source}`, on which it was trained and scored.{question}"


def score_table(scores: tuple[Score, ...]) -> str:
    """Return the scores as a Markdown table."""
    lines = ["| part | metric | score | 95 % over pictures |", "|---|---|---|---|"]
    for score in scores:
        interval = f"{score.interval.low:.4f} – {score.interval.high:.4f}" if score.interval else ""
        lines.append(f"| {score.part} | {score.metric} | {score.value:.4f} | {interval} |")
    return "\n".join(lines) if scores else "No score was recorded."


def _scored_by(record: BundleRecord) -> str:
    """Say whose scores these are: the bundle's own on validation, the study's on test."""
    if not record.scores:
        return ""
    bits = 8 if record.kind == "int8" else 32
    if record.task == "segmentation":
        text = f"These are the study's{_in_precision(record)}."
    else:
        text = (
            f"Those on validation are of the answers of this bundle, with {bits} bits. Those on test are of the "
            f"answers that the study recorded{_in_precision(record)}{_tempered(record)}."
        )
        if Preparation.read(record.prepare).crop_to_box:
            text += (
                " The study cut each picture to its annotated box, and so are those on test. Those on validation, and "
                "what counts as unsure or unfamiliar, are of whole pictures, as callers send them."
            )
    if (same := record.gate.recorded) is not None:
        text += f" On validation {same:.1%} of the bundle's decisions are those that the study recorded."
    if record.kind == "int8":
        text += " What 8 bits lose is told under *Agreement with the network that was trained*."
    return text


def _tempered(record: BundleRecord) -> str:
    """Say at which temperature the study's own answers were scored: that of 32 bits, which are nearer to its own."""
    if record.temperature is None:
        return ""
    if (further := _further(record)) is not None:
        return f" at the temperature of the graph with 32 bits, {record.temperature / further:.4f}"
    return " at the temperature of this bundle"


def _further(record: BundleRecord) -> float | None:
    """Return what the temperature of 32 bits was multiplied by; none where it is that of the bundle."""
    return None if record.quantisation is None else record.quantisation.further


def _in_precision(record: BundleRecord) -> str:
    words = {"fp32": "32 bits", "bf16": "16 bits (bfloat16)", "fp16": "16 bits (float16)"}
    known = words.get(record.origin.precision)
    return f", which computed with {known}" if known else ""


def _own_masks(record: BundleRecord) -> str:
    """Say what the bundle's own masks score, where the scores above them are of logits that it does not give."""
    if record.own_miou is None:
        return ""
    interval = record.own_miou_interval
    between = f" [{interval.low:.4f}, {interval.high:.4f}]" if interval is not None else ""
    return (
        f"At the size of the labels, the masks of this bundle score a mIoU of {record.own_miou:.4f}{between} on "
        f"validation. The "
        f"scores above are the study's, which enlarged logits before it took the likeliest class; the bundle enlarges "
        f"the classes themselves, each pixel taking the nearest."
    )


def _decisions(record: BundleRecord) -> str:
    told = []
    if record.threshold is not None:
        rule = "one half, as no other was chosen" if record.threshold == 0.5 else "chosen on validation"
        told.append(f"It says yes from a probability of {record.threshold:.4f} on, {rule}.")
    if record.temperature is not None:
        fitted = "fitted on validation" + (" to the answers with 8 bits" if _further(record) is not None else "")
        told.append(f"Its logits are divided by {record.temperature:.4f} (temperature, {fitted}).")
    if (sure := record.certainty) is not None:
        right = "" if sure.sure_accuracy is None else f", and {sure.sure_accuracy:.1%} of those are right"
        told.append(
            f"Answers below a probability of {sure.unsure_below:.4f} count as unsure: on "
            f"{how_many(record.gate.pictures, 'validation picture')} {sure.sure_share:.1%} of the answers are "
            f"sure{right}."
        )
    if (known := record.familiarity) is not None:
        told.append(
            f"A picture with a familiarity below {known.unfamiliar_below:.4f} counts as unlike those of the training, "
            f"and its answer as unsure: {1 - known.familiar_share:.1%} of the validation pictures are. Familiarity is "
            f"the cosine of the picture's features with the nearest class, whose mean is that of training pictures "
            f"({known.pictures} in all). Some pictures that show none of the classes pass all the same."
        )
    return " ".join(told)


def _gate(record: BundleRecord) -> str:
    gate = record.gate
    moved = f", mIoU moved by {gate.score_moved:+.4f}" if gate.score_moved is not None else ""
    largest = f", largest difference of a probability {gate.largest_difference:.2g}" if gate.largest_difference else ""
    text = f"{gate.agreement:.3%} equal decisions on {how_many(gate.pictures, 'validation picture')}{moved}{largest}."
    logits = _logits_moved(record)
    if (lost := record.quantisation) is None:
        return f"{text}{logits}"
    same = "" if lost.agreement is None else f"{lost.agreement:.3%} of the decisions are those with 32; "
    told = same + "; ".join(
        f"the {entry.metric} goes from {entry.score_fp32:.4f} to {entry.score_int8:.4f}, a loss of {entry.loss:.2f} "
        f"points [{entry.interval.low:.2f}, {entry.interval.high:.2f}]"
        for entry in lost.losses
    )
    return (
        f"With 32 bits: {text}\n\nWith 8 bits, on {how_many(lost.pictures, 'validation picture')}, {told}. "
        f"Ranges were taken from {how_many(lost.calibration_pictures, 'training picture')}.{logits}"
    )


def _logits_moved(record: BundleRecord) -> str:
    """Say how near the logits of the graph are to those of the network, where it gives them."""
    if (logits := record.logits) is None:
        return ""
    text = (
        f"\n\nOn {how_many(logits.pictures, 'validation picture')}, the logits of the graph with 32 bits differ from "
        f"those of the network by at most {logits.moved.largest:.2g}; the largest is {logits.size:.3g}."
    )
    if (moved := logits.moved_int8) is not None:
        text += (
            f" Those with 8 bits, from which this bundle takes its answers, differ from those with 32 by "
            f"{moved.typical:.2g} (root mean square) and by at most {moved.largest:.2g}."
        )
    return text


def speed_table(speeds: tuple[Speed, ...]) -> str:
    """Return the variants as a Markdown table; empty where none was measured."""
    if not speeds:
        return ""
    lines = [
        "| variant | p50 ms | p95 ms | p99 ms | pictures/s | MB | memory MiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for speed in speeds:
        memory = "" if speed.memory_mb is None else f"{speed.memory_mb:.0f}"
        lines.append(
            f"| {speed.name} | {speed.p50_ms:.2f} | {speed.p95_ms:.2f} | {speed.p99_ms:.2f} | "
            f"{speed.images_per_s:.0f} | {speed.size_mb:.2f} | {memory} |"
        )
    return "\n".join(lines)


def _data_lines(record: BundleRecord) -> str:
    """Return what the model was trained on."""
    data = record.data
    lines = [f"`{data.source}`, fingerprint `{data.fingerprint}`. In the split of this run:"]
    for part, counts in data.counts.items():
        told = ", ".join(f"{name} {count}" for name, count in counts.items() if name)
        lines.append(f"- {part}: {how_many(sum(counts.values()), 'picture')}{f' ({told})' if told else ''}")
    return "\n".join([*lines, *(f"- {note}" for note in data.notes)])


def _boxes(prepare: Preparation) -> str:
    """Say what training did that a caller cannot ask for."""
    if not prepare.crop_to_box:
        return ""
    return " Training cut pictures to annotated boxes; a bundle is given none, so cut a picture first where you can."


def contract(record: BundleRecord) -> str:
    """Return what goes in and what comes out, with an example in plain onnxruntime."""
    prepare = Preparation.read(record.prepare)
    height, width = prepare.height_px, prepare.width_px
    fit = {
        "stretch": "scaled to that size, whatever its proportions",
        "crop": "cut to its centre in the proportions of that size, then scaled",
        "letterbox": "scaled to fit inside that size, centred on a border of grey (128, 128, 128)",
    }[prepare.fit]
    out = {
        "classification": f"`probabilities`: float32 (B, {len(record.classes)}); each row sums to 1.{_beside(record)}",
        "segmentation": f"`ids`: uint8 (B, {height}, {width}); positions in the list of classes.",
    }[record.task] + _logits(record)
    return f"""\
# Contract of {record.name}

## Input

`{record.input}`: uint8 (B, {height}, {width}, 3), RGB, channels last, B from 1 on. Nothing else is done to the
levels: the normalisation is inside the graph.

A picture is turned upright as its EXIF says, transparency is laid over white, it is {fit}, with anti-aliased bilinear
interpolation (Pillow's).{
        _boxes(prepare)
    } `etude.load` does this with the code that training used. The example below does the same;
only pictures much larger than that size, which Étude scales down in two steps, may differ by a few levels.

## Output

{out}

The classes, in the order of their ids, are in `bundle.json` (`classes`){_more(record)}

## With onnxruntime alone

```python
{_example(record, prepare)}
```

## With Étude, without PyTorch

```python
from etude import load

answer = load("{record.name}.bundle")("picture.jpg")
{
        "print(answer.label, answer.probability, answer.top(3))"
        if record.task == "classification"
        else "print(answer.mask.shape, answer.areas)"
    }{_ask_logits(record)}
```

`bundle.json` has the SHA-256 of every file. `reference.npz` holds `pictures` and `answers`{
        _kept(record)
    }: `etude predict --self-test`
asks the graph again and compares.
"""


def _beside(record: BundleRecord) -> str:
    if record.familiarity is None:
        return ""
    return (
        "\n\n`familiarity`: float32 (B,), from -1 to 1: how like the training pictures a picture is. Below "
        f"{record.familiarity.unfamiliar_below:.6f} (`familiarity.unfamiliar_below`) it may show none of the classes."
    )


def _logits(record: BundleRecord) -> str:
    """Say what the output of logits is, where there is one."""
    if (logits := record.logits) is None:
        return ""
    is_mask, moved = record.task == "segmentation", logits.moved_int8
    shape, axes = ", ".join(map(str, logits.shape)), "picture, class, row, column" if is_mask else "picture, class"
    kind = "raw, before any softmax"
    if logits.views != "none":
        kind = f"the logarithms of mean probabilities over views ({logits.views}), all of which the graph asks for"
    likely = "Their softmax over the classes gives probabilities, to which no temperature was fitted."
    if record.temperature is not None:
        likely = f"`softmax(logits / {record.temperature:.6f})` (`temperature`) is `probabilities`."
    far = "" if moved is None else _OF_8_BITS.format(moved=moved.typical, size=logits.size)
    return (
        f"\n\n`logits`: float32 (B, {shape}): {axes}, the classes in the order of their ids; {kind}. "
        f"{_LARGEST if is_mask else ''}{likely}{far} Where they are not needed, ask `session.run` for "
        f"`{record.output}` alone."
    )


_OF_8_BITS = """
With 8 bits they lie {moved:.2g} (root mean square) from those with 32, the largest of which is {size:.3g}."""
_LARGEST = """\
The id of a pixel is the class of its largest logit, of equal ones the first. For a mask of another size, enlarge the
logits bilinearly and take the largest there: the study scores masks so, and contours are smooth where enlarged ids
have steps.
"""


def _kept(record: BundleRecord) -> str:
    if record.logits is None:
        return ""
    return ", and `logits`" + (" of some rows and columns" if record.task == "segmentation" else "")


def _ask_logits(record: BundleRecord) -> str:
    if record.logits is None:
        return ""
    return f'\nprint(load("{record.name}.bundle").logits("picture.jpg").shape)  # {record.logits.shape}'


def _more(record: BundleRecord) -> str:
    if record.task == "segmentation":
        return ", their colours too (`palette`)."
    if record.threshold is not None:
        return f". The answer is {record.classes[1]} from a probability of {record.threshold:.6f} on (`threshold`)."
    return "."


def _example(record: BundleRecord, prepare: Preparation) -> str:
    """Return a program that prepares, asks and decides as this bundle's predictor does, in plain onnxruntime."""
    values = {"graph": record.graph, "width": prepare.width_px, "height": prepare.height_px}
    is_detector = record.threshold is not None
    chosen = 'int(float(probabilities[1]) >= record["threshold"])' if is_detector else "int(probabilities.argmax())"
    asked = (_ASK if record.logits is None else _ASK_WITH_LOGITS).format(output=record.output)
    answer = asked + (_NAME_CLASS.format(chosen=chosen) if record.task == "classification" else _DRAW_MASK)
    if record.logits is not None:
        answer += _USE_LOGITS[record.task]
    return f"{_OPEN.format(**values)}{_FITS[prepare.fit].format(**values)}{answer}".rstrip()


_OPEN = """\
import json, zipfile
import numpy as np, onnxruntime as ort
from PIL import Image, ImageOps

with zipfile.ZipFile("the.bundle") as bundle:
    record, graph = json.loads(bundle.read("bundle.json")), bundle.read("{graph}")
session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
picture = ImageOps.exif_transpose(Image.open("picture.jpg")).convert("RGBA")
picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
"""
_FITS = {
    "stretch": """\
picture = picture.resize(({width}, {height}), Image.Resampling.BILINEAR)
""",
    "crop": """\
picture = ImageOps.fit(picture, ({width}, {height}), Image.Resampling.BILINEAR)
""",
    "letterbox": """\
scale = min({width} / picture.width, {height} / picture.height)
inner = picture.resize([max(1, round(side * scale)) for side in picture.size], Image.Resampling.BILINEAR)
picture = Image.new("RGB", ({width}, {height}), (128, 128, 128))
picture.paste(inner, (({width} - inner.width) // 2, ({height} - inner.height) // 2))
""",
}
"""From the upright picture in RGB to the size of the model: what `etude.pictures.prepare` does."""
_ASK = """\
{output} = session.run(None, {{record["input"]: np.asarray(picture)[None]}})[0][0]
"""
_ASK_WITH_LOGITS = """\
told = session.run(["{output}", "logits"], {{record["input"]: np.asarray(picture)[None]}})
{output}, logits = told[0][0], told[1][0]
"""
_NAME_CLASS = """\
answer = {chosen}
print(record["classes"][answer], float(probabilities[answer]))
"""
_DRAW_MASK = """\
Image.fromarray(np.array(record["palette"], np.uint8)[ids]).save("mask.png")  # at the size of the model
"""
_USE_LOGITS = {
    "classification": """\
print(dict(zip(record["classes"], logits.tolist())))
""",
    "segmentation": """\
shares = np.exp(logits - np.logaddexp.reduce(logits, 0))  # (K, H, W): the probability of each class at each pixel
print(logits.shape, float(shares.max(0).mean()))
""",
}
"""What is done with the logits where the graph gives them: told, or made probabilities to threshold."""
