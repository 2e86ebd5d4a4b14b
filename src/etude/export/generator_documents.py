"""The texts inside the bundle of a generator: the model card, and the contract for whoever calls the graph alone."""

from __future__ import annotations

from etude.core.bundle_record import BundleRecord
from etude.core.counting import how_many
from etude.export.documents import as_page, closing_parts, score_table
from etude.pictures.prepare import Preparation


def generator_card(record: BundleRecord) -> str:
    """Return the model card: what it makes, what it must not be used for, how near it comes, what it may have kept."""
    prepare = Preparation.read(record.prepare)
    size = f"{prepare.height_px} × {prepare.width_px} px"
    which = ", ".join(record.classes)
    told = "It can be asked for one of its classes." if record.conditional else "It is not told which class is wanted."
    parts = [
        f"# {record.name}",
        f"It makes new pictures of {size} that should look like its training pictures ({which}). {told} Made with "
        f"Étude {record.etude} on {record.created_at[:10]}.",
        "## Intended use",
        f"Pictures to look at, and to study what can be learnt from the pictures of `{record.data.source}`."
        + (f" It was made to answer: {record.origin.question}" if record.origin.question else ""),
        "## Excluded uses",
        _EXCLUDED,
        "## How near it comes",
        score_table(record.scores),
        "KID and FID: lower is better; density, coverage and diversity: higher. Near copies: the share of generated "
        "pictures that lie as near to one training picture, beside the next ones, as 5% of photographs do; fresh "
        "photographs show 0.05 on average.",
        *closing_parts(record, _gate(record), _PERSONAL),
    ]
    return as_page(parts)


_EXCLUDED = """\
- Passing what it makes for photographs. Every file that Étude writes says that it is generated; leave that in.
- Evidence of anything: what a picture shows was never there.
- Training data for a decision that matters, unless a study has shown that it helps."""
_PERSONAL = """\
A generator that learnt from few pictures may give some of them back nearly as they are: look at the near copies above
before pictures of people, or pictures that are not yours, are generated and given away."""


def _gate(record: BundleRecord) -> str:
    gate = record.gate
    largest = (
        "" if gate.largest_difference is None else f"; the largest difference is {255 * gate.largest_difference:.0f}"
    )
    return (
        f"{gate.agreement:.3%} of the levels of {how_many(gate.pictures, 'picture')} of a fixed seed differ by at "
        f"most 1 of 255"
        f"{largest}."
    )


def generator_contract(record: BundleRecord) -> str:
    """Return what goes in and what comes out, with an example in plain onnxruntime."""
    prepare = Preparation.read(record.prepare)
    classes = "\n\n`classes`: int64 (B,); positions in the list of classes (`classes` in `bundle.json`)."
    example = _EXAMPLE.format(
        graph=record.graph, latent=record.latent, classes=', "classes": np.zeros(4, np.int64)' * record.conditional
    )
    return f"""\
# Contract of {record.name}

## Input

`latents`: float32 (B, {record.latent}), drawn from a standard normal distribution, B from 1 on.\
{classes if record.conditional else ""}

## Output

`pictures`: uint8 (B, {prepare.height_px}, {prepare.width_px}, 3), RGB.

## With onnxruntime alone

```python
{example.rstrip()}
```

## With Étude, without PyTorch

```python
from etude import load_generator

pictures = load_generator("{record.name}.bundle")(16, seed=7)
```

`etude generate {record.name}.bundle --count 16 --seed 7 --to folder` writes files that say that they are generated. The
vectors of a seed are the same on every machine: half of them r·cos(a), then half r·sin(a), with r² = -2 ln(u) and
a = 2πv, where u and v are 53 bits each of Philox4x64; its key is made of the seed, its counter of the picture's number.
`bundle.json` has the SHA-256 of every file. `reference.npz` holds the first `pictures` of seed 0, and their vectors as
`answers`.
"""


_EXAMPLE = """\
import zipfile
import numpy as np, onnxruntime as ort
from PIL import Image

with zipfile.ZipFile("the.bundle") as bundle:
    graph = bundle.read("{graph}")
session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
latents = np.random.default_rng(7).standard_normal((4, {latent})).astype(np.float32)
pictures = session.run(None, {{"latents": latents{classes}}})[0]
for number, picture in enumerate(pictures):
    Image.fromarray(picture).save(f"generated-{{number}}.png")
"""
