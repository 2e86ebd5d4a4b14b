"""What a study stands on: the papers of its networks and of the methods that its records show to have been used."""

# ruff: noqa: E501 - the title of a paper stands on one line

from __future__ import annotations

from collections.abc import Iterator, Mapping

from etude.core.study_record import StudyRecord
from etude.figures.search import list_importances
from etude.metrics.generation import GENERATION_METRICS
from etude.report.card_words import tell_paper
from etude.report.cards import find_card
from etude.report.reading import StudyResults
from etude.report.searches import read_searches
from etude.report.words import Words

_OF_SETTING = {
    ("train.optimizer.name", "adamw"): "Loshchilov, Hutter. Decoupled weight decay regularization, 2019, arXiv:1711.05101",
    ("train.optimizer.name", "sgd"): "Sutskever, Martens, Dahl, Hinton. On the importance of initialization and momentum in deep learning, 2013",
    ("train.optimizer.name", "muon"): "Jordan et al. Muon: an optimizer for hidden layers in neural networks, 2024",
    ("train.schedule.name", "onecycle"): "Smith, Topin. Super-convergence: very fast training of neural networks using large learning rates, 2018, arXiv:1708.07120",
    ("train.schedule.name", "cosine"): "Loshchilov, Hutter. SGDR: stochastic gradient descent with warm restarts, 2017, arXiv:1608.03983",
    ("train.schedule.name", "poly"): "Chen, Papandreou, Kokkinos, Murphy, Yuille. DeepLab: semantic image segmentation with deep convolutional nets, atrous convolution, and fully connected CRFs, 2018, arXiv:1606.00915",
    ("train.average.name", "ema"): "Polyak, Juditsky. Acceleration of stochastic approximation by averaging, SIAM Journal on Control and Optimization 30, 1992",
    ("train.average.name", "lookahead"): "Zhang, Lucas, Hinton, Ba. Lookahead optimizer: k steps forward, 1 step back, 2019, arXiv:1907.08610",
    ("train.loss", "focal"): "Lin, Goyal, Girshick, He, Dollár. Focal loss for dense object detection, 2017, arXiv:1708.02002",
    ("train.loss", "dice"): "Sudre, Li, Vercauteren, Ourselin, Cardoso. Generalised Dice overlap, 2017, arXiv:1707.03237",
    ("train.loss", "cross-entropy+dice"): "Sudre, Li, Vercauteren, Ourselin, Cardoso. Generalised Dice overlap, 2017, arXiv:1707.03237",
    ("train.loss", "tversky"): "Salehi, Erdogmus, Gholipour. Tversky loss function for image segmentation using 3D fully convolutional deep networks, 2017, arXiv:1706.05721",
    ("train.loss", "lovasz"): "Berman, Triki, Blaschko. The Lovász-softmax loss, 2018, arXiv:1705.08790",
    ("train.loss", "non-saturating"): "Goodfellow et al. Generative adversarial networks, 2014, arXiv:1406.2661",
    ("train.loss", "hinge"): "Lim, Ye. Geometric GAN, 2017, arXiv:1705.02894",
    ("train.class_weights", "log"): "Paszke, Chaurasia, Kim, Culurciello. ENet, 2016, arXiv:1606.02147",
    ("finetune.name", "gradual"): "Howard, Ruder. Universal language model fine-tuning for text classification, 2018, arXiv:1801.06146",
    ("combine.average", "weights"): "Wortsman et al. Model soups, 2022, arXiv:2203.05482",
}  # fmt: skip
_OF_ANY = {
    "train.label_smoothing": "Szegedy, Vanhoucke, Ioffe, Shlens, Wojna. Rethinking the Inception architecture for computer vision, 2016, arXiv:1512.00567",
    "model.dropout": "Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov. Dropout, Journal of Machine Learning Research 15, 2014",
    "combine.members": "Lakshminarayanan, Pritzel, Blundell. Simple and scalable predictive uncertainty estimation using deep ensembles, 2017, arXiv:1612.01474",
    "combine.last_epochs": "Izmailov, Podoprikhin, Garipov, Vetrov, Wilson. Averaging weights leads to wider optima and better generalization, 2018, arXiv:1803.05407",
}  # fmt: skip
"""Settings that are cited whatever their value, where they are set at all."""
_OF_GENERATORS = {
    "train.adversarial.r1": "Mescheder, Geiger, Nowozin. Which training methods for GANs do actually converge?, 2018, arXiv:1801.04406",
    "train.adversarial.augment": "Zhao, Liu, Lin, Zhu, Han. Differentiable augmentation for data-efficient GAN training, 2020, arXiv:2006.10738",
}  # fmt: skip
_UNSET = ("", "null", "0", "0.0", "[]", "{}", "none", "false")
_OF_METHOD = {
    "corrected resampled t": "Nadeau, Bengio. Inference for the generalization error, Machine Learning 52, 2003",
    "exact McNemar": "McNemar. Note on the sampling error of the difference between correlated proportions, Psychometrika 12, 1947",
    "paired jackknife": "Efron, Stein. The jackknife estimate of variance, Annals of Statistics 9, 1981",
    "paired t": "Student. The probable error of a mean, Biometrika 6, 1908",
    "sequential paired t": "Jennison, Turnbull. Interim analyses: the repeated confidence interval approach, Journal of the Royal Statistical Society B 51, 1989",
}  # fmt: skip
_IMAGENET = "Russakovsky et al. ImageNet large scale visual recognition challenge, 2015, arXiv:1409.0575"
_HOLM = "Holm. A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 1979"
_BOOTSTRAP = "Efron. Bootstrap methods: another look at the jackknife, Annals of Statistics 7, 1979"
_EXPANDED = "Hesterberg. What teachers should know about the bootstrap, The American Statistician 69, 2015"
_BLOCKS = (
    "Künsch. The jackknife and the bootstrap for general stationary observations, Annals of Statistics 17, 1989",
    "Politis, Romano. A circular block-resampling procedure for stationary data, 1992",
)
_PRECEDENCE = "Nelson. Tables for a precedence life test, Technometrics 5, 1963"
_OF_METRIC = {
    "kid": "Bińkowski, Sutherland, Arbel, Gretton. Demystifying MMD GANs, 2018, arXiv:1801.01401",
    "fid": "Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter. GANs trained by a two time-scale update rule converge to a local Nash equilibrium, 2017, arXiv:1706.08500",
    "coverage": "Naeem, Oh, Uh, Choi, Yoo. Reliable fidelity and diversity metrics for generative models, 2020, arXiv:2002.09797",
    "brier": "Brier. Verification of forecasts expressed in terms of probability, Monthly Weather Review 78, 1950",
    "ece": "Guo, Pleiss, Sun, Weinberger. On calibration of modern neural networks, 2017, arXiv:1706.04599",
    "boundary_f1": "Csurka, Larlus, Perronnin. What is a good evaluation measure for semantic segmentation?, 2013",
}  # fmt: skip
_OF_AUGMENTATION = {
    "mixup": "Zhang, Cisse, Dauphin, Lopez-Paz. mixup: beyond empirical risk minimization, 2018, arXiv:1710.09412",
    "cutmix": "Yun et al. CutMix: regularization strategy to train strong classifiers with localizable features, 2019, arXiv:1905.04899",
    "cutout": "DeVries, Taylor. Improved regularization of convolutional neural networks with cutout, 2017, arXiv:1708.04552",
}  # fmt: skip
_OF_SAMPLER = {
    "random": "Bergstra, Bengio. Random search for hyper-parameter optimization, Journal of Machine Learning Research 13, 2012",
    "tpe": "Bergstra, Bardenet, Bengio, Kégl. Algorithms for hyper-parameter optimization, 2011",
}  # fmt: skip
_OF_PRUNER = {
    "median": "Golovin, Solnik, Moitra, Kochanski, Karro, Sculley. Google Vizier, 2017",
    "hyperband": "Li, Jamieson, DeSalvo, Rostamizadeh, Talwalkar. Hyperband, 2018, arXiv:1603.06560",
}
_PED_ANOVA = "Watanabe, Bansal, Hutter. PED-ANOVA, 2023, arXiv:2304.10255"
_OF_EXPLANATION = {
    "why.json": (
        "Selvaraju et al. Grad-CAM, 2017, arXiv:1610.02391",
        "Sundararajan, Taly, Yan. Axiomatic attribution for deep networks, 2017, arXiv:1703.01365",
        "Adebayo et al. Sanity checks for saliency maps, 2018, arXiv:1810.03292",
    ),
    "map.json": ("van der Maaten, Hinton. Visualizing data using t-SNE, Journal of Machine Learning Research 9, 2008",),
    "errors.json": ("Wilson. Probable inference, the law of succession, and statistical inference, Journal of the American Statistical Association 22, 1927",),
}  # fmt: skip
"""What each part of an explanation is made with."""
_OF_MASKS_EXPLAINED = "Vinogradova, Dibrov, Myers. Towards interpretable semantic segmentation via gradient-weighted class activation mapping, 2020, arXiv:2002.11434"
_CORRUPTIONS = "Hendrycks, Dietterich. Benchmarking neural network robustness to common corruptions and perturbations, 2019, arXiv:1903.12261"
_CONFIDENT = "Northcutt, Jiang, Chuang. Confident learning, Journal of Artificial Intelligence Research 70, 2021"


def list_references(study: StudyResults, settings: Mapping[str, Mapping[str, str]], words: Words) -> list[str]:
    """Return the references of a study, each once.

    Args:
        study: the study, read.
        settings: each candidate's flat configuration.
        words: the language of what stands between them; titles stay as they are.
    """
    found = [tell_paper(paper, words) for paper in _of_networks(study, settings)]
    for config in settings.values():
        found += _of_settings(config, study.record.task)
    found += _of_statistics(study.record)
    found += _of_searches(study)
    found += _of_looks(study)
    return list(dict.fromkeys(found))


def _of_networks(study: StudyResults, settings: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    fields = ("model.name", "model.encoder")
    for name in dict.fromkeys(config.get(field, "") for field in fields for config in settings.values()):
        card = find_card(study.folder, name) if name else None
        if card is not None and card.paper:
            yield card.paper
    if any(config.get("model.weights") == "imagenet" for config in settings.values()):
        yield _IMAGENET


def _of_settings(config: Mapping[str, str], task: str) -> Iterator[str]:
    """Give the papers of what a candidate was trained with."""
    is_soup = config.get("combine.average") == "weights" and config.get("combine.members", "null") not in _UNSET
    for (name, value), text in _OF_SETTING.items():
        if config.get(name) == value and (name != "combine.average" or is_soup):
            yield text
    for name, text in (_OF_ANY | _OF_GENERATORS if task == "generation" else _OF_ANY).items():
        if config.get(name, "") not in _UNSET and not (name == "combine.members" and is_soup):
            yield text
    yield from (text for name, text in _OF_AUGMENTATION.items() if f'"{name}"' in config.get("augment.use", ""))


def _of_statistics(record: StudyRecord) -> Iterator[str]:
    """Give the papers of the measures, the intervals and the tests."""
    measured = {record.metric, *(name for row in record.leaderboard for name in row.also)}
    yield from (text for name, text in _OF_METRIC.items() if name in measured)
    yield from (_OF_METHOD[verdict.method] for verdict in record.verdicts if verdict.method in _OF_METHOD)
    if len(record.verdicts) > 1:
        yield _HOLM
    if any(row.interval_pictures for row in record.leaderboard) or any(verdict.pictures for verdict in record.verdicts):
        yield _BOOTSTRAP
    if record.resampling is not None:
        yield _EXPANDED
        yield from _BLOCKS if record.resampling.length is not None else ()
    left_out = {name for name in measured & {*GENERATION_METRICS} if GENERATION_METRICS[name].resampling == "jackknife"}
    if left_out or (record.resampling is not None and record.resampling.is_of_few):
        yield _OF_METHOD["paired jackknife"]
    if any(row.of_photographs for row in record.leaderboard):
        yield _PRECEDENCE


def _of_searches(study: StudyResults) -> Iterator[str]:
    """Give the papers of how settings were searched."""
    for search in [record for summary in study.record.searches for record in read_searches(study, summary)]:
        yield from (text for name, text in _OF_SAMPLER.items() if search.sampler.startswith(name))
        if search.pruner in _OF_PRUNER:
            yield _OF_PRUNER[search.pruner]
        if list_importances([search]):
            yield _PED_ANOVA


def _of_looks(study: StudyResults) -> Iterator[str]:
    """Give the papers of what looked at networks, answers and labels."""
    for name, texts in _OF_EXPLANATION.items():
        if any(study.folder.glob(f"runs/*/explain/{name}")):
            yield from texts
            yield from (_OF_MASKS_EXPLAINED,) if name == "why.json" and study.record.task == "segmentation" else ()
    if any(run.temperature is not None for run in study.runs.values()):
        yield _OF_METRIC["ece"]
    if (study.folder / "robustness.json").is_file():
        yield _CORRUPTIONS
    if any(finding.kind == "label-errors" for finding in study.findings or ()):
        yield _CONFIDENT
