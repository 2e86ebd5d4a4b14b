"""What optuna is asked for: its storage, its sampler, its pruner, its importances."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.core.errors import MissingPartError, MistakeError
from etude.core.extras import install
from etude.core.seeds import derive
from etude.search.config import PrunerConfig
from etude.search.space import Parameter, Point, Space, label, settings_of

if TYPE_CHECKING:
    import optuna

JOURNAL_FILE = "journal.log"
_FEWEST_FOR_IMPORTANCE = 4  # complete trials


def open_study(url: str | None, folder: Path, name: str, *, higher_is_better: bool, pruner: Any) -> optuna.Study:  # noqa: ANN401 - optuna's
    """Open a study in its storage, or make it.

    Args:
        url: an Optuna storage URL; none for a journal file in `folder`.
        folder: the folder of the journal file.
        name: the study's name in the storage.
        higher_is_better: direction of its values.
        pruner: what `make_pruner` returned.

    Raises:
        MissingPartError: if optuna, or a driver of the storage, is not installed.
        MistakeError: if the storage cannot be opened, or holds a study of that name with another direction.
    """
    module = _import_optuna()
    direction = "maximize" if higher_is_better else "minimize"
    try:
        with _quiet(module):
            storage = url or _journal(folder)
            study: optuna.Study = module.create_study(
                storage=storage, study_name=name, direction=direction, pruner=pruner, load_if_exists=True
            )
    except ImportError as error:
        raise MissingPartError(f"search: storage {url!r} needs a driver that is not installed ({error}).") from error
    except MistakeError:
        raise
    except Exception as error:  # whatever the database's driver raises
        if url is None:
            raise
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise MistakeError(
            f"search: storage must be an Optuna storage URL that can be opened. Got {url!r} ({told}). "
            f"Leave it out for a journal file in the study's folder."
        ) from error
    if study.direction.name.lower() != direction:
        raise MistakeError(
            f"search: storage must hold no other search under the name {name!r}. Got one whose direction is "
            f"{study.direction.name.lower()}. Give another storage, or rename the study."
        )
    return study


def _journal(folder: Path) -> Any:  # noqa: ANN401 - optuna's
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    folder.mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFileBackend(str(folder / JOURNAL_FILE)))


def make_pruner(config: PrunerConfig, max_epochs: int | None) -> Any:  # noqa: ANN401 - optuna's
    """Return the pruner.

    Median: Golovin et al., Google Vizier, 2017. Hyperband: Li et al., 2018, arXiv:1603.06560.

    Args:
        config: which, and its settings.
        max_epochs: the most epochs of a trial; none where it is not known beforehand.
    """
    pruners = _import_optuna().pruners
    if config.name == "median":
        return pruners.MedianPruner(
            n_startup_trials=config.startup, n_warmup_steps=config.warmup + 1
        )  # steps are epochs, from 1
    if config.name == "hyperband":
        return pruners.HyperbandPruner(
            min_resource=1, max_resource=max_epochs or "auto", reduction_factor=config.factor
        )
    return pruners.NopPruner()


def make_tpe(seed: int, number: int) -> Any:  # noqa: ANN401 - optuna's
    """Return the tree-structured Parzen estimator that draws trial `number` (Bergstra et al. 2011).

    It is made anew for each trial, so that its draws follow from the number of the trial, not from the process.
    """
    optuna = _import_optuna()
    with _quiet(optuna):
        return optuna.samplers.TPESampler(
            seed=derive(seed, "tpe", number) % 2**32, multivariate=True, group=True, warn_independent_sampling=False
        )


def suggest(trial: optuna.Trial, space: Space) -> Point:
    """Return the point of a trial, each active parameter asked for in the order of the space."""
    point: Point = {}
    for parameter in space:
        if parameter.is_active(settings_of(space, point)):
            point[parameter.name] = _suggest(trial, parameter)
    return point


def _suggest(trial: optuna.Trial, parameter: Parameter) -> Any:  # noqa: ANN401 - any value
    if parameter.kind == "choice":
        labels = [label(choice) for choice in parameter.choices]
        return parameter.choices[labels.index(trial.suggest_categorical(parameter.name, labels))]
    if parameter.kind == "integer":
        return trial.suggest_int(parameter.name, int(parameter.low), int(parameter.high))
    return trial.suggest_float(parameter.name, parameter.low, parameter.high, log=parameter.kind == "log")


def stored(space: Space, point: Point) -> dict[str, Any]:
    """Return a point as the storage holds it: what stands for each choice in place of the choice."""
    return {entry.name: label(point[entry.name]) if entry.kind == "choice" else point[entry.name]
            for entry in space if entry.name in point}  # fmt: skip


def restored(space: Space, params: dict[str, Any]) -> Point:
    """Return the point that the storage holds."""
    point: Point = {}
    for parameter in space:
        if parameter.name not in params:
            continue
        value = params[parameter.name]
        if parameter.kind == "choice":
            labels = [label(choice) for choice in parameter.choices]
            value = parameter.choices[labels.index(value)] if value in labels else value
        point[parameter.name] = value
    return point


def importances(study: optuna.Study, space: Space, first: int | None = None) -> dict[str, float]:
    """Return for each parameter its share in what tells the good trials from the others, from 0 to 1.

    PED-ANOVA (Watanabe, Bansal, Hutter 2023, arXiv:2304.10255), over the complete trials that have the parameter; the
    shares add up to 1. Empty where there are fewer than four such trials, or all scored the same.

    Args:
        study: the search.
        space: its parameters.
        first: count so many trials from the first only: those around the best keep most parameters at its values, which
            would seem to matter.
    """
    optuna = _import_optuna()
    found: dict[str, float] = {}
    with _quiet(optuna):
        if first is not None:
            whole, study = study, optuna.create_study(direction=study.direction)
            study.add_trials(whole.get_trials(deepcopy=False)[:first])
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        for parameter in space:
            values = {trial.value for trial in complete if parameter.name in trial.params}
            count = sum(parameter.name in trial.params for trial in complete)
            if count < _FEWEST_FOR_IMPORTANCE or len(values) < 2:
                continue
            with contextlib.suppress(ValueError):
                shares = optuna.importance.get_param_importances(
                    study, evaluator=evaluator, params=[parameter.name], normalize=False
                )
                found[parameter.name] = float(shares[parameter.name])
    total = sum(found.values())
    return {name: value / total for name, value in found.items()} if total > 0 else {}


def _import_optuna() -> Any:  # noqa: ANN401 - a module
    try:
        import optuna
    except ImportError:
        raise MissingPartError(f"search: needs optuna. {install('train')}") from None
    return optuna


@contextlib.contextmanager
def _quiet(optuna: Any) -> Iterator[None]:  # noqa: ANN401 - a module
    """Keep optuna's log and its warnings of what is experimental off the terminal."""
    import warnings

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)
