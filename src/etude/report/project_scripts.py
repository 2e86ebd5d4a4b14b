"""The scripts of a project tree, as texts: places in braces are filled where the tree is written."""

from __future__ import annotations

SETUP = '''\
"""Install the source of the study: `src` with its scripts, and etude, which they stand on, from src/etude."""

from pathlib import Path

from setuptools import find_packages, setup

found = find_packages("src")

setup(
    name="{name}",
    version="0.1.0",
    packages=["src", *(name if name.split(".")[0] == "etude" else "src." + name for name in found)],
    package_dir={{"etude": "src/etude"}},
    include_package_data=True,
    exclude_package_data={{"src": ["etude/**"]}},
    python_requires="{python}",
    install_requires=Path(__file__).with_name("requirements-loose.txt").read_text().split(),
)
'''
MANIFEST = """\
include requirements.txt requirements-loose.txt
recursive-include src/etude *
global-exclude *.pyc
"""
_HEAD = """\
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "src"))
os.environ.setdefault("ETUDE_DATA", str(ROOT / "data" / "raw"))
"""
MAKE_DATASET = f'''\
"""Check the pictures of the study and its split, and say what was found."""

{_HEAD.replace("{", "{{").replace("}", "}}")}
from etude.core.errors import EtudeError  # noqa: E402
from etude.core.watch import Silent  # noqa: E402
from etude.report.recorded import tell_finding  # noqa: E402
from etude.report.words import Words  # noqa: E402
from etude.study.folder import StudyFolder  # noqa: E402
from etude.study.study import Study  # noqa: E402
from etude.study.workspace import Workspace  # noqa: E402

if __name__ == "__main__":
    study = Study.from_file(ROOT / "study.yaml")
    folder = StudyFolder(ROOT / "data" / "processed", study.config.study)
    folder.root.mkdir(parents=True, exist_ok=True)
    try:
        workspace = Workspace(study.config, ROOT, folder, "cpu", Silent())
    except EtudeError as error:
        sys.exit(str(error))
    for finding in workspace.check.findings:
        print(tell_finding(finding.sentence, finding.kind, finding.count, Words("{{language}}")))
    print({{{{part: sum(counts.values()) for part, counts in workspace.counts().items()}}}})
'''
TRAIN = f'''\
"""Train every candidate of the study, or what is left of it, and print the leaderboard."""

{_HEAD.replace("{", "{{").replace("}", "}}")}
from etude.core.errors import EtudeError  # noqa: E402
from etude.study.study import Study  # noqa: E402

if __name__ == "__main__":
    try:
        result = Study.from_file(ROOT / "study.yaml", [*{{sets!r}}, *sys.argv[1:]]).run(ROOT / "models" / "runs")
    except EtudeError as error:
        sys.exit(str(error))
    for row in result.leaderboard():
        print(row.candidate, row.score)
'''
PREDICT = f'''\
"""Ask the best model: python src/models/predict_model.py PICTURE … (of a generator, how many pictures to draw).

Masks and drawn pictures are written into reports/figures.
"""

{_HEAD.replace("{", "{{").replace("}", "}}")}
from etude.core.errors import EtudeError  # noqa: E402
from etude.study.alone import open_alone  # noqa: E402

if __name__ == "__main__":
    models = ROOT / "models"
    failed = False
    try:
        run = open_alone(models / "best.json", models / "best.safetensors", "{{task}}", ROOT)
    except EtudeError as error:
        sys.exit(str(error))
    for given in [[name] for name in sys.argv[1:]] or [[]]:
        try:
            for line in run.tell(given, ROOT / "reports" / "figures"):
                print(line)
        except EtudeError as error:
            print(error, file=sys.stderr)
            failed = True
    if failed:
        sys.exit(1)
'''
VISUALIZE = f'''\
"""Draw the figures of the study from its records into reports/figures, as PNG."""

{_HEAD.replace("{", "{{").replace("}", "}}")}
from etude.report.note import gather  # noqa: E402
from etude.report.reading import read_results  # noqa: E402

NAMES = ("leaderboard_drawing", "verdicts_drawing", "curves_drawing", "gaps_drawing", "pareto_drawing")

if __name__ == "__main__":
    trained = ROOT / "models" / "runs" / "{{name}}"
    folder = trained if (trained / "study.json").is_file() else ROOT / "reports"
    told = gather(*read_results(folder, "{{language}}"), name=str)
    for name in NAMES:
        if told[name] is not None:
            path = ROOT / "reports" / "figures" / (name.removesuffix("_drawing") + ".png")
            path.write_bytes(told[name].png(dpi=150))
            print(path)
        else:
            print("{{missing}}".format(name=name.removesuffix("_drawing")))
'''
