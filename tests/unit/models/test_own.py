"""A network of the user's own: found, built, part of the identity, and every mistake told in a sentence."""

from __future__ import annotations

import sys

import pytest
import torch
from safetensors.torch import save_file

from etude.core.errors import ModelError
from etude.models import build_model, resolve_spec

NET = """
from torch import nn
{imports}
class Net(nn.Module):
    def __init__(self, {arguments}):
        super().__init__()
        {first}
        self.head = nn.Linear(3, {outputs})

    def forward(self, images):
        return self.head(images.mean((2, 3)))

def make(n_outputs):
    return {made}

class Loose(Net):
    def __init__(self, **settings):
        super().__init__(settings["n_outputs"] if "n_outputs" in settings else 10)
"""


def write(
    folder, name="nets.py", imports="", arguments="n_outputs", first="", outputs="n_outputs", made="Net(n_outputs)"
):
    text = NET.format(imports=imports, arguments=arguments, first=first, outputs=outputs, made=made)
    (folder / name).write_text(text)
    return folder


def build(spec, folder, n_outputs=4):
    return build_model(spec, n_outputs=n_outputs, size_px=(16, 24), seed=0, base=folder)


@pytest.mark.parametrize("arguments", ["n_outputs", "num_classes", "*, n_classes=3", "n_outputs, size_px"])
def test_the_constructor_is_offered_what_it_asks_for(tmp_path, arguments):
    outputs = next(name for name in ("n_outputs", "num_classes", "n_classes") if name in arguments)
    write(tmp_path, arguments=arguments, outputs=outputs)
    model = build("nets.py:Net", tmp_path)
    assert model(torch.zeros(2, 3, 16, 24)).shape == (2, 4)


def test_size_px_is_height_and_width(tmp_path):
    write(tmp_path, arguments="n_outputs, size_px", first="self.seen = size_px")
    assert build("nets.py:Net", tmp_path).seen == (16, 24)


def test_a_function_that_gives_a_module_will_do(tmp_path):
    assert build("nets.py:make", write(tmp_path)).head.out_features == 4


def test_parameters_are_keyword_arguments(tmp_path):
    write(tmp_path, arguments="n_outputs, rate=0.5, mode='a'", first="self.rate, self.mode = rate, mode")
    model = build({"python": "nets.py:Net", "rate": 0.25}, tmp_path)
    assert (model.rate, model.mode) == (0.25, "a")


def test_identity_is_source_and_parameters_and_not_the_path(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir(), two.mkdir()
    write(one), write(two, name="other.py")
    first = resolve_spec("nets.py:Net", one).identity
    assert first == resolve_spec("other.py:Net", two).identity
    assert str(tmp_path) not in str(first)
    write(two, name="other.py", first="self.extra = 1")
    assert first != resolve_spec("other.py:Net", two).identity
    assert first != resolve_spec("nets.py:make", one).identity


def test_neighbours_that_it_imports_are_part_of_the_identity_and_do_not_leak(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for index, folder in enumerate(folders):
        folder.mkdir()
        write(folder, imports="from blocks import SIZE", first="self.size = SIZE")
        (folder / "blocks.py").write_text(f"SIZE = {index}\n")
    identities = [resolve_spec("nets.py:Net", folder).identity for folder in folders]
    assert identities[0] != identities[1]
    assert [build("nets.py:Net", folder).size for folder in folders] == [0, 1]
    assert "blocks" not in sys.modules
    assert not [entry for entry in sys.path if entry.startswith(str(tmp_path))]


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("gone.py:Net", "python must be an existing file"),
        ("nets.py:Nett", "unknown name 'Nett'. Did you mean 'Net'?"),
        ({"python": "nets.py"}, "python must be FILE.py:CLASS"),
        ({"python": "nets.py:Net", "widht": 3}, "nets.py:Net: parameter: unknown name 'widht'"),
        ({"python": "nets.py:Net", "n_outputs": 3}, "n_outputs must be left out: the data decides it"),
        ({"python": "nets.py:Net", "weights": "imagenet"}, "weights must be left out"),
    ],
)
def test_mistakes_are_told_before_anything_runs(tmp_path, spec, told):
    write(tmp_path)
    with pytest.raises(ModelError) as caught:
        resolve_spec(spec, tmp_path)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "name", "told"),
    [
        ({"first": "raise RuntimeError('no luck')"}, "Net", "fails when it is built (line 7: RuntimeError: no luck)"),
        ({"imports": "import not_there_at_all"}, "Net", "fails when it is run (line 3: ModuleNotFoundError"),
        ({"outputs": "7"}, "Net", "output must be logits of shape (2, 4) for a batch of 2 pictures. Got (2, 7)"),
        ({"made": "n_outputs"}, "make", "must be a torch.nn.Module. Got 'int'"),
        (
            {"first": "self.head = None", "outputs": "n_outputs).requires_grad_(False); self.head = nn.Linear(5, 2"},
            "Net",
            "must accept pictures of 16×24 px. It gave RuntimeError",
        ),
    ],
)
def test_a_network_that_fails_is_told_in_a_sentence(tmp_path, changes, name, told):
    write(tmp_path, **changes)
    with pytest.raises(ModelError) as caught:
        build(f"nets.py:{name}", tmp_path)
    assert told in str(caught.value)


def test_a_file_that_is_no_python_is_told_with_its_line(tmp_path):
    (tmp_path / "nets.py").write_text("class Net(:\n")
    with pytest.raises(ModelError, match="line 1 is not valid Python"):
        resolve_spec("nets.py:Net", tmp_path)


def test_a_checkpoint_fills_it_and_its_content_is_part_of_the_identity(tmp_path):
    write(tmp_path)
    trained = build("nets.py:Net", tmp_path)
    save_file(trained.state_dict(), tmp_path / "trained.safetensors")
    spec = {"python": "nets.py:Net", "checkpoint": "trained.safetensors"}
    model = build_model(spec, n_outputs=4, size_px=(16, 16), seed=99, base=tmp_path)
    assert torch.equal(model.head.weight, trained.head.weight)
    first = resolve_spec(spec, tmp_path).identity
    with torch.no_grad():
        trained.head.bias.add_(1)
    save_file(trained.state_dict(), tmp_path / "other.safetensors")
    assert first != resolve_spec({**spec, "checkpoint": "other.safetensors"}, tmp_path).identity


def test_a_checkpoint_with_other_outputs_is_refused_or_given_a_new_head(tmp_path):
    spec = {"name": "cnn", "depth": 1, "checkpoint": "ten.safetensors"}
    ten = build({"name": "cnn", "depth": 1}, tmp_path, n_outputs=10)
    save_file(ten.state_dict(), tmp_path / "ten.safetensors")
    with pytest.raises(ModelError, match=r"head.weight has shape \(10, 32\), not \(4, 32\).*give `new_head: true`"):
        build(spec, tmp_path)
    model = build({**spec, "new_head": True}, tmp_path)
    assert model.head.out_features == 4
    assert torch.equal(model.blocks[0][0].weight, ten.blocks[0][0].weight)
    with pytest.raises(ModelError, match="is missing"):
        build({**spec, "convs": 3, "new_head": True}, tmp_path)


def test_a_checkpoint_that_is_no_safetensors_is_told(tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"not really")
    with pytest.raises(ModelError, match="cannot be read as safetensors"):
        build({"name": "cnn", "checkpoint": "bad.safetensors"}, tmp_path)
