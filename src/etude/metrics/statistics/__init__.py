"""Evidence: intervals, paired tests, corrections, power, and looking while runs come in. Pure functions.

Two sources of chance are kept apart: which seeds or folds were drawn (t), and which pictures happened to be in
the test part (bootstrap, McNemar). A gain is always the first argument minus the second.
"""

from etude.metrics.statistics.bootstrap import (
    PictureComparison,
    bootstrap_interval,
    bootstrap_p,
    paired_bootstrap,
    percentile_interval,
    resample,
    resampled_means,
    resampling_weights,
)
from etude.metrics.statistics.decisions import ALPHA, POWER, holm, smallest_detectable, standard_errors, verdict
from etude.metrics.statistics.dependent import (
    SEVERAL_GROUPS,
    Dependence,
    block_length,
    dependence_of,
    dependent_weights,
)
from etude.metrics.statistics.jackknife import jackknife_interval, jackknife_p, jackknife_weights
from etude.metrics.statistics.mcnemar import mcnemar_exact, mcnemar_interval, mcnemar_p_values
from etude.metrics.statistics.redrawing import Redrawing, Redrawn, Statistic
from etude.metrics.statistics.runs import (
    PairedTest,
    corrected_resampled_t,
    paired_t,
    t_interval,
    t_intervals,
    t_p_values,
)
from etude.metrics.statistics.sequential import AutoSeeds, Look, sequential_t
from etude.metrics.statistics.shares import wilson

__all__ = [
    "ALPHA",
    "POWER",
    "SEVERAL_GROUPS",
    "AutoSeeds",
    "Dependence",
    "Look",
    "PairedTest",
    "PictureComparison",
    "Redrawing",
    "Redrawn",
    "Statistic",
    "block_length",
    "bootstrap_interval",
    "bootstrap_p",
    "corrected_resampled_t",
    "dependence_of",
    "dependent_weights",
    "holm",
    "jackknife_interval",
    "jackknife_p",
    "jackknife_weights",
    "mcnemar_exact",
    "mcnemar_interval",
    "mcnemar_p_values",
    "paired_bootstrap",
    "paired_t",
    "percentile_interval",
    "resample",
    "resampled_means",
    "resampling_weights",
    "sequential_t",
    "smallest_detectable",
    "standard_errors",
    "t_interval",
    "t_intervals",
    "t_p_values",
    "verdict",
    "wilson",
]
