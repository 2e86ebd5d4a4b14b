"""A study from Python: `Study.from_file(path).run()`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from etude.core.errors import MissingPartError, MistakeError
from etude.core.study_record import LeaderboardRow, StudyRecord, Verdict
from etude.core.watch import Silent, Watcher
from etude.study.file import StudyConfig
from etude.study.folder import StudyFolder

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

    def __init__(self, config: StudyConfig, *, base: Path | None = None, text: str | None = None) -> None:
        self.config = config
        self.base = (base or Path()).resolve()
        self.text = text if text is not None else _dump_yaml(config)

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
        return cls.from_text(text, name=str(file), base=file.resolve().parent, sets=sets, default_name=file.stem)

    @classmethod
    def from_text(
        cls,
        text: str,
        *,
        name: str = "study",
        base: Path | None = None,
        sets: Iterable[str] = (),
        default_name: str | None = None,
    ) -> Study:
        """Read a study from its YAML text.

        Raises:
            StudyFileError: with every mistake in it, its line, the rule and the nearest valid name.
        """
        from etude.study.parse import parse_study

        config = parse_study(text, name=name, base=base, sets=sets)
        if default_name and "study" not in config.model_fields_set:
            config = config.model_copy(update={"study": default_name})
        return cls(config, base=base, text=text)

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
    ) -> Result:
        """Run the study, or what is left of it.

        Args:
            results: the folder in which the study's own folder lies.
            device: auto, cpu, cuda or mps.
            watch: hears where the work stands.
            processes: how many share the trials of a search, this one among them.

        Raises:
            EtudeError: a sentence for each thing that can go wrong; what was finished is kept.
        """
        from etude.study.run import run_study

        results = Path(results)
        given = (self.config, self.text, self.base, results, watch or Silent())
        record = run_study(*given, device=device, processes=processes)
        return Result(record, StudyFolder(results, self.config.study).root)


def _dump_yaml(config: StudyConfig) -> str:
    import yaml

    return yaml.safe_dump(config.model_dump(mode="json", exclude_unset=True), sort_keys=False, allow_unicode=True)
