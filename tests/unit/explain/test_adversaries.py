"""A generator and its discriminator, layer by layer: one starts from a latent vector, the other from a picture."""

from __future__ import annotations

import pytest
import torch

from etude.explain.given import Given
from etude.explain.layers import describe_adversary
from etude.models import build_model
from etude.report.layer_words import tabulate_layers, tell_lacking, tell_layers
from etude.report.words import Words

GENERATORS = {
    "dcgan": {"name": "dcgan", "width": 4, "latent": 8},
    "normed": {"name": "dcgan", "width": 4, "latent": 8, "spectral_norm": True, "conditional": True},
    "fastgan": {"name": "fastgan", "width": 4, "latent": 8},
    "conditional": {"name": "fastgan", "width": 4, "latent": 8, "conditional": True},
}


def describe(name: str):
    model = build_model(GENERATORS[name], n_outputs=2, size_px=(32, 32), seed=0, task="generation").eval()
    chance = torch.Generator().manual_seed(0)
    classes = (torch.arange(10) % 2,) if model.n_classes else ()
    latents = Given((torch.randn(10, 8, generator=chance), *classes))
    pictures = Given((torch.randn(10, 3, 32, 32, generator=chance), *classes), {"redraw": True})
    about = {"network": name, "size_px": (32, 32)}
    return (
        model,
        describe_adversary(model.generator, latents, side="generator", **about),
        describe_adversary(model.discriminator, pictures, side="discriminator", is_trained=False, **about),
    )


@pytest.mark.parametrize("name", list(GENERATORS))
def test_both_networks_are_told_layer_by_layer(name):
    model, generator, discriminator = describe(name)
    for network, record in ((model.generator, generator), (model.discriminator, discriminator)):
        assert record.params == sum(row.params for row in record.rows)
        assert record.params == sum(parameter.numel() for parameter in network.parameters())
        assert sum(row.time_share for row in record.rows) == pytest.approx(1)
        assert all(row.fall_bypassed is None and row.fall_shuffled is None for row in record.rows)
        assert not [row.name for row in record.rows if row.kind in ("head", "parameters")]
    assert [row.output_shape for row in generator.rows][-1] == (3, 32, 32)
    assert all(row.receptive_px is None and not row.sees_all for row in generator.rows)
    assert any(row.sparsity for row in generator.rows)
    assert generator.n_seen == 10
    convolutions = [row for row in discriminator.rows if row.kind == "convolution"]
    first = convolutions[0]
    assert first.receptive_px == ((3, 3) if name in ("fastgan", "conditional") else (4, 4))
    assert max(row.receptive_px or (0, 0) for row in convolutions) > (16, 16)
    assert all(row.dead is None for row in discriminator.rows)
    assert discriminator.n_seen == 0


def test_gates_that_derive_from_an_activation_of_torch_are_activations():
    _, generator, _ = describe("fastgan")
    gates = [row for row in generator.rows if row.type == "Gate"]
    assert [(row.kind, row.input_shape[0] // row.output_shape[0]) for row in gates] == [("activation", 2)] * 4
    assert all(row.sparsity is not None for row in gates)


def test_receptive_fields_of_a_discriminator_are_those_worked_by_hand():
    # Convolutions of 4×4 with stride 2 from 32 px to 4: 4, 10, 22; then one of 4×4 over places 8 apart: 22 + 3 · 8.
    _, _, record = describe("dcgan")
    assert [row.receptive_px for row in record.rows if row.kind == "convolution"] == [
        (4, 4),
        (10, 10),
        (22, 22),
        (46, 46),
    ]


@pytest.mark.parametrize(
    ("language", "latent", "chance", "kept"),
    [
        ("en", "latent vector", "mostly chance", "are not kept"),
        ("fr", "vecteur latent", "surtout du hasard", "ne sont pas gardés"),
    ],
)
def test_words_of_a_generator_speak_of_no_answer_and_say_what_is_not_measured(language, latent, chance, kept):
    words = Words(language)
    for name in GENERATORS:
        _, generator, discriminator = describe(name)
        cells = [row[-1].text for row in tabulate_layers(generator, words).rows]
        assert all(cells)
        assert latent in cells[0]
        assert not [text for text in cells if words.say("the answer") in text]
        headings = [column.heading for column in tabulate_layers(generator, words).columns]
        assert words.say("receptive field") not in headings
        assert words.say("fall without it") not in headings
        assert words.say("receptive field") in [
            column.heading for column in tabulate_layers(discriminator, words).columns
        ]
        assert chance in tell_lacking(generator, words)[0]
        assert kept in tell_layers(discriminator, words)[-1]
        assert not [text for text in tell_layers(generator, words) if kept in text]
