"""From a trained generator to a bundle: graph, gate on fixed seeds, speeds, documents, file; then its own test.

Shapes: B pictures, Z latent numbers, C channels, H and W pixels.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from etude.core.bundle_record import BundleRecord, Gate, Speed
from etude.core.counting import how_many
from etude.core.errors import GateError, MistakeError, sentence
from etude.export.bundling import with_entries, write_bundle
from etude.export.drafting import GRAPH_FILE, REFERENCE_FILE, make_draft
from etude.export.gate import LEAST_AGREEMENT
from etude.export.generator_documents import generator_card, generator_contract
from etude.export.graph import make_onnx
from etude.export.request import Request, Told, Wishes
from etude.models.networks.adversaries import Adversaries
from etude.pictures.reading import Pixels
from etude.runtime.generator import REFERENCE_SEED, Generator, agreement_of, load_generator
from etude.runtime.latents import draw_latents
from etude.runtime.measuring import BATCH, percentiles_ms
from etude.runtime.reference import Reference
from etude.runtime.session import CLASSES, LATENTS, PICTURES

_GATE_SEED: Final = 1
_GATE_PICTURES: Final = 64
_REFERENCE_PICTURES: Final = 4
_RATE_SECONDS: Final = 1.0

Classes = npt.NDArray[np.int64]


class DeployedGenerator(nn.Module):
    """A generator with its levels behind it.

    Maps latent vectors (B, Z) float32, and class ids (B,) int64 where it is conditional, to uint8 (B, H, W, 3).
    """

    def __init__(self, networks: Adversaries) -> None:
        super().__init__()
        self.generator = networks.generator
        self.is_conditional = networks.n_classes > 0

    def forward(self, latents: Tensor, classes: Tensor | None = None) -> Tensor:
        """Generate."""
        images_BCHW: Tensor = self.generator(latents, classes).float()
        return ((images_BCHW.clamp(-1, 1) + 1) * 127.5).round().permute(0, 2, 3, 1).to(torch.uint8)

    @torch.no_grad()
    def generate(self, latents_BZ: npt.NDArray[np.float32], classes_B: Classes) -> Pixels:
        """Generate in PyTorch, on the CPU."""
        classes = torch.from_numpy(classes_B) if self.is_conditional else None
        pictures: Pixels = self.eval()(torch.from_numpy(latents_BZ), classes).numpy()
        return pictures


def export_generator(request: Request, wishes: Wishes, told: Told) -> BundleRecord:
    """Export the run of a generator.

    Args:
        request: the run and its networks.
        wishes: where to and how.
        told: hears where the work stands.

    Returns:
        The record of the bundle that was written.

    Raises:
        GateError: if the bundle disagrees with the network; nothing is written then.
        ModelError: if the network cannot be made a graph.
        MistakeError: if 8 bits are asked for, or logits.
    """
    for option, is_wanted, remedy in (
        ("--int8", wishes.int8, "What 8 bits cost in a picture is not measured."),
        ("--logits", wishes.logits, "It makes pictures, and weighs no classes."),
    ):
        if is_wanted:
            raise MistakeError(sentence("export", option, "left out for a generator", True, remedy))
    networks = request.model
    assert isinstance(networks, Adversaries)
    deployed = DeployedGenerator(networks.eval())
    told("making the ONNX graph")
    graph = export_generator_graph(deployed, networks.latent)
    draft = make_draft(
        request, graph, input=LATENTS, output=PICTURES, latent=networks.latent, conditional=networks.n_classes > 0
    )
    generator = Generator(draft)
    told(f"comparing the graph with the network on {_GATE_PICTURES} pictures of a fixed seed")
    gate = check_generator(generator, deployed)
    speeds: tuple[Speed, ...] = ()
    if wishes.measure:
        told("measuring the variants")
        speeds = _measure(request, generator, deployed, len(graph))
    record = replace(draft.record, gate=gate, speeds=speeds)
    reference = Reference(
        generator(_REFERENCE_PICTURES, seed=REFERENCE_SEED),
        draw_latents(REFERENCE_SEED, range(_REFERENCE_PICTURES), networks.latent),
    )
    contents = {
        GRAPH_FILE: graph,
        REFERENCE_FILE: reference.to_bytes(),
        "MODEL_CARD.md": generator_card(record).encode(),
        "CONTRACT.md": generator_contract(record).encode(),
    }
    record = with_entries(record, contents)
    write_bundle(
        wishes.to, record, contents, as_folder=wishes.as_folder, check=lambda path: load_generator(path).self_test()
    )
    return record


def export_generator_graph(deployed: DeployedGenerator, latent: int) -> bytes:
    """Return the ONNX file of a generator, for any number of pictures at a time.

    Raises:
        ModelError: if PyTorch cannot turn the network into a graph of standard operators.
    """
    latents_BZ = torch.zeros(2, latent)
    if deployed.is_conditional:
        return make_onnx(deployed, (latents_BZ, torch.zeros(2, dtype=torch.int64)), (LATENTS, CLASSES), (PICTURES,))
    return make_onnx(deployed, (latents_BZ,), (LATENTS,), (PICTURES,))


def check_generator(generator: Generator, deployed: DeployedGenerator) -> Gate:
    """Compare what the bundle and the network generate from the same seed.

    Raises:
        GateError: if they disagree; the text says by how much.
    """
    wishes = generator.wishes(_GATE_PICTURES, seed=_GATE_SEED)
    ours = np.stack(list(generator.stream(wishes)))
    latents_BZ = draw_latents(_GATE_SEED, [wish.number for wish in wishes], generator.latent)
    theirs = deployed.generate(latents_BZ, np.array([wish.class_id for wish in wishes], np.int64))
    difference = np.abs(ours.astype(np.int16) - theirs.astype(np.int16))
    gate = Gate(
        pictures=len(ours),
        agreement=agreement_of(ours, theirs),
        largest_difference=float(difference.max()) / 255,
    )
    if gate.agreement < LEAST_AGREEMENT:
        raise GateError(
            f"export: the bundle disagrees with PyTorch: at least {LEAST_AGREEMENT:.1%} of the levels must differ by "
            f"at most 1 of 255. {gate.agreement:.3%} do, on {how_many(gate.pictures, 'generated picture')}. "
            f"Nothing was written."
        )
    return gate


def _measure(
    request: Request, generator: Generator, deployed: DeployedGenerator, n_bytes: int
) -> tuple[Speed, ...]:  # fmt: skip
    """Measure the network and the graph on the same vectors; memory is not measured."""
    latents_BZ = draw_latents(_GATE_SEED, range(BATCH), generator.latent)
    classes_B = np.zeros(BATCH, np.int64)
    ways: tuple[tuple[str, Callable[[int], object], int], ...] = (
        ("pytorch", lambda count: deployed.generate(latents_BZ[:count], classes_B[:count]),
         request.weights.stat().st_size),
        ("fp32", lambda count: generator.answer(latents_BZ[:count], classes_B[:count].tolist()), n_bytes),
    )  # fmt: skip
    return tuple(_speed(name, make, size) for name, make, size in ways)


def _speed(name: str, make: Callable[[int], object], n_bytes: int) -> Speed:
    p50, p95, p99 = percentiles_ms(lambda: make(1), _RATE_SECONDS)
    count, started = 0, time.perf_counter()
    while count < 2 or time.perf_counter() - started < _RATE_SECONDS:
        make(BATCH)
        count += 1
    rate = BATCH * count / (time.perf_counter() - started)
    return Speed(name=name, p50_ms=p50, p95_ms=p95, p99_ms=p99, images_per_s=rate, size_mb=n_bytes / 1e6)
