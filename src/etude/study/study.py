"""A study from Python: `Study.from_file(path).run()`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel

from etude.core.errors import MissingPartError, MistakeError
from etude.core.study_record import LeaderboardRow, StudyRecord, Verdict
from etude.core.watch import Silent, Watcher
from etude.study.file import StudyConfig
from etude.study.folder import StudyFolder
from etude.study.kept import lay_over
from etude.study.places import Places

if TYPE_CHECKING:
    from etude.study.estimate import StudyPlan

R = TypeVar("R", bound=BaseModel)


class Records(list[R], Generic[R]):
    """A list of records that pandas can take."""

    def to_pandas(self) -> Any:  # noqa: ANN401 - a DataFrame, where pandas is installed
        """Return a DataFrame with one row a record.

        Raises:
            MissingPartError: if pandas is not installed.
        """
        try:
            import pandas  # type: ignore[import-not-found,import-untyped,unused-ignore]
        except ImportError:
            raise MissingPartError("to_pandas: needs pandas. Install it with `pip install pandas`.") from None
        return pandas.DataFrame([record.model_dump() for record in self])


class Result:
    """What a study left behind."""

    def __init__(self, record: StudyRecord, folder: Path) -> None:
        self.record = record
        self.folder = folder

    def leaderboard(self) -> Records[LeaderboardRow]:
        """Return one row a candidate, best first."""
        return Records(self.record.leaderboard)

    def verdicts(self) -> Records[Verdict]:
        """Return one comparison with the baseline for each other candidate."""
        return Records(self.record.verdicts)


class Study:
    """A question, pictures, candidates and the protocol that compares them."""

    def __init__(
        self,
        config: StudyConfig,
        *,
        base: Path | None = None,
        text: str | None = None,
        origin: str = "",
        places: Places | None = None,
    ) -> None:
        self.config = config
        self.base = (base or Path()).resolve()
        self.text = text if text is not None else _dump_yaml(config)
        self.origin = origin
        self._places = places or Places(self.text)

    @classmethod
    def from_file(cls, path: str | Path, sets: Iterable[str] = ()) -> Study:
        """Read a study file.

        Args:
            path: the YAML file.
            sets: overrides `key=value`, the key dotted: `["train.epochs=5"]`.

        Raises:
            MistakeError: if there is no such file.
            StudyFileError: with every mistake in it, its line, the rule and the nearest valid name.
        """
        file = Path(path)
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise MistakeError(f"{file}: cannot be read as a study file ({error}).") from error
        whole = file.resolve()
        return cls.from_text(
            text, name=str(file), base=whole.parent, sets=sets, default_name=file.stem, origin=str(whole)
        )  # fmt: skip

    @classmethod
    def from_text(
        cls,
        text: str,
        *,
        name: str = "study",
        base: Path | None = None,
        sets: Iterable[str] = (),
        default_name: str | None = None,
        origin: str = "",
    ) -> Study:
        """Read a study from its YAML text.

        Args:
            text: the YAML.
            name: what messages call it.
            base: the folder that relative paths in it start from.
            sets: overrides `key=value`, the key dotted.
            default_name: name of the study where the text gives none.
            origin: what it was made of, to know it again in a results folder: the whole path of its file or of a folder
                of pictures, or any other name; empty for a text of a program.

        Raises:
            StudyFileError: with every mistake in it, its line, the rule and the nearest valid name.
        """
        from etude.study.parse import parse_study

        given = list(sets)
        config = parse_study(text, name=name, base=base, sets=given)
        if default_name and "study" not in config.model_fields_set:
            config = config.model_copy(update={"study": default_name})
        places = Places(text, name if Path(origin).is_file() else "", given)
        return cls(config, base=base, text=lay_over(text, given), origin=origin, places=places)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any], base: Path | None = None) -> Study:
        """Make a study of the fields of a study file.

        Raises:
            StudyFileError: with every mistake in them.
        """
        import yaml

        return cls.from_text(yaml.safe_dump(dict(fields), sort_keys=False, allow_unicode=True), base=base)

    def run(
        self,
        results: str | Path = "results",
        *,
        device: str = "auto",
        watch: Watcher | None = None,
        processes: int = 1,
        take_over: bool = False,
    ) -> Result:
        """Run the study, or what is left of it.

        Args:
            results: the folder in which the study's own folder lies.
            device: auto, cpu, cuda or mps.
            watch: hears where the work stands.
            processes: how many share the trials of a search, this one among them.
            take_over: replace the leaderboard, the verdicts and the report of another study that lies in that folder;
                its finished runs are kept.

        Raises:
            EtudeError: a sentence for each thing that can go wrong; what was finished is kept.
        """
        from etude.study.run import run_study

        results = Path(results)
        given = (self.config, self.text, self.base, results, watch or Silent())
        with self._places.told():
            record = run_study(
                *given, device=device, processes=processes, origin=self.origin, take_over=take_over
            )  # fmt: skip
        return Result(record, StudyFolder(results, self.config.study).root)

    def plan(
        self,
        results: str | Path = "results",
        *,
        device: str = "auto",
        watch: Watcher | None = None,
        measure: bool = True,
    ) -> StudyPlan:
        """Say what the study will train, in what order, how long it will take here and what it can show.

        Args:
            results: the folder in which the study's own folder lies.
            device: auto, cpu, cuda or mps.
            watch: hears where the work stands.
            measure: whether to time a few steps of each candidate that was not timed before.

        Raises:
            EtudeError: if the data or a network cannot be used.
        """
        from etude.study.run import preview_study

        given = (self.config, self.base, Path(results), watch or Silent())
        with self._places.told():
            return preview_study(*given, device=device, measure=measure, origin=self.origin)


def _dump_yaml(config: StudyConfig) -> str:
    import yaml

    return yaml.safe_dump(config.model_dump(mode="json", exclude_unset=True), sort_keys=False, allow_unicode=True)
