"""`etude data cache`, in this process."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from etude.cli.main import app
from etude.core.errors import DataError
from etude.data.cache import PreparedCache
from etude.data.prepared import prepare_items
from etude.data.sources.streets import streets
from etude.pictures.prepare_config import Prepare


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("ETUDE_CACHE", str(tmp_path))
    return PreparedCache()


def etude(*words):
    result = CliRunner().invoke(app, words)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_list_limit_and_clear(cache):
    assert "0 B of 20 GB" in etude("data", "cache", "list")
    prepare_items(streets(n_train=1, n_test=1, n_frames=3), np.arange(4), Prepare(size_px=(48, 64)), keep=True)
    shown = etude("data", "cache", "list")
    assert "48 × 64 + masks" in shown
    assert "streets" in shown
    content = json.loads(etude("data", "cache", "list", "--json"))
    assert content["entries"][0]["pictures"] == 4
    assert content["used_bytes"] >= 4 * 4 * 48 * 64
    assert "of 60 kB" in etude("data", "cache", "limit", "60KB")
    assert len(cache.entries()) == 1
    assert "0 B of 10 kB" in etude("data", "cache", "limit", "10KB")
    assert cache.entries() == []
    prepare_items(streets(n_train=1, n_test=1, n_frames=3), np.arange(1), Prepare(size_px=8), keep=True)
    assert "freed" in etude("data", "cache", "clear")
    assert cache.entries() == []


def test_a_limit_that_is_no_size_is_refused(cache):
    with pytest.raises(DataError, match="20GB"):
        etude("data", "cache", "limit", "plenty")
