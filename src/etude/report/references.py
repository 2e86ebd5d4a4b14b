"""What a study stands on: the papers of its networks and of its methods, as far as its records name them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from etude.report.cards import find_card
from etude.report.reading import StudyResults

_OF_SETTING = {
    ("train.optimizer.name", "adamw"): "Loshchilov, Hutter. Decoupled weight decay regularization, 2019, arXiv:1711.05101",  # noqa: E501
    ("train.optimizer.name", "sgd"): "Sutskever, Martens, Dahl, Hinton. On the importance of initialization and momentum in deep learning, 2013",  # noqa: E501
    ("train.schedule.name", "onecycle"): "Smith, Topin. Super-convergence: very fast training of neural networks using large learning rates, 2018, arXiv:1708.07120",  # noqa: E501
    ("train.schedule.name", "poly"): "Chen, Papandreou, Kokkinos, Murphy, Yuille. DeepLab: semantic image segmentation with deep convolutional nets, atrous convolution, and fully connected CRFs, 2018, arXiv:1606.00915",  # noqa: E501
    ("train.schedule.name", "cosine"): "Loshchilov, Hutter. SGDR: stochastic gradient descent with warm restarts, 2017, arXiv:1608.03983",  # noqa: E501
}  # fmt: skip
_OF_METHOD = {
    "corrected resampled t": "Nadeau, Bengio. Inference for the generalization error, Machine Learning 52, 2003",
    "exact McNemar": "McNemar. Note on the sampling error of the difference between correlated proportions, Psychometrika 12, 1947",  # noqa: E501
    "paired t": "Student. The probable error of a mean, Biometrika 6, 1908",
}
_HOLM = "Holm. A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 1979"
_OF_AUGMENTATION = {
    "mixup": "Zhang, Cisse, Dauphin, Lopez-Paz. mixup: beyond empirical risk minimization, 2018, arXiv:1710.09412",
    "cutmix": "Yun et al. CutMix: regularization strategy to train strong classifiers with localizable features, 2019, arXiv:1905.04899",  # noqa: E501
    "cutout": "DeVries, Taylor. Improved regularization of convolutional neural networks with cutout, 2017, arXiv:1708.04552",  # noqa: E501
}


def list_references(study: StudyResults, settings: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return the references of a study, each once.

    Args:
        study: the study, read.
        settings: each candidate's flat configuration.
    """
    record, found = study.record, [*_of_networks(study, settings)]
    for config in settings.values():
        found += [text for (name, value), text in _OF_SETTING.items() if config.get(name) == value]
        found += [text for name, text in _OF_AUGMENTATION.items() if f'"{name}"' in config.get("augment.use", "")]
    found += [_OF_METHOD[verdict.method] for verdict in record.verdicts if verdict.method in _OF_METHOD]
    return list(dict.fromkeys([*found, _HOLM] if len(record.verdicts) > 1 else found))


def _of_networks(study: StudyResults, settings: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    for name in dict.fromkeys(config.get("model.name", "") for config in settings.values()):
        card = find_card(study.folder, name) if name else None
        if card is not None and card.paper:
            yield card.paper
