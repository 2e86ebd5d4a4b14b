"""The contract of every rung of generators: shapes, gradients, two steps of training, resumed bit for bit."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from etude.core.errors import DivergenceError, ModelError
from etude.core.run_record import Epoch
from etude.core.watch import Silent
from etude.data.augment import AugmentConfig
from etude.data.prepared import PreparedSet
from etude.evaluate.generation_config import GenerationConfig
from etude.models import MODELS, build_model
from etude.models.execution import Execution
from etude.models.networks.adversaries import ClassMatch
from etude.pictures.generated import grid
from etude.pictures.prepare_config import Prepare
from etude.tasks.generation import ADVERSARIAL_LOSSES, gradient_penalty
from etude.train.adversarial import Duel, collapse_note, fit_generator, passed_collapse_note, without_halves
from etude.train.config import TrainConfig
from etude.train.differentiable import DIFFERENTIABLE
from etude.train.job import Job
from etude.train.samples import Variety, draw_wanted, generate, spread, to_bytes, watched_samples

SMALL = {"width": 4, "most_width": 16, "latent": 8}
RUNGS = {
    "dcgan": {"name": "dcgan", **SMALL},
    "dcgan-sn": {"name": "dcgan", "spectral_norm": True, **SMALL},
    "fastgan": {"name": "fastgan", **SMALL},
    "fastgan-whole": {"name": "fastgan", "reconstruction": "whole", "excitation": False, "patches": False, **SMALL},
    "conditional": {"name": "fastgan", "conditional": True, **SMALL},
    "conditional-dcgan": {"name": "dcgan", "conditional": True, **SMALL},
}
PLAIN = {
    "batch": 4,
    "steps": 2,
    "optimizer": {"name": "adamw", "lr": 1e-3, "momentum": 0.5, "weight_decay": 0.0},
    "schedule": "constant",
    "loss": "hinge",
    "average": {"name": "ema", "decay": 0.9},
    "adversarial": {
        "augment": ["color", "translation", "cutout"],
        "r1": 1.0,
        "r1_every": 2,
        "look_every": 1,
        "collapse": 0,
    },
}


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make_job(spec, size_px=16, precision="fp32", **train):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (9, size_px, size_px, 3), dtype=np.uint8)
    made = PreparedSet(pictures, np.arange(9) % 3, None, np.arange(9))
    return Job(
        identity="1a2b",
        study="pandas",
        candidate="tiny",
        seed=5,
        fold=None,
        config={},
        task="generation",
        classes=("a", "b", "c"),
        metric="kid",
        also=(),
        prepare=Prepare.model_validate({"size_px": size_px}),
        augment=AugmentConfig(use=("flip",)),
        train=TrainConfig.model_validate({**PLAIN, **train}),
        build=lambda: build_model(spec, n_outputs=3, size_px=(size_px, size_px), seed=5, task="generation"),
        execution=Execution(torch.device("cpu"), precision, channels_last=True),
        parts=lambda _: made,
        item_ids=lambda indices: indices.astype(str),
    )


@pytest.mark.parametrize("rung", RUNGS)
def test_two_steps_change_both_networks_and_leave_samples_to_watch(rung, tmp_path):
    job = make_job(RUNGS[rung])
    before = {name: tensor.clone() for name, tensor in job.build().state_dict().items()}
    fitted = fit_generator(job, tmp_path, Silent())
    changed = {name for name, tensor in fitted.model.state_dict().items() if not torch.equal(tensor, before[name])}
    # Inside the hinge's margin the gradients of real and generated pictures on the last bias cancel exactly.
    named = {name for name, _ in fitted.model.named_parameters()} - {"discriminator.last.bias"}
    assert named <= changed, named - changed
    assert fitted.steps == 2
    assert [line.step for line in fitted.progress.epochs()] == [1, 2]
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == ["step-000001.png", "step-000002.png"]
    pictures = generate(fitted.model, draw_wanted(fitted.model, 5, 1), job.execution)
    assert pictures.shape == (5, 3, 16, 16)
    assert pictures.abs().max() <= 1


@pytest.mark.parametrize("rung", ["dcgan", "fastgan", "conditional"])
def test_a_killed_run_goes_on_with_the_same_random_stream(rung, tmp_path):
    job = make_job(RUNGS[rung], steps=4)
    whole = fit_generator(job, tmp_path / "whole", Silent())
    for _ in range(2):  # killed after a look, and between two looks

        class Killed(Silent):
            def epoch_done(self, epoch):
                if epoch.epoch in (1, 3):
                    raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fit_generator(job, tmp_path / "killed", Killed())
        torch.manual_seed(99)  # what another run left behind
    resumed = fit_generator(job, tmp_path / "killed", Silent())
    assert resumed.progress.interruptions == 2
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name
    for kind in ("train_loss", "adversarial"):
        ours, theirs = ([getattr(line, kind) for line in run.progress.epochs()] for run in (whole, resumed))
        assert ours == theirs
    final = "samples/step-000004.png"
    assert (tmp_path / "whole" / final).read_bytes() == (tmp_path / "killed" / final).read_bytes()


@pytest.mark.parametrize("rung", ["dcgan", "conditional"])
def test_the_batch_norms_of_an_averaged_generator_are_settled_on_its_own_pictures(rung):
    duel = Duel(make_job(RUNGS[rung], batch=8))
    norms = [layer for layer in duel.model.generator.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for weights in duel.model.generator.parameters():
            weights += torch.randn_like(weights)

    def far_off() -> list[float]:
        """Return, for each norm, how far its variance is from that of many pictures, as a logarithm."""
        kept, seen = [(layer.running_mean.clone(), layer.running_var.clone()) for layer in norms], []
        hooks = [layer.register_forward_pre_hook(lambda _, maps: seen.append(maps[0])) for layer in norms]
        wanted = draw_wanted(duel.model, 512, 3, torch.arange(9) % 3)
        with torch.no_grad():
            duel.model.train()(wanted.latents_NZ, wanted.classes_N)
        for layer, (mean, variance), hook in zip(norms, kept, hooks, strict=True):
            layer.running_mean.copy_(mean)
            layer.running_var.copy_(variance)
            hook.remove()
        ratios = [maps.var((0, 2, 3)) / variance for maps, (_, variance) in zip(seen, kept, strict=True)]
        return [float(ratio.log().abs().mean()) for ratio in ratios]

    assert min(far_off()) > 1
    duel.settle()
    assert max(far_off()) < 0.2
    assert {layer.momentum for layer in norms} == {0.1}


@pytest.mark.parametrize("rung", ["dcgan", "conditional"])
def test_a_look_shows_the_generator_that_would_be_kept_and_leaves_nothing_behind(rung, tmp_path):
    duel = Duel(make_job(RUNGS[rung]))
    duel.begin(0)
    for number in range(3):
        duel.step(number)
    model = {name: tensor.clone() for name, tensor in duel.model.state_dict().items()}
    average = {name: tensor.clone() for name, tensor in duel.average.tensors.items()}
    shown = duel.look()
    assert all(torch.equal(tensor, model[name]) for name, tensor in duel.model.state_dict().items())
    assert all(torch.equal(tensor, average[name]) for name, tensor in duel.average.tensors.items())
    duel.swap_average()
    duel.settle()
    assert torch.equal(shown, watched_samples(duel.model, duel.execution, duel.job.seed))
    fitted = fit_generator(make_job(RUNGS[rung]), tmp_path, Silent())  # whose last look is at its end
    last = to_bytes(watched_samples(fitted.model, duel.execution, duel.job.seed))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "samples/step-000002.png")), grid(last, None))


@pytest.mark.parametrize("rung", ["dcgan-sn", "fastgan"])
def test_a_spectral_norm_is_taken_once_for_the_pictures_of_both_kinds(rung):
    duel = Duel(make_job(RUNGS[rung], adversarial={"r1": 0.0}))
    duel.begin(0)
    duel.step(0)
    norm = duel.model.discriminator.last.parametrizations.weight
    seen = []
    hook = norm[0].register_forward_hook(lambda *_: seen.append(None))
    duel.step(1)
    hook.remove()
    assert len(seen) == 2  # when the discriminator learns, and once more when the generator does, from its new weights


@pytest.mark.parametrize("rung", ["dcgan-sn", "fastgan"])
def test_a_spectral_norm_is_taken_in_full_precision_where_all_else_is_cast_down(rung, monkeypatch):
    """On a GPU autocast casts `mv`, by which the norm is found; on a CPU not, where `mm` takes its part here."""
    monkeypatch.setattr(torch, "mv", lambda matrix, vector: torch.mm(matrix, vector[:, None])[:, 0])
    weights = []
    for precision in ("fp32", "bf16"):
        duel = Duel(make_job(RUNGS[rung], precision=precision))
        with duel.execution.autocast():
            assert (torch.mv(torch.eye(2), torch.ones(2)).dtype == torch.bfloat16) == (precision == "bf16")
            last = duel.model.discriminator.train().last
            weights.append(last.weight.detach().clone())
        assert last.parametrizations.weight[0]._u.dtype == weights[-1].dtype == torch.float32
    assert torch.equal(*weights)


def test_nothing_of_a_spectral_norm_is_cast_on_a_cpu_so_the_guard_changes_nothing_there():
    from torch.nn.utils.parametrizations import spectral_norm as of_torch

    from etude.models.networks.adversaries import spectral_norm

    found = []
    for normed in (spectral_norm, of_torch):
        torch.manual_seed(3)
        layer = normed(torch.nn.Conv2d(4, 6, 3))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found.append([layer.weight.detach(), *layer.state_dict().values()])
        names = list(layer.state_dict())
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))
    assert names == [
        "bias",
        "parametrizations.weight.original",
        "parametrizations.weight.0._u",
        "parametrizations.weight.0._v",
    ]


def test_how_much_training_pictures_differ_is_seen_on_no_more_than_memory_allows(monkeypatch):
    duel = Duel(make_job(RUNGS["dcgan"]))
    real = duel.pictures_NCHW.float() / 127.5 - 1
    assert duel.variety().of_real == {None: spread(real)}
    monkeypatch.setattr("etude.train.adversarial._COMPARED", 4)
    assert duel.variety().of_real == {None: spread(real[:: -(-len(real) // 4)])}
    told_classes = Duel(make_job(RUNGS["conditional"])).variety().of_real
    assert set(told_classes) <= {0, 1, 2}


@pytest.mark.parametrize("size_px", [8, 32])
@pytest.mark.parametrize("name", ["dcgan", "fastgan"])
def test_other_sizes_and_the_lower_precision(name, size_px, tmp_path):
    job = make_job({"name": name, **SMALL}, size_px=size_px, precision="bf16", steps=1, loss="non-saturating")
    fitted = fit_generator(job, tmp_path, Silent())
    assert generate(fitted.model, draw_wanted(fitted.model, 2, 1), job.execution).shape == (2, 3, size_px, size_px)
    assert all(tensor.dtype == torch.float32 for tensor in fitted.model.parameters())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("rung", RUNGS)
def test_two_steps_at_128_px_on_a_gpu(rung, tmp_path):
    job = make_job(RUNGS[rung], size_px=128, precision="bf16")
    job = replace(job, execution=replace(job.execution, device=torch.device("cuda")))
    fitted = fit_generator(job, tmp_path, Silent())
    assert fitted.steps == 2
    pictures = generate(fitted.model, draw_wanted(fitted.model, 3, 1), job.execution)
    assert pictures.shape == (3, 3, 128, 128)
    assert pictures.isfinite().all()


def test_where_the_device_would_take_float16_all_is_done_in_full_precision(tmp_path):
    job = make_job(RUNGS["dcgan"], precision="fp16")
    assert without_halves(job).execution.precision == "fp32"
    assert fit_generator(job, tmp_path, Silent()).precision == "fp32"
    plain = make_job(RUNGS["dcgan"], precision="bf16")
    assert without_halves(plain) is plain


def test_the_class_that_is_asked_for_changes_the_picture(tmp_path):
    job = make_job(RUNGS["conditional"])
    model = fit_generator(job, tmp_path, Silent()).model
    wanted = draw_wanted(model, 1, 4)
    pictures = [generate(model, replace(wanted, classes_N=torch.tensor([k])), job.execution) for k in range(3)]
    assert not torch.equal(pictures[0], pictures[1])
    assert draw_wanted(model, 6, 4).classes_N.tolist() == [0, 0, 1, 1, 2, 2]


def test_without_classes_and_penalties_the_plain_baseline_is_goodfellows(tmp_path):
    job = make_job(RUNGS["dcgan"], loss="non-saturating", average="none", adversarial={"look_every": 2})
    fitted = fit_generator(job, tmp_path, Silent())
    look = fitted.progress.epochs()[-1].adversarial
    assert 0.5 < look.discriminator_loss < 4
    assert look.generator_gradient > 0


def test_every_generator_is_in_the_contract():
    assert {name for name in MODELS if "generation" in MODELS[name].tasks} == {spec["name"] for spec in RUNGS.values()}


def test_sizes_that_doubling_does_not_reach_are_refused():
    with pytest.raises(ModelError, match="square of 8"):
        build_model("dcgan", n_outputs=1, size_px=(48, 64), seed=0, task="generation")


def test_a_loss_that_is_no_number_ends_with_a_sentence(tmp_path):
    job = make_job(RUNGS["dcgan"], optimizer={"name": "sgd", "lr": 1e30, "momentum": 0.0}, steps=3)
    with pytest.raises(DivergenceError, match="no longer a number at step"):
        fit_generator(job, tmp_path, Silent())


def history(*diversities):
    line = Epoch(epoch=1, step=0, train_loss=0, lr=1, seconds=1, images_per_s=1).model_dump()
    look = dict.fromkeys(
        ("discriminator_loss", "real_logit", "fake_logit", "generator_gradient", "discriminator_gradient"), 0.0
    )
    return [
        Epoch.model_validate({**line, "step": 10 * number, "adversarial": {**look, "diversity": diversity}})
        for number, diversity in enumerate(diversities, 1)
    ]


def test_one_picture_for_each_class_is_a_collapse_though_the_classes_differ():
    real = torch.rand(60, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
    labels = torch.arange(60) % 3
    classes = torch.arange(30) * 3 // 30
    constant = torch.tensor([-1.0, 0.0, 1.0])[classes][:, None, None, None].expand(30, 3, 16, 16)
    assert Variety.of_pictures(real, None).measure(constant, None) > 1
    assert Variety.of_pictures(real, labels).measure(constant, classes) == 0
    one_collapsed = torch.where((classes == 1)[:, None, None, None], constant, real[:30])
    apart = Variety.of_pictures(real, labels)
    assert apart.measure(real[:30], classes) == pytest.approx(1, abs=0.2)
    assert apart.measure(one_collapsed, classes) == 0
    assert apart.measure(real[:1], torch.tensor([0])) == 1.0  # nothing is known of one sample


def test_collapse_is_told_after_three_looks_and_not_before_anything_was_learnt():
    assert collapse_note(history(0.5, 0.01, 0.01), 0.1, 1000) == ""
    assert "step 40 of 1000" in collapse_note(history(0.5, 0.01, 0.01, 0.01), 0.1, 1000)
    assert collapse_note(history(0.01, 0.01, 0.01), 0.1, 1000) == ""
    assert "collapsed" in collapse_note(history(0.01, 0.01, 0.01), 0.1, 60)
    assert collapse_note(history(0.01, 0.01, 0.01), 0.0, 60) == ""


def test_a_collapse_that_stops_a_run_is_said_at_once(tmp_path, monkeypatch):
    """Before its pictures are measured, which takes a while, and not only in its record."""
    from etude.train import generation

    heard = []

    class Listening(Silent):
        def said(self, text):
            heard.append(text)

    def measure(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(generation, "_measure", measure)
    for collapse in (0.99, 0.001):
        job = make_job(RUNGS["dcgan"], steps=6, adversarial={"look_every": 1, "collapse": collapse})
        job = replace(job, generation=GenerationConfig(features="pixels"))
        with pytest.raises(KeyboardInterrupt):
            generation.run_generation(job, tmp_path / str(collapse), Listening())
    (told,) = heard
    assert told.startswith("tiny, seed 5: The generator has collapsed: at step 3 of 6")


def test_a_generator_that_gives_one_picture_is_stopped_and_kept(tmp_path):
    job = make_job(RUNGS["dcgan"], steps=6, adversarial={"look_every": 1, "collapse": 0.99})
    fitted = fit_generator(job, tmp_path, Silent())
    assert fitted.progress.stopped == "early"
    assert fitted.steps == 3
    assert fitted.note in fit_generator(job, tmp_path, Silent()).note  # and so it stays when asked again


def test_one_training_picture_has_no_variety_and_nothing_divides_by_it():
    assert spread(torch.rand(1, 3, 16, 16)) == 0.0
    assert Variety.of_pictures(torch.rand(1, 3, 16, 16), None).measure(torch.rand(4, 3, 16, 16), None) == 1.0


class Clock:
    """A duel of steps of a millisecond, three with a penalty, on a device that it takes ten to wait for."""

    steps = 1000

    def __init__(self, device):
        self.now, self.waits, self.made = 0.0, 0, []
        self.execution = SimpleNamespace(device=torch.device(device))
        self.sums = SimpleNamespace(tolist=self.wait)

    def begin(self, look):
        pass

    def step(self, number):
        self.made.append(number)
        self.now += 0.003 if number == 0 else 0.001

    def wait(self):
        self.waits += 1
        self.now += 0.01

    def time(self):
        return self.now


@pytest.mark.parametrize(("device", "step_ms", "waits"), [("cpu", 11.0, 60), ("cuda", 1.5, 5)])
def test_steps_on_a_gpu_are_timed_in_blocks_with_one_wait_each(device, step_ms, waits, monkeypatch):
    """Waited for after every step, a GPU stands idle until it is given the next one."""
    from etude.train import adversarial_measure

    clock, job = Clock(device), make_job(RUNGS["dcgan"], steps=1000, adversarial={"r1": 0.0, "look_every": 500})
    monkeypatch.setattr(adversarial_measure, "Duel", lambda _: clock)
    monkeypatch.setattr(adversarial_measure, "_time_look", lambda _: 0.0)
    monkeypatch.setattr(adversarial_measure.time, "perf_counter", clock.time)
    found = adversarial_measure.measure_generator(job, is_judged=False)
    assert clock.made[:3] == [1, 2, 3]
    assert clock.waits == waits
    assert found.step_s == pytest.approx(step_ms / 1000)


def test_a_penalty_counts_by_its_share_of_the_steps(monkeypatch):
    from etude.train import adversarial_measure

    clock, job = Clock("cuda"), make_job(RUNGS["dcgan"], steps=1000, adversarial={"r1": 1.0, "r1_every": 4})
    monkeypatch.setattr(adversarial_measure, "Duel", lambda _: clock)
    monkeypatch.setattr(adversarial_measure, "_time_look", lambda _: 0.0)
    monkeypatch.setattr(adversarial_measure.time, "perf_counter", clock.time)
    found = adversarial_measure.measure_generator(job, is_judged=False)
    assert found.step_s == pytest.approx(0.0015 + 0.002 / 4)
    assert 4 not in clock.made


def test_the_first_collapse_of_a_training_that_goes_on_is_told_with_its_end():
    told = passed_collapse_note(history(0.5, 0.04, 0.03, 0.02, 0.01, 0.25), 60)
    assert "at step 40 of 60 its samples differed by 2.0 %" in told
    assert told.endswith("at its end they differ by 25.0 %.")
    assert passed_collapse_note(history(0.5, 0.04, 0.03, 0.2, 0.01, 0.25), 60) == ""
    assert passed_collapse_note([], 60) == ""


def test_a_collapse_that_stops_nothing_is_told_by_the_record(tmp_path, monkeypatch):
    monkeypatch.setattr("etude.train.adversarial._TOLD_COLLAPSE", 0.99)
    fitted = fit_generator(make_job(RUNGS["dcgan"], steps=6), tmp_path, Silent())  # collapse: 0, a look a step
    assert (fitted.progress.stopped, fitted.steps) == ("complete", 6)
    assert "The generator collapsed: at step 3 of 6" in fitted.note
    assert "Training went on" in fitted.note


@pytest.mark.parametrize("name", DIFFERENTIABLE.names())
def test_differentiable_augmentations_draw_for_each_picture_and_let_gradients_through(name):
    pictures = (torch.rand(1, 3, 12, 12) * 2 - 1).repeat(6, 1, 1, 1).requires_grad_()
    torch.manual_seed(1)
    changed = DIFFERENTIABLE[name](pictures)
    assert changed.shape == pictures.shape
    assert not all(torch.equal(changed[0], other) for other in changed[1:])
    torch.manual_seed(1)
    assert torch.equal(changed, DIFFERENTIABLE[name](pictures))
    changed.sum().backward()
    assert pictures.grad.abs().sum() > 0


def test_a_translation_moves_whole_pixels_by_an_eighth_at_most():
    picture = torch.rand(64, 3, 16, 16) + 0.5
    moved = DIFFERENTIABLE["translation"](picture)
    for before, after in zip(picture, moved, strict=True):
        found = [
            (down, right)
            for down in range(-2, 3)
            for right in range(-2, 3)
            if torch.equal(after[:, 2:-2, 2:-2], before[:, 2 + down : 14 + down, 2 + right : 14 + right])
        ]
        assert len(found) == 1


def test_a_cutout_takes_a_square_of_half_the_side_and_no_side_more_often_than_another():
    torch.manual_seed(0)
    cut = DIFFERENTIABLE["cutout"](torch.ones(4000, 3, 16, 16))[:, 0] == 0
    sizes = cut.sum((1, 2))
    assert sizes.max() == 64
    assert sizes.min() >= 16
    # From centres of 0 to 16, as in the authors' code, five reach each edge.
    edges = [cut[:, 0].any(1), cut[:, -1].any(1), cut[:, :, 0].any(1), cut[:, :, -1].any(1)]
    for edge in edges:
        assert edge.float().mean().item() == pytest.approx(5 / 17, abs=0.025)


def test_what_is_drawn_and_how_it_is_augmented_come_from_two_streams():
    duel = Duel(make_job(RUNGS["dcgan"]))
    duel.begin(3)
    drawn = torch.rand(64, generator=duel.draws)
    assert not torch.isclose(drawn, torch.rand(64)).any()


def test_losses_by_hand():
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.0])
    hinge, soft = ADVERSARIAL_LOSSES["hinge"], ADVERSARIAL_LOSSES["non-saturating"]
    assert hinge.of_discriminator(real, fake).item() == pytest.approx(0.25 + 0.5)
    assert hinge.of_generator(fake).item() == pytest.approx(1.5)
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    expected = bce(real, torch.ones(2)) + bce(fake, torch.zeros(2))
    assert soft.of_discriminator(real, fake).item() == pytest.approx(expected.item())
    assert soft.of_generator(fake).item() == pytest.approx(bce(fake, torch.ones(2)).item())


def test_r1_of_a_linear_discriminator_is_half_its_squared_length():
    weights = torch.randn(3, 4, 4)
    pictures = torch.randn(5, 3, 4, 4, requires_grad=True)
    penalty = gradient_penalty((pictures * weights).sum((1, 2, 3))[:, None], pictures)
    assert penalty.item() == pytest.approx(weights.square().sum().item() / 2, rel=1e-5)


def test_r1_of_parts_is_that_of_their_mean():
    pictures = torch.randn(3, 3, 4, 4, requires_grad=True)
    weights = torch.randn(3, 4, 4)
    parts_BP = (pictures * weights).flatten(1).reshape(3, 6, 8).sum(2)
    penalty = gradient_penalty(parts_BP, pictures)
    assert penalty.item() == pytest.approx(weights.square().sum().item() / 2 / 6**2, rel=1e-5)


@pytest.mark.parametrize(("patches", "parts"), [(True, 25), (False, 1)])
@pytest.mark.parametrize("size_px", [16, 64])
def test_the_light_generator_is_judged_part_by_part_or_whole(patches, parts, size_px):
    spec = {"name": "fastgan", "conditional": True, "patches": patches, **SMALL}
    model = build_model(spec, n_outputs=3, size_px=(size_px, size_px), seed=5, task="generation")
    judged = model.discriminator(torch.randn(2, 3, size_px, size_px), torch.tensor([0, 2]))
    assert judged.logits_BP.shape == (2, parts)


def test_every_part_is_matched_with_the_class_by_its_own_places():
    match = ClassMatch(n_features=5, n_classes=3)
    torch.nn.init.normal_(match.of_class.weight)
    maps, classes = torch.randn(2, 5, 8, 8), torch.tensor([2, 1])
    found = match(maps, classes).reshape(2, 5, 5)
    for top, left in ((0, 0), (4, 4), (1, 3)):
        sums = maps[:, :, top : top + 4, left : left + 4].sum((2, 3))
        wanted = (sums * match.of_class.weight[classes]).sum(1)
        torch.testing.assert_close(found[:, top, left], wanted, rtol=1e-4, atol=1e-5)


def test_a_normed_match_weighs_as_the_normed_filter_beside_it():
    """Both have norm one: over places that are alike they say as much, however long the discriminator learns."""
    match = ClassMatch(n_features=6, n_classes=3, normed=True)
    with torch.no_grad():
        match.of_class.parametrizations.weight.original.mul_(50.0)  # as training might
        for _ in range(20):
            match(torch.zeros(1, 6, 4, 4), torch.tensor([0]))
    weight_KC = match.of_class.weight.detach()
    assert torch.linalg.matrix_norm(weight_KC, 2).item() == pytest.approx(1.0, abs=1e-3)
    features_C = torch.randn(6)
    maps = features_C[None, :, None, None].expand(1, 6, 4, 4)
    filters_CHW = weight_KC[1][:, None, None].expand(6, 4, 4) / 4  # the same direction at each place, norm one in all
    filters_CHW = filters_CHW / filters_CHW.norm()
    beside = (filters_CHW * maps[0]).sum() * weight_KC[1].norm()
    torch.testing.assert_close(match(maps, torch.tensor([1]))[0, 0], beside, rtol=1e-4, atol=1e-5)


def test_pictures_are_read_in_their_order():
    duel = Duel(make_job(RUNGS["dcgan"], adversarial={}))
    duel.begin(0)
    duel.augmenter = type(duel.augmenter)(None, mean=(0.5,) * 3, std=(0.5,) * 3)
    real, classes = duel._draw_real()
    assert classes is None
    assert spread(real) > 0
    known = duel.pictures_NCHW.float() / 127.5 - 1
    assert all(any(torch.allclose(picture, one, atol=1e-6) for one in known) for picture in real)
