"""The embedded data: the same every time, balanced, fast, and hard in the way that is promised."""

import time

import numpy as np
import pytest

from etude.core.words import Part
from etude.data.sources.shapes import shapes
from etude.data.sources.streets import CLASSES, streets


def pictures(source):
    return np.stack([source.raw(index) for index in range(len(source.items))])


def masks(source):
    return np.stack([source.mask(index) for index in range(len(source.items))])


def test_shapes_are_the_same_for_a_seed_and_others_for_another():
    one = pictures(shapes(n_train=30, n_test=10))
    assert np.array_equal(one, pictures(shapes(n_train=30, n_test=10)))
    assert not np.array_equal(one, pictures(shapes(n_train=30, n_test=10, seed=1)))
    assert shapes(seed=1).fingerprint() != shapes().fingerprint()
    assert shapes(n_test=999).fingerprint() != shapes().fingerprint()


def test_the_test_part_does_not_hang_on_the_training_part():
    few, many = pictures(shapes(n_train=10, n_test=20)), pictures(shapes(n_train=30, n_test=20))
    assert np.array_equal(few[10:], many[30:])


def test_what_is_drawn_is_what_the_fingerprint_stands_for():
    """A recipe that draws something else must have another number: raise RECIPE, then these means."""
    means = pictures(shapes(n_train=20, n_test=0)).mean(axis=(1, 2, 3))
    assert means[[0, 7, 13, 19]] == pytest.approx(SHAPE_MEANS, abs=0.05)
    means = pictures(streets(n_train=2, n_test=1, n_frames=2)).mean(axis=(1, 2, 3))
    assert means[[0, 3, 5]] == pytest.approx(STREET_MEANS, abs=0.05)


def test_shapes_are_balanced_and_of_any_size():
    source = shapes()
    assert len(source.items) == 3000
    for part, size in ((Part.TRAIN, 200), (Part.TEST, 100)):
        labels = source.items.labels[source.items.official == part]
        assert np.bincount(labels).tolist() == [size] * 10
    small = shapes(n_train=10, n_test=3, size_px=48)
    assert small.raw(0).shape == (48, 48, 3)
    assert small.raw(12).dtype == np.uint8
    assert small.mask(0) is None


def test_the_same_shape_shows_at_every_size():
    small, large = pictures(shapes(n_train=10, n_test=0)), pictures(shapes(n_train=10, n_test=0, size_px=64))
    shrunk = large.reshape(10, 32, 2, 32, 2, 3).mean(axis=(2, 4))
    for one, other in zip(small, shrunk, strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.8


def test_drawing_all_shapes_takes_a_moment():
    source = shapes()
    start = time.process_time()
    source.raw(0)
    assert time.process_time() - start < 1.5


def test_streets_are_the_same_for_a_seed_with_masks_of_every_class():
    one, again = streets(n_train=3, n_test=1, n_frames=3), streets(n_train=3, n_test=1, n_frames=3)
    assert np.array_equal(pictures(one), pictures(again))
    assert np.array_equal(masks(one), masks(again))
    assert set(np.unique(masks(one))) == {*range(len(CLASSES)), 255}
    assert (masks(one)[:, 0] == 255).all()
    assert (masks(one)[:, 2:-2, 2:-2] != 255).all()


def test_a_sequence_is_a_group_whose_frames_are_alike():
    source = streets(n_train=4, n_test=2, n_frames=3)
    assert len(set(source.items.groups.tolist())) == 6
    assert source.items.ids.tolist()[4] == "train/001/01"
    drawn = masks(source).reshape(6, 3, -1)
    within = np.mean([(drawn[s, f] == drawn[s, f + 1]).mean() for s in range(6) for f in range(2)])
    between = np.mean([(drawn[s, 0] == drawn[s + 1, 0]).mean() for s in range(5)])
    assert within > between + 0.05


def test_streets_look_like_streets():
    source = streets(n_train=6, n_test=2, n_frames=2)
    drawn = masks(source)
    rows = np.arange(drawn.shape[1])[None, :, None] * np.ones_like(drawn)
    height = {name: rows[drawn == number].mean() for number, name in enumerate(CLASSES)}
    assert height["sky"] < height["building"] < height["car"] < height["road"]
    share = np.bincount(drawn[drawn != 255], minlength=len(CLASSES)) / (drawn != 255).sum()
    assert (share > 0.001).all()
    assert share.max() < 0.6


@pytest.mark.parametrize("regularisation", [1e2, 1e4, 1e6])
def test_a_linear_model_is_near_chance_on_shapes(regularisation):
    linear = pytest.importorskip("sklearn.linear_model")
    source = shapes()
    rows, labels = pictures(source).reshape(3000, -1).astype(np.float32) / 255 - 0.5, source.items.labels
    model = linear.RidgeClassifier(alpha=regularisation, solver="cholesky").fit(rows[:2000], labels[:2000])
    assert model.score(rows[2000:], labels[2000:]) < 0.2


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_small_network_learns_shapes_by_heart_and_augmentation_helps():
    source = shapes()
    drawn, labels = pictures(source), source.items.labels
    plain = train_small_network(drawn[:1800], labels[:1800], augmented=False)
    augmented = train_small_network(drawn[:1800], labels[:1800], augmented=True)
    score = {
        "plain, training part": accuracy(plain, drawn[:1800], labels[:1800]),
        "plain": accuracy(plain, drawn[2000:], labels[2000:]),
        "augmented": accuracy(augmented, drawn[2000:], labels[2000:]),
    }
    print(score)
    assert score["plain, training part"] > 0.97
    assert 0.4 < score["plain"] < 0.8
    assert score["augmented"] > score["plain"] + 0.05


def train_small_network(pictures_NHWC, labels_N, *, augmented, n_epochs=15):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    images, labels = as_images(pictures_NHWC), torch.tensor(labels_N, dtype=torch.int64)
    blocks = []
    for n_in, n_out in ((3, 16), (16, 32), (32, 64)):
        blocks += [torch.nn.Conv2d(n_in, n_out, 3, padding=1), torch.nn.BatchNorm2d(n_out), torch.nn.ReLU()]
        blocks += [torch.nn.MaxPool2d(2)]
    network = torch.nn.Sequential(*blocks, torch.nn.Flatten(), torch.nn.Linear(64 * 16, 10))
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=1e-2)
    n_steps = n_epochs * (len(images) // 100)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=n_steps)
    for _ in range(n_epochs):
        for batch in torch.randperm(len(images)).split(100):
            seen = move(images[batch]) if augmented else images[batch]
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(seen), labels[batch]).backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def move(images_BCHW):
    """Flip and shift each picture by a draw of its own."""
    torch = pytest.importorskip("torch")
    matrices = torch.zeros(len(images_BCHW), 2, 3)
    matrices[:, 0, 0] = torch.where(torch.rand(len(images_BCHW)) < 0.5, -1.0, 1.0)
    matrices[:, 1, 1] = 1
    matrices[:, :, 2] = (torch.rand(len(images_BCHW), 2) * 2 - 1) * 4 / 16
    grid = torch.nn.functional.affine_grid(matrices, images_BCHW.shape, align_corners=False)
    return torch.nn.functional.grid_sample(images_BCHW, grid, padding_mode="reflection", align_corners=False)


def as_images(pictures_NHWC):
    torch = pytest.importorskip("torch")
    return torch.tensor(pictures_NHWC).permute(0, 3, 1, 2).float() / 127.5 - 1


def accuracy(network, pictures_NHWC, labels_N):
    torch = pytest.importorskip("torch")
    with torch.no_grad():
        return float((network(as_images(pictures_NHWC)).argmax(1).numpy() == labels_N).mean())


SHAPE_MEANS = [134.34, 111.34, 191.51, 148.72]
STREET_MEANS = [68.06, 118.5, 126.37]
