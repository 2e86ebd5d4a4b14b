"""The learning rate over the steps: one pure function."""

from __future__ import annotations

import math

from etude.train.config import ScheduleConfig

WARMUPS = {"onecycle": 0.23, "cosine": 0.05, "poly": 0.0, "step": 0.0, "constant": 0.0}
"""By schedule, the share of the steps in which the learning rate rises where the study file does not say."""


def lr_factor(config: ScheduleConfig, step: int, steps: int) -> float:
    """Return the learning rate of step `step` (from 0) of `steps`, as a share of the highest.

    onecycle is the triangle of Smith and Topin (2018, arXiv:1708.07120) as the airbench recipe draws it;
    cosine is that of Loshchilov and Hutter (2017, arXiv:1608.03983), without restarts; poly that of DeepLab (Chen et
    al. 2018, arXiv:1606.00915, section 4.1) and BiSeNet, power 0.9.

    >>> config = ScheduleConfig(name="onecycle", warmup=0.5, start=0.0, end=0.0)
    >>> [round(lr_factor(config, step, 4), 2) for step in range(5)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    warmup = WARMUPS[config.name] if config.warmup is None else config.warmup
    share = step / max(1, steps)
    if warmup > 0 and share < warmup:
        return config.start + (1 - config.start) * share / warmup
    if config.name == "constant":
        return 1.0
    if config.name == "step":
        return config.gamma ** sum(share >= milestone for milestone in config.milestones)
    fall = (share - warmup) / (1 - warmup)
    if config.name == "cosine":
        return config.end + (1 - config.end) * 0.5 * (1 + math.cos(math.pi * min(1.0, fall)))
    if config.name == "poly":
        return config.end + (1 - config.end) * math.pow(1 - min(1.0, fall), config.power)
    return 1 + (config.end - 1) * min(1.0, fall)
