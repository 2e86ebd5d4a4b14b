"""Texts of studies to start from: the commented starter, and the ladder over a folder of pictures."""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from etude.core.errors import EtudeError, MistakeError
from etude.core.registry import unknown

if TYPE_CHECKING:
    from etude.data.source import Source

_STARTER = """\
# A study: a question, pictures, candidates, and the protocol that compares them.
# Every field has a default; `etude schema` prints them all for your editor. Run it with: etude run {name}.yaml
study: {name}
question:
  en: Which of these models is best, and by how much?
  fr: Lequel de ces modèles est le meilleur, et de combien ?

task: classification          # for others: etude new NAME --task segmentation, or generation

data:
  source: {source}          # a folder with a folder per class, a Parquet or CSV file, or: shapes, cifar10, cifar100
  split: {{kind: auto, validation: 0.1, test: 0.2, seed: 0}}   # auto official random group blocks kfold …
  unreadable: stop            # stop | skip: what to do when a picture cannot be read
  # positive: elephant        # one class against the rest: a detector

prepare: {{size_px: {size_px}, fit: stretch, normalize: imagenet}}   # fit: stretch | crop | letterbox

train:                        # for all candidates; each may have its own
  epochs: {epochs}
  batch: {batch}
  optimizer: {{name: adamw, lr: 0.002, weight_decay: 0.02}}   # sgd | adamw | muon
  schedule: onecycle          # onecycle | cosine | poly | step | constant
  label_smoothing: 0.0
  # early_stopping: 5         # epochs without gain on validation
  # average: ema              # none | ema | lookahead

baseline: cnn                 # the others are compared with it
candidates:
  majority: {{model: majority}}                        # always the commonest class: what any model must beat
  mlp: {{model: mlp}}
  cnn: {{model: {{name: cnn, widths: [32, 64, 128], dropout: 0.1}}}}
  cnn-augmented: {{extends: cnn, augment: [flip, shift]}}   # flip shift rotate scale perspective color blur noise …
  resnet: {{model: {{name: resnet, depth: 20}}, augment: [flip, shift]}}
  # mine: {{model: {{python: nets.py:Net}}}}             # a network of your own
  # transfer: {{model: {{name: mobilenetv2_100, weights: imagenet}}}}   # any timm name

# ablations:                  # one field varied, all else the same; docs/studies.md explains it
#   - {{of: cnn, vary: augment.use, over: [flip, shift, cutout], combine: [each, all]}}

protocol:
  seeds: 3                    # each candidate is trained once a seed, on the same split; or: auto
  metric: accuracy            # accuracy | balanced_accuracy | f1_macro | log_loss …
  also: [f1_macro]
  # budget: 60min             # no further run starts once it is spent

report: {{formats: [note], languages: [en, fr]}}
"""

_STARTER_OF_MASKS = """\
# A study of masks: which network says best of each pixel what it shows? Run it with: etude run {name}.yaml
# Every field has a default; `etude schema` prints them all for your editor. docs/segmentation.md explains them.
study: {name}
question:
  en: Which network segments these pictures best, and by how much?
  fr: Quel réseau segmente le mieux ces images, et de combien ?

task: segmentation

data:
  source: {source}          # a folder of pictures and masks, Cityscapes, CamVid, or: streets
  split: {{kind: auto, validation: 0.1, test: 0.2, seed: 0}}   # auto official random group blocks kfold …
  unreadable: stop            # stop | skip: what to do when a picture or a mask cannot be read

prepare: {{size_px: [192, 256], normalize: imagenet}}   # height and width

train:                        # for all candidates; each may have its own
  budget: 10min               # of each run; or epochs: 40
  batch: 8
  optimizer: {{name: adamw, lr: 0.002, weight_decay: 0.01}}
  schedule: cosine
  # loss: cross-entropy       # cross-entropy | dice | tversky | focal | lovasz …
  # class_weights: log        # where some classes cover few pixels

augment: [flip, scale, color]
baseline: unet-mini           # the others are compared with it
candidates:
  majority: {{model: majority, augment: none, train: {{epochs: 0, budget: null}}}}   # what any network must beat
  unet-mini: {{model: unet-mini}}
  fast-scnn: {{model: fast-scnn}}
  # mobile: {{model: {{name: smp-unet, encoder: mobilenetv2_100, weights: imagenet}}}}

protocol:
  seeds: 3
  metric: miou                # miou | dice | boundary_f1 …
  also: [pixel_accuracy]

report: {{formats: [note], languages: [en, fr]}}
"""

_STARTER_OF_GENERATORS = """\
# A study of generators: how near to these pictures do they come? Run it with: etude run {name}.yaml
# Every field has a default; `etude schema` prints them all for your editor. docs/generation.md explains them.
study: {name}
question:
  en: What pictures like these can be generated, and by which model?
  fr: Quelles images semblables peut-on générer, et avec quel modèle ?

task: generation

data:
  source: {source}          # a folder of pictures, or with a folder per class
  # classes: [lion]           # some of its classes
  split: {{kind: kfold, folds: 3, validation: 0, seed: 0}}   # each third is held out once, to compare with

prepare: {{size_px: 64, fit: crop, normalize: half}}   # 8, 16, 32 … 512; 64 takes minutes on a CPU, 256 a GPU

augment: [flip]
train:                        # for all candidates; each may have its own
  budget: 20min               # of each run, on an idle machine
  batch: 8
  # adversarial: {{look_every: 250, collapse: 0.1}}

baseline: dcgan               # the others are compared with it
candidates:
  dcgan: {{model: dcgan, train: {{loss: non-saturating, average: none}}}}
  fastgan:
    model: {{name: fastgan, width: 16}}
    train: {{average: {{name: ema, decay: 0.999}}, adversarial: {{augment: [color, translation, cutout]}}}}
  # conditional: {{model: {{name: fastgan, width: 16, conditional: true}}}}   # can be asked for one of several classes

protocol:
  seeds: 1
  metric: kid                 # a distance from held-out photographs: the lower, the nearer
  generation: {{pictures: 1000}}

report: {{formats: [note], languages: [en, fr]}}
"""

_STARTERS: Final = {"classification": _STARTER, "segmentation": _STARTER_OF_MASKS, "generation": _STARTER_OF_GENERATORS}

_FOLDER = """\
# Written by `etude run {path}`: a ladder of models over a folder of pictures.
study: {name}
question:
  en: How well can these pictures be told apart, and by which model?
  fr: Quel modèle distingue le mieux ces images, et jusqu'à quel point ?
data: {{source: {source}}}
prepare: {{size_px: {size_px}, fit: crop}}
train: {{epochs: {epochs}, batch: {batch}, optimizer: {{name: adamw, lr: 0.002, weight_decay: 0.02}}}}
baseline: cnn
candidates:
  majority: {{model: majority}}
  mlp: {{model: mlp}}
  cnn: {{model: cnn}}
  cnn-augmented: {{extends: cnn, augment: [flip, shift]}}
  resnet: {{model: {{name: resnet, depth: 20}}, augment: [flip, shift]}}
protocol: {{seeds: 1, metric: accuracy, also: [f1_macro]}}
"""


def starter_text(name: str, source: str = "", task: str = "classification") -> str:
    """Return a commented study file; where the source is a folder of classes, size and length fit what is there.

    Raises:
        MistakeError: if there is no such task.
    """
    if task not in _STARTERS:
        raise MistakeError(unknown("new: --task", task, _STARTERS))
    fitting: dict[str, int] = {"size_px": 32, "epochs": 20, "batch": 128}
    if task == "classification" and source and Path(source).is_dir():
        with contextlib.suppress(EtudeError):  # the study itself says what is wrong with the folder
            fitting = _fit(Path(source))
    usual = "streets" if task == "segmentation" else "shapes"
    return _STARTERS[task].format(name=study_name(name), source=_quoted(source or usual), **fitting)


def folder_study(folder: Path) -> str:
    """Return the text of a study of a ladder over a folder of pictures; size and length fit what is there.

    Raises:
        DataError: if the folder holds no classes of pictures.
    """
    name, source = study_name(folder.resolve().name), _quoted(str(folder.resolve()))
    return _FOLDER.format(path=folder, name=name, source=source, **_fit(folder))


def _fit(folder: Path) -> dict[str, int]:
    """Return a size, a number of epochs and a batch that suit the pictures of a folder.

    Raises:
        DataError: if the folder holds no classes of pictures.
    """
    from etude.data.source import open_source

    source = open_source(str(folder.resolve()))
    count = len(source.items)
    return {
        "size_px": _fitting_size(source),
        "epochs": int(np.clip(60_000 // max(1, count), 10, 60)),
        "batch": 128 if count >= 2000 else 32,
    }


def study_name(text: str) -> str:
    """Make a name of a study of any text.

    >>> study_name("Mes photos d'été")
    'Mes-photos-d-t'
    """
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-._") or "study"


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9_./-]+", text) else json.dumps(text, ensure_ascii=False)


def _fitting_size(source: Source, most: int = 64) -> int:
    """Return a side that suits the pictures: their median short side, at most 64 px, a multiple of 8."""
    sides = []
    for index in np.linspace(0, len(source.items) - 1, num=min(50, len(source.items)), dtype=int):
        raw = source.raw(int(index))
        try:
            sides.append(min(Image.open(io.BytesIO(raw)).size) if isinstance(raw, bytes) else min(raw.shape[:2]))
        except (OSError, ValueError, Image.DecompressionBombError):
            continue  # the run itself lists what cannot be read
    return int(np.clip(int(np.median(sides or [most])) // 8 * 8, 16, most))
