"""The guides to deploying say the same things in both languages, and are set as their language is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from etude.cli.main import app
from etude.pictures import bounds
from etude.runtime.serving.config import ServeConfig

ROOT = Path(__file__).parents[2]
GUIDES = {name: (ROOT / "docs" / name).read_text("utf-8") for name in ("deploy.md", "deploy.fr.md")}
TOLD = (
    "from etude import load", "/v1/predict", "/v1/segment", "/v1/generate", "/healthz", "/readyz", "/metrics", "413",
    "422", "429", "503", "bundle.json", "CONTRACT.md", "reference.npz", "--stop-timeout=40", "chgrp 10001",
    "systemctl restart etude-serve", "--memory=2g", "etude-serve --threads 2", "--connections", "--rate 0", "--none", "pip install pillow-heif", "pip install pyarrow",
    "`class`", "`first`", "ulimit -n", "`It may be made to keep a machine busy`",
)  # fmt: skip


@pytest.mark.parametrize("name", GUIDES)
@pytest.mark.parametrize("told", TOLD)
def test_both_guides_tell_it(name: str, told: str) -> None:
    assert told in GUIDES[name]


@pytest.mark.parametrize("name", GUIDES)
def test_an_extra_is_installed_from_where_etude_is(name: str) -> None:
    assert "etude[heic]" not in GUIDES[name]
    assert "etude[parquet]" not in GUIDES[name]


def test_french_signs_do_not_part_from_their_words() -> None:
    prose = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)", "", GUIDES["deploy.fr.md"], flags=re.DOTALL)
    assert re.findall(r".{0,20}[ \n][:;?»%](?!-)", prose) == []
    assert re.findall(r".{0,20} !", prose) == []
    assert re.findall(r".{0,20}\d[ \n](?:Mo|Go)\b", prose) == []


@pytest.mark.parametrize(
    ("name", "comma", "point", "mega"), [("deploy.md", ",", ".", "MB"), ("deploy.fr.md", "\u00a0", ",", "Mo")]
)
def test_a_guide_names_the_limits_that_hold(name: str, comma: str, point: str, mega: str) -> None:
    told = " ".join(GUIDES[name].split("\n"))
    for most in (bounds.MAX_SCANS, bounds.MAX_MARKERS, bounds.MAX_TILES):
        assert f" {most:,} ".replace(",", comma) in told
    assert f" {bounds.MAX_RUN_LENGTH / 1e6:g} m".replace(".", point) in told
    for most in (bounds.MAX_RUN_BYTES, bounds.MAX_EXIF):
        assert re.search(rf" {most / 1e6:g}[ \u00a0]{mega}\b", told)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "deploy.md",
            ("Both were written for current systems", "where all are being answered, the new one", "share one rate"),
        ),
        (
            "deploy.fr.md",
            (
                "Les deux ont été écrits pour des systèmes récents",
                "si toutes reçoivent une réponse, c’est la nouvelle qui est fermée",
                "se partagent un seul débit",
            ),
        ),
    ],
)
def test_a_guide_says_who_gives_way_and_who_shares_a_rate(name: str, said: tuple[str, ...]) -> None:
    told = " ".join(GUIDES[name].split("\n"))
    for words in said:
        assert words in told


def test_what_a_thread_needs_is_what_was_measured_everywhere() -> None:
    texts = [(ROOT / "deploy" / name).read_text("utf-8") for name in ("etude-serve.service", "Containerfile")]
    for text in (*texts, *GUIDES.values()):
        assert re.search(r"0[.,]7[ \u00a0]G[Bo] ", text)
        assert not re.search(r"half a GB|demi-Go", text)


def test_the_image_claims_no_more_than_the_lock_holds() -> None:
    assert "that were tested" not in (ROOT / "deploy/Containerfile").read_text("utf-8")
    assert 'name = "hatchling"' not in (ROOT / "uv.lock").read_text("utf-8"), "else the comment says too little"


@pytest.mark.parametrize("name", GUIDES)
def test_every_option_of_the_guides_is_one_of_its_command(name: str) -> None:
    for command, words in re.findall(r"^etude (index|search|gallery|serve|predict|generate) (.*)$", GUIDES[name], re.M):
        known = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"}).output
        for option in re.findall(r"--[a-z-]+", words):
            assert option in known, (command, option)


def test_the_unit_and_the_image_say_what_takes_new_keys() -> None:
    assert "restart etude-serve" in (ROOT / "deploy/etude-serve.service").read_text("utf-8")
    image = (ROOT / "deploy/Containerfile").read_text("utf-8")
    assert "--stop-timeout=40" in image
    assert "chgrp 10001" in image


def _options_of_serve() -> set[str]:
    told = CliRunner().invoke(app, ["serve", "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"}).output
    return set(re.findall(r"--[a-z][a-z-]*", told))


def test_the_unit_and_the_image_start_the_server_with_options_that_it_has() -> None:
    unit, image = ((ROOT / "deploy" / name).read_text("utf-8") for name in ("etude-serve.service", "Containerfile"))
    [start] = re.findall(r"^ExecStart=(.*)$", unit, re.M)
    [entry] = re.findall(r"^ENTRYPOINT (.*)$", image, re.M)
    run = [line for line in image.splitlines() if "etude-serve --" in line]
    guides = [
        line for guide in GUIDES.values() for line in guide.splitlines() if line.strip().startswith("etude-serve --")
    ]
    assert len(guides) == len(GUIDES)
    for line in (start, entry, *run, *guides):
        options = re.findall(r"--[a-z][a-z-]*", line)
        assert options, line
        assert set(options) <= _options_of_serve(), line


def test_the_image_is_made_of_what_is_there_and_of_what_was_locked() -> None:
    image = (ROOT / "deploy/Containerfile").read_text("utf-8")
    sources = [words.split()[:-1] for words in re.findall(r"^COPY (?!--from)(.*)$", image, re.M)]
    assert {"pyproject.toml", "uv.lock", "README.md", "src"} <= {name for names in sources for name in names}
    for name in (name for names in sources for name in names):
        assert (ROOT / name).exists(), name
    assert re.search(r"^RUN uv sync --frozen --no-dev", image, re.M)
    bases = re.findall(r"^FROM (\S+)", image, re.M)
    assert len(set(bases)) == 1, "what is compiled for one is not for another"
    assert re.search(r":\d+\.\d+\.\d+-", bases[0]), "a version to the last number"


def test_the_unit_has_descriptors_for_every_connection() -> None:
    unit = (ROOT / "deploy/etude-serve.service").read_text("utf-8")
    [most] = re.findall(r"^LimitNOFILE=(\d+)$", unit, re.M)
    assert int(most) >= 2 * ServeConfig().connections
