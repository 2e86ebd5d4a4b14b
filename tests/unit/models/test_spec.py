from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import etude.models.networks
from etude.core.errors import ModelError
from etude.models import MODELS, ModelSpec, card_of, resolve_spec


def test_the_room_loads_no_torch():
    code = (
        "import sys, etude.models as m; m.resolve_spec({'name': 'cnn', 'depth': 4}); m.card_of('airnet');"
        "print([name for name in ('torch', 'timm', 'torchvision') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_name_alone_has_an_identity_of_one_word():
    assert resolve_spec("cnn").identity == {"name": "cnn"}
    assert resolve_spec({"name": "cnn", "widths": [32, 64, 128], "dropout": 0}).identity == {"name": "cnn"}


def test_full_holds_every_default_and_is_json():
    full = resolve_spec({"name": "mlp", "widths": [8]}).full
    assert json.loads(json.dumps(full)) == full
    assert full["widths"] == [8]
    assert full["dropout"] == 0.0
    assert resolve_spec(full).full == full


@pytest.mark.parametrize("family", [name for name in MODELS if name != "python"])
def test_every_parameter_has_its_line_of_doc_and_a_default(family):
    fields = MODELS[family].params.model_fields
    assert all(field.description and not field.is_required() for field in fields.values())
    assert not set(fields) & set(ModelSpec.model_fields)


def test_depth_and_one_width_are_the_widths_they_stand_for():
    assert resolve_spec({"name": "cnn", "depth": 4}).identity == {"name": "cnn", "widths": [32, 64, 128, 256]}
    assert resolve_spec({"name": "cnn", "widths": 64}).params.widths == (64, 128, 256)
    assert resolve_spec({"name": "cnn", "widths": 200, "depth": 3}).params.widths == (200, 400, 512)
    assert resolve_spec({"name": "cnn", "depth": 3}).identity == {"name": "cnn"}
    assert resolve_spec({"name": "vgg", "widths": 64}).identity == {"name": "vgg"}


def test_all_mistakes_are_told_together_with_the_nearest_names():
    with pytest.raises(ModelError) as caught:
        resolve_spec({"name": "cnn", "widht": [3], "dropout": 2, "pool": "maximum", "convs": 0, "kernel_px": 4})
    lines = str(caught.value).splitlines()
    assert len(lines) == 5
    assert "model cnn: dropout must be less than 1. Got 2." in lines
    assert "model cnn: convs must be between 1 and 8. Got 0." in lines
    assert any("unknown name 'widht'" in line and "'widths'" in line for line in lines)
    assert any("'max', 'avg' or 'stride'" in line for line in lines)
    assert any("kernel_px must be 1, 3, 5 or 7. Got 4." in line for line in lines)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"name": "cnn", "depth": 3, "widths": [8, 8]}, "depth must be the number of widths, 2. Got 3."),
        ({"name": "cnn", "depth": 9}, "depth must be less than or equal to 8. Got 9."),
        ({"name": "cnn", "convs": [1, 2]}, "convs must be one number, or 3 as widths has"),
        ({"name": "cnn", "weights": "imagenet"}, "weights must be left out"),
        ({"name": "resnet", "depth": 21}, "depth must be 8, 14, 20"),
        ({"name": "mlp", "widths": [64, 0]}, "widths.1 must be greater than or equal to 1. Got 0."),
        ({"model": "cnn"}, "name must be given"),
        ({"name": "cnn", "checkpoint": "old.pt"}, "checkpoint must be a .safetensors file"),
        ({"name": "cnn", "checkpoint": "none.safetensors"}, "checkpoint must be an existing file"),
    ],
)
def test_a_mistake_gives_a_sentence(given, told):
    with pytest.raises(ModelError, match=r"^model") as caught:
        resolve_spec(given)
    assert told in str(caught.value)


@pytest.mark.parametrize("name", list(MODELS))
def test_every_family_has_a_card_under_its_name(name):
    card = card_of(name)
    assert card.name == name
    assert card.title
    assert card.licence_code


@pytest.mark.parametrize("family", list(MODELS))
def test_a_family_names_the_files_of_its_networks(family):
    networks = Path(etude.models.networks.__file__).parent
    assert all((networks / name).is_file() for name in MODELS[family].sources)
    builder = ast.parse(inspect.getsource(inspect.getmodule(MODELS[family].build)))
    imported = {
        f"{node.module.rpartition('.')[2]}.py"
        for node in ast.walk(builder)
        if isinstance(node, ast.ImportFrom) and node.module.startswith("etude.models.networks.")
    }
    assert MODELS[family].sources[0] in imported


def test_what_a_network_was_not_before_is_a_part_of_its_identity_at_its_default_too():
    assert resolve_spec("fastgan").identity == {"name": "fastgan", "patches": True}
    assert resolve_spec({"name": "fastgan", "patches": False}).identity == {"name": "fastgan", "patches": False}
