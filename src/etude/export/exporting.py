"""From a finished run to a bundle, step by step; nothing is written before every gate is passed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from etude.core.bundle_record import BundleRecord, GraphKind, Quantisation, Speed
from etude.core.counting import how_many
from etude.core.errors import MistakeError, sentence
from etude.core.seeds import derive
from etude.core.words import Part
from etude.export.asking import (
    Asked,
    Indices,
    as_trained,
    batches,
    batches_of,
    bundle_answers,
    network_answers,
    network_features,
)
from etude.export.bundling import check_place, with_entries, write_bundle
from etude.export.certainty import choose_certainty, choose_temperature, further_temperature, tempered
from etude.export.documents import contract, model_card
from etude.export.drafting import REFERENCE_FILE, Draft, make_draft
from etude.export.familiarity import choose_familiarity, class_means, draw_pictures, find_head
from etude.export.gate import check_agreement, check_loss, own_miou
from etude.export.generator import export_generator
from etude.export.graph import INPUT, OUTPUTS, Deployed, cooled, export_graph
from etude.export.logits import UNSEEN, check_logits, with_8_bits
from etude.export.quantise import quantise
from etude.export.request import Request, Told, Wishes
from etude.export.scoring import bundle_scores, recorded_agreement
from etude.export.speeds import measure_variants
from etude.metrics.calibration import with_temperature
from etude.runtime.bundled import at_once
from etude.runtime.predictor import Predictor, load
from etude.runtime.reference import drawn_pictures


def export_bundle(request: Request, wishes: Wishes, told: Told) -> BundleRecord:
    """Export a run: graph, gate, 8 bits if asked for, speeds, documents, file; then its own test.

    Args:
        request: the run, its network and its pictures.
        wishes: where to and how.
        told: hears where the work stands.

    Returns:
        The record of the bundle that was written.

    Raises:
        GateError: if the bundle disagrees with the network, or 8 bits lose too much; nothing is written then.
        ModelError: if the network cannot be made a graph.
        MistakeError: if there is no validation part, or the place cannot be written to.
    """
    check_place(wishes.to, as_folder=wishes.as_folder)
    if request.task == "generation":
        return export_generator(request, wishes, told)
    if not 0 <= wishes.max_loss <= 100:
        raise MistakeError(sentence("export", "--max-loss", "from 0 to 100 points", wishes.max_loss))
    for option, share in (("--sure", wishes.sure), ("--familiar", wishes.familiar)):
        if not 0 < share <= 1:
            raise MistakeError(sentence("export", option, "above 0 and at most 1", share))
    request.model.eval()
    validation = request.indices(Part.VALIDATION)
    told("finding what a familiar picture looks like")
    plain, pictures = _with_means(request, tells_logits=wishes.logits)
    told(f"asking the network about {how_many(len(validation), 'validation picture')}")
    network = network_answers(request, validation, plain)
    truth_N = request.source.items.labels[validation].astype(np.int64) if request.task == "classification" else None
    kept = request.temperature
    request, deployed, network = _calibrated(request, plain, network, truth_N)
    fitted = request.temperature if kept is None else None
    doubt = _Doubt(truth_N, request.threshold, pictures, wishes)
    told("making the ONNX graph")
    graphs = {"fp32": export_graph(deployed, request.prepare)}
    told("comparing the graph with the network, from the bytes of the pictures on")
    exact = Predictor(_draft(request, graphs["fp32"], "fp32", doubt.fields(network)))
    answers = bundle_answers(request, validation, exact)
    gate = check_agreement(request, validation, network, answers)
    logits = check_logits(request, validation, deployed, exact) if wishes.logits else None
    with_32 = request
    quantisation: Quantisation | None = None
    if wishes.int8:
        told("bringing the graph to 8 bits")
        small = _with_8_bits(request, graphs["fp32"], validation, answers, wishes, doubt)
        graphs["int8"], request, quantisation, answers = small.graph, small.request, small.lost, small.answers
        doubt = replace(doubt, threshold=request.threshold)
    gate = replace(gate, recorded=recorded_agreement(request, validation, answers))
    kind: GraphKind = "int8" if wishes.int8 else "fp32"
    if request.prepare.crop_to_box and truth_N is not None:
        told("asking the bundle about whole pictures, as its users do")
        whole = Predictor(_draft(request, graphs[kind], kind, doubt.fields(answers)))
        answers = bundle_answers(request, validation, whole, boxes=False)
    speeds: tuple[Speed, ...] = ()
    if wishes.measure:
        told("measuring the variants")
        speeds = measure_variants(request, deployed, graphs, told)
    measured = {"gate": gate, "quantisation": quantisation, "speeds": speeds, "logits": logits}
    request = replace(request, scores=bundle_scores(request, validation, answers, fitted, with_32))
    draft = _draft(request, graphs[kind], kind, {**doubt.fields(answers), **measured})
    if logits is not None and wishes.int8:
        told("measuring how far 8 bits move the logits")
        moved = replace(draft.record, logits=with_8_bits(logits, request, validation, exact, Predictor(draft)))
        draft = replace(draft, record=moved)
    if request.task == "segmentation":
        told("scoring the masks that it answers at the size of the labels")
        miou, interval = own_miou(request, validation, Predictor(draft))
        draft = replace(draft, record=replace(draft.record, own_miou=miou, own_miou_interval=interval))
    record, contents = _finished(request, draft)
    write_bundle(
        wishes.to, record, contents, as_folder=wishes.as_folder, check=lambda path: load(path).self_test()
    )  # fmt: skip
    return record


_CALIBRATED_PIXELS = 2**18
"""Pixels of the pictures whose ranges are taken at a time."""


@dataclass(frozen=True, eq=False)
class _Doubt:
    """What a bundle doubts: chosen anew for each graph, from what that graph answered."""

    truth_N: npt.NDArray[np.int64] | None
    """The true classes of the validation pictures; none for masks."""
    threshold: float | None
    """A detector's threshold."""
    pictures: int
    """Training pictures behind the means of the classes."""
    wishes: Wishes
    """The shares of sure and of familiar answers, and whether logits are given."""

    def fields(self, asked: Asked) -> dict[str, Any]:
        """Return what the record says of it, for a graph that answered validation so and whose logits none has seen."""
        told: dict[str, Any] = {"logits": UNSEEN if self.wishes.logits else None}
        if self.truth_N is not None:
            told["certainty"] = choose_certainty(self.truth_N, asked.answers, self.threshold, self.wishes.sure)
        if asked.familiarity_N is not None:
            told["familiarity"] = choose_familiarity(asked.familiarity_N, self.wishes.familiar, self.pictures)
        return told


def _with_means(request: Request, *, tells_logits: bool) -> tuple[Deployed, int]:
    """Return the network as it is deployed, with the means of its classes where it has a head, and their pictures."""
    deploy = partial(
        Deployed, request.model, request.prepare, request.task, request.temperature, tells_logits=tells_logits
    )  # fmt: skip
    plain = deploy()
    two_BHWC = torch.zeros(2, request.prepare.height_px, request.prepare.width_px, 3, dtype=torch.uint8)
    n_classes = len(request.classes)
    head = None
    if request.task == "classification":
        head = find_head(request.model, plain.normalise(two_BHWC), n_classes)
    if head is None:
        return plain, 0
    train = request.indices(Part.TRAIN)
    labels_N = request.source.items.labels.astype(np.int64)
    chosen = train[draw_pictures(labels_N[train])]
    features = (
        (network_features(plain, head, as_trained(request, part)), labels_N[part])
        for part in batches_of(request, chosen)
    )
    means_KD = class_means(features, n_classes)
    return deploy(head=head, means_KD=means_KD), len(chosen)


def _calibrated(
    request: Request, plain: Deployed, network: Asked, truth_N: npt.NDArray[np.int64] | None
) -> tuple[Request, Deployed, Asked]:
    """Fit the temperature where the study did not, so that a probability means what it says; masks have none."""
    if truth_N is None or request.temperature is not None:
        return request, plain, network
    temperature = choose_temperature(truth_N, network.answers)
    network = replace(network, answers=with_temperature(network.answers, temperature).astype(np.float32))
    return tempered(request, temperature), plain.at_temperature(temperature), network


@dataclass(frozen=True, eq=False)
class _Small:
    """A graph with 8 bits and what it came to."""

    graph: bytes
    request: Request
    """The run with the temperature and the threshold of this graph."""
    lost: Quantisation
    answers: Asked
    """To the validation pictures."""


def _with_8_bits(
    request: Request, graph: bytes, validation: Indices, answers: Asked, wishes: Wishes, doubt: _Doubt
) -> _Small:
    """Quantise on training pictures, make it as sure as it is right, and measure on validation what it costs."""
    train = request.indices(Part.TRAIN)
    rng = np.random.default_rng(derive(0, "calibration"))
    chosen = np.sort(rng.permutation(train)[: wishes.calibration_pictures])
    # The quantiser keeps every map of a batch until its end: a few large pictures at a time.
    size_px = (request.prepare.height_px, request.prepare.width_px)
    batch = at_once(size_px, wishes.calibration_pictures, _CALIBRATED_PIXELS)
    quantised = quantise(graph, (as_trained(request, part) for part in batches(chosen, batch)))
    small, given = request, doubt.fields(answers)
    further: float | None = None
    after = bundle_answers(small, validation, Predictor(_draft(small, quantised, "int8", given)))
    if doubt.truth_N is not None and request.temperature is not None:
        further = further_temperature(doubt.truth_N, after.answers, request.temperature)
        if (made := cooled(quantised, further)) is None:
            further = None
        else:
            quantised, small = made, tempered(request, further)
            # Asked anew: what counts as sure is taken from the answers of the very graph that is written.
            after = bundle_answers(small, validation, Predictor(_draft(small, quantised, "int8", given)))
    lost = check_loss(
        request, validation, answers, after, calibrated_on=len(chosen), max_loss=wishes.max_loss, further=further
    )
    return _Small(quantised, small, lost, after)


def _draft(request: Request, graph: bytes, kind: GraphKind, fields: dict[str, Any]) -> Draft:
    """Return a bundle that is not written yet."""
    return make_draft(
        request, graph, kind=kind, palette=request.palette, input=INPUT, output=OUTPUTS[request.task],
        temperature=request.temperature, threshold=request.threshold, **fields,
    )  # fmt: skip


def _finished(request: Request, draft: Draft) -> tuple[BundleRecord, dict[str, bytes]]:
    """Add the reference pictures and the documents."""
    pictures = drawn_pictures((request.prepare.height_px, request.prepare.width_px))
    reference = Predictor(draft).refer(pictures)
    contents = {
        **draft.contents,
        REFERENCE_FILE: reference.to_bytes(),
        "MODEL_CARD.md": model_card(draft.record).encode(),
        "CONTRACT.md": contract(draft.record).encode(),
    }
    return with_entries(draft.record, contents), contents
