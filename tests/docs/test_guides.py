"""The study files in the guides hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from etude.study.file import StudyConfig

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = [
    pytest.param(block, id=f"{name}-{number}")
    for name in ("transfer", "detectors", "robustness", "search", "segmentation", "generation", "report")
    for number, block in enumerate(
        re.findall(r"```yaml\n(.*?)```", (DOCS / f"{name}.md").read_text("utf-8"), re.DOTALL)
    )
]


@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_is_a_part_of_a_study(block):
    fields = yaml.safe_load(block)
    assert set(StudyConfig.model_validate(fields).model_fields_set) == set(fields)
