"""What the best known networks of timm are made of, and where they were first described, by the start of their names."""

# ruff: noqa: E501 - the title of a paper stands on one line

from __future__ import annotations

import re
from typing import Final, NamedTuple


class Idea(NamedTuple):
    """What a network is made of."""

    sentence: str
    """What its layers do and why, in one sentence."""
    paper: str
    """Authors, title, year and arXiv number."""


IDEAS: Final = {
    "mobilenetv2": Idea(
        "Blocks widen by 1×1 convolutions, look around channel by channel, and narrow again, with a way round them: made for small devices.",
        "Sandler, Howard, Zhu, Zhmoginov, Chen, MobileNetV2: inverted residuals and linear bottlenecks, 2018, arXiv 1801.04381",
    ),
    "mobilenetv3": Idea(
        "The blocks of MobileNetV2 with channels that are weighed by the whole picture, arranged by a search for small devices.",
        "Howard et al., Searching for MobileNetV3, 2019, arXiv 1905.02244",
    ),
    "efficientnet": Idea(
        "The blocks of MobileNetV2 with channels that are weighed by the whole picture; depth, width and picture size grow together.",
        "Tan, Le, EfficientNet: rethinking model scaling for convolutional neural networks, 2019, arXiv 1905.11946",
    ),
    "resnet": Idea(
        "Convolutions add to what they are given, with a way round them: so gradients reach the first of many layers.",
        "He, Zhang, Ren, Sun, Deep residual learning for image recognition, 2015, arXiv 1512.03385",
    ),
    "vgg": Idea(
        "Nothing but 3×3 convolutions and poolings, then large dense layers, which hold most of its parameters.",
        "Simonyan, Zisserman, Very deep convolutional networks for large-scale image recognition, 2014, arXiv 1409.1556",
    ),
    "densenet": Idea(
        "Each layer is given the maps of all layers before it: few channels are new, and none is learnt twice.",
        "Huang, Liu, van der Maaten, Weinberger, Densely connected convolutional networks, 2016, arXiv 1608.06993",
    ),
    "inception_v3": Idea(
        "Convolutions of several sizes side by side, their maps put together.",
        "Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, Rethinking the Inception architecture for computer vision, 2015, arXiv 1512.00567",
    ),
    "convnext": Idea(
        "Convolutions of 7×7 channel by channel, then a small dense network at each place, as in a transformer.",
        "Liu, Mao, Wu, Feichtenhofer, Darrell, Xie, A ConvNet for the 2020s, 2022, arXiv 2201.03545",
    ),
    "vit": Idea(
        "The picture is cut into squares, and each square looks at all others by attention.",
        "Dosovitskiy et al., An image is worth 16x16 words: transformers for image recognition at scale, 2020, arXiv 2010.11929",
    ),
    "deit": Idea(
        "The picture is cut into squares, and each square looks at all others by attention; trained with little data.",
        "Touvron, Cord, Douze, Massa, Sablayrolles, Jégou, Training data-efficient image transformers and distillation through attention, 2020, arXiv 2012.12877",
    ),
    "swin": Idea(
        "Squares of the picture look at those of their window by attention, and windows move from layer to layer.",
        "Liu et al., Swin Transformer: hierarchical vision transformer using shifted windows, 2021, arXiv 2103.14030",
    ),
}
"""By the start of a name, before its first underscore, digits of a size left out; or by a whole name."""
_OTHERS: Final = re.compile(r"inception_|deit3|efficientnet_(lite|e[sml]\b)|swin_s3|vit_\w*_r\d+")
"""Networks whose names begin alike, and which are made otherwise."""


def find_idea(name: str) -> Idea | None:
    """Return the idea of a network of timm; none of one that is not among the best known.

    >>> find_idea("mobilenetv2_100").paper.split(",")[0], find_idea("resnet50.a1_in1k").paper.split(",")[0]
    ('Sandler', 'He')
    >>> find_idea("vit_small_patch14_dinov2") is IDEAS["vit"], find_idea("resnetv2_50x1_bit")
    (True, None)
    >>> [name for name in ("inception_v4", "deit3_base_patch16_224", "vit_base_r50_s16_224") if find_idea(name)]
    []
    """
    bare = name.partition(".")[0]
    if bare in IDEAS:
        return IDEAS[bare]
    if _OTHERS.match(bare):
        return None
    stem = bare.partition("_")[0]
    return IDEAS.get(stem) or IDEAS.get(stem.rstrip("0123456789"))
