"""What `etude run TARGET` may name: a file, a folder of pictures, or an embedded study."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from etude.core.errors import MistakeError, sentence
from etude.core.registry import nearest
from etude.study.study import Study


def embedded_studies() -> list[str]:
    """Return the names of the studies that come with the package."""
    folder = resources.files("etude.study") / "embedded"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def find_target(target: str, sets: list[str], name: str = "") -> Study:
    """Return the study that a target names.

    Args:
        target: a file, a folder of pictures, or an embedded study.
        sets: overrides `key=value`.
        name: what the study and its folder are called, in place of the name that it has.

    Raises:
        MistakeError: if it names nothing.
        StudyFileError: if its file does not hold.
    """
    path = Path(target)
    sets = [*sets, f"study={_checked(name)}"] if name else sets
    if path.is_dir():
        from etude.study.starter import folder_study

        whole = str(path.resolve())
        return Study.from_text(folder_study(path), name=target, base=Path.cwd(), sets=sets, origin=whole)
    for file in (path, Path("studies") / f"{target}.yaml"):
        if file.is_file():
            return Study.from_file(file, sets)
    if target in embedded_studies():
        text = (resources.files("etude.study") / "embedded" / f"{target}.yaml").read_text(encoding="utf-8")
        origin = f"embedded {target}"
        return Study.from_text(text, name=target, base=Path.cwd(), sets=sets, default_name=target, origin=origin)
    raise MistakeError(_nothing(target))


def _checked(name: str) -> str:
    """Return a name that a folder can have."""
    from etude.study.starter import study_name

    if study_name(name) != name:
        rule = "letters, digits, '.', '_' and '-', without spaces"
        raise MistakeError(sentence("study", "--name", rule, name, f"Give {study_name(name)}, say."))
    return name


def _nothing(target: str) -> str:
    around = [str(file) for file in sorted(Path().glob("*.yaml")) + sorted(Path("studies").glob("*.yaml"))]
    close = nearest(target, embedded_studies() + around)
    hint = f"Did you mean {close[0]!r}?" if close else "Give a study file, a folder of pictures, or 'quickstart'."
    return f"{target}: there is no such study file or folder. {hint}"
