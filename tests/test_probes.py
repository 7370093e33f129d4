"""Probes: what each kind says it needs is needed and is enough, held by baselines and oracles of their own."""

import inspect
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from litconv.data.probe import Probe
from litconv.data.probe.kinds import KINDS
from litconv.errors import ConfigError

YAML = OmegaConf.load(Path(__file__).parents[1] / "conf" / "data" / "probe.yaml")
SIZES = {"n_train": 3000, "n_val": 300, "n_test": 1200}
TASKS = [(kind, task) for kind, made in KINDS.items() for task in made.chance]
WITH_MASKS = [kind for kind, made in KINDS.items() if made.mask_classes]


def splits(kind, **options):
    """name → (images float (N, 3, H, W) around 0, targets)."""
    data = Probe(kind=kind, **{**SIZES, "batch_size": 1, **options})
    data.setup()
    return {
        name: (split.images.numpy() / np.float32(127.5) - 1, split.targets.numpy())
        for name, split in data._splits.items()
    }


@pytest.fixture(scope="module")
def at_default():
    return {kind: splits(kind) for kind in KINDS}


def accuracy(predicted, labels):
    return float((predicted == labels).mean())


def by_ridge(train, test, features):
    """The test accuracy of a linear least-squares classifier."""
    (x, y), (x_test, y_test) = ((features(images), labels) for images, labels in (train, test))
    middle, scale = x.mean(0), x.std(0) + 1e-6
    x, x_test = (np.c_[(part - middle) / scale, np.ones(len(part))] for part in (x, x_test))
    wanted = np.eye(y.max() + 1)[y]
    weight = np.linalg.solve(x.T @ x + 0.1 * len(x) * np.eye(x.shape[1]), x.T @ wanted)
    return accuracy((x_test @ weight).argmax(1), y_test)


def is_chance(score, kind, count=SIZES["n_test"]):
    """Within four standard errors."""
    chance = KINDS[kind].chance["classification"]
    return abs(score - chance) < 4 * sqrt(chance * (1 - chance) / count)


# -- the same for all kinds --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "task"), TASKS)
def test_an_image_depends_on_seed_split_and_index_alone(kind, task):
    few, many = {"n_train": 30}, {"n_train": 700}
    options = {"task": task, "n_val": 10, "n_test": 10}
    state = np.random.get_state()[1].copy(), torch.get_rng_state()
    short, long, other = (
        splits(kind, **options, **few),
        splits(kind, **options, **many, seed=3),
        splits(kind, **options, **few, data_seed=1),
    )
    assert np.array_equal(np.random.get_state()[1], state[0])
    assert torch.equal(torch.get_rng_state(), state[1])
    for part in (0, 1):
        assert np.array_equal(short["train"][part], long["train"][part][:30])
    assert not np.array_equal(short["train"][0], other["train"][0])
    seen = [{image.tobytes() for image in images} for images, _ in long.values()]
    assert [len(images) for images in seen] == [700, 10, 10]
    assert not seen[0] & seen[1] | seen[0] & seen[2] | seen[1] & seen[2]


@pytest.mark.parametrize("kind", KINDS)
def test_classes_are_balanced(kind, at_default):
    for _, labels in at_default[kind].values():
        counts = np.bincount(labels, minlength=len(KINDS[kind].classes))
        assert counts.max() - counts.min() <= 1
        assert len(counts) == len(KINDS[kind].classes)


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"geometry"}))  # whose figures are at the centre
def test_a_linear_classifier_on_the_pixels_is_at_chance(kind, at_default):
    def pixels(images):
        return images[:, :, ::2, ::2].reshape(len(images), -1) if kind == "cross_channel" else halved(images[:, 0])

    assert is_chance(by_ridge(at_default[kind]["train"], at_default[kind]["test"], pixels), kind)


def halved(grey):
    """Means of 2×2 pixels: (N, H·W / 4)."""
    return grey.reshape(len(grey), grey.shape[1] // 2, 2, -1, 2).mean((2, 4)).reshape(len(grey), -1)


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"geometry"}))
def test_mean_colours_and_their_products_are_at_chance(kind, at_default):
    def means(images):
        mean = images.mean((2, 3))
        return np.c_[mean, (mean[:, :, None] * mean[:, None]).reshape(len(mean), -1)]

    assert is_chance(by_ridge(at_default[kind]["train"], at_default[kind]["test"], means), kind)


@pytest.mark.parametrize("kind", ["context", "texture", "separable", "inseparable"])
def test_the_values_of_single_pixels_are_at_chance(kind, at_default):
    def histogram(images):
        edges = np.linspace(-1, 1, 17)
        return np.stack([np.histogram(image, edges)[0] for image in images[:, 0]]).astype(float)

    assert is_chance(by_ridge(at_default[kind]["train"], at_default[kind]["test"], histogram), kind)


# -- context -----------------------------------------------------------------------------------------------------------


def marks(image):
    """Top left corners of the four marks of an image without noise to speak of, and their colours, by looking for them."""
    lit = np.abs(image) > 0.4
    corners = [
        (y, x)
        for y, x in np.argwhere(lit)
        if not (y and lit[y - 1, x]) and not (x and lit[y, x - 1]) and lit[y : y + 3, x : x + 3].all()
    ]
    return corners, [np.sign(image[y, x]) for y, x in corners]


@pytest.mark.parametrize("r", [2, 8, 27])
def test_no_window_of_r_pixels_holds_parts_of_two_marks_and_one_of_r_plus_1_does(r):
    images, labels = splits("context", difficulty=r, n_train=60)["train"]
    for image, label in zip(images[:, 0], labels, strict=True):
        corners, colours = marks(image)
        assert sorted(colours) == [-1, -1, 1, 1]
        pixels = [(y + i, x + j, number) for number, (y, x) in enumerate(corners) for i in range(3) for j in range(3)]
        apart = [
            max(abs(a[0] - b[0]), abs(a[1] - b[1])) for a in pixels for b in pixels if a[2] != b[2]
        ]  # a window that holds both has a side of this and 1
        assert min(apart) == r
        rows = {y: {colour for (at, _), colour in zip(corners, colours, strict=True) if at == y} for y, _ in corners}
        assert (all(len(found) == 1 for found in rows.values())) == (label == 0)


def pair_counts(images, distance):
    """How often black and white meet at this distance in a row, less how often in a column: (N, 1)."""
    sign = np.where(np.abs(images[:, 0]) > 0.4, np.sign(images[:, 0]), 0)
    across = (sign[:, :, distance:] * sign[:, :, :-distance]).sum((1, 2))
    down = (sign[:, distance:] * sign[:, :-distance]).sum((1, 2))
    return (across - down)[:, None]


@pytest.mark.parametrize("r", [4, 8, 20])
def test_context_is_at_chance_for_windows_up_to_r_and_solved_by_pairs_that_are_further_apart(r):
    made = splits("context", difficulty=r)

    def within(images):  # all products of two pixels that a window of r×r holds in a row or in a column
        return np.concatenate([pair_counts(images, distance) for distance in range(1, r)], axis=1)

    assert is_chance(by_ridge(made["train"], made["test"], within), "context")
    oracle = pair_counts(made["test"][0], r + 2)[:, 0] < 0  # alike in a column
    assert accuracy(oracle, made["test"][1]) >= KINDS["context"].ceiling["classification"]


def test_context_is_at_chance_for_what_random_filters_of_r_pixels_see_however_it_bends():
    """A small network that was not trained, and a linear classifier of its averages. With filters of two marks it succeeds."""
    made, filters = splits("context", difficulty=3, image_size=16), np.random.default_rng(0)

    def averages(side):
        weight = torch.from_numpy(filters.standard_normal((96, 1, side, side)).astype(np.float32))
        bias = torch.from_numpy(filters.standard_normal(96).astype(np.float32))

        def features(images):
            grey = torch.from_numpy(images[:, :1])
            parts = [torch.conv2d(part, weight, bias, padding=side).relu().mean((2, 3)) for part in grey.split(500)]
            return torch.cat(parts).numpy().astype(float)

        return features

    assert is_chance(by_ridge(made["train"], made["test"], averages(3)), "context")
    assert by_ridge(made["train"], made["test"], averages(8)) > 0.65


@pytest.mark.parametrize("kind", WITH_MASKS)
def test_masks_say_what_labels_say(kind):
    images, masks = splits(kind, task="segmentation", n_train=40)["train"]
    assert images.shape[-2:] == masks.shape[-2:]
    assert masks.max() == len(KINDS[kind].mask_classes) - 1
    if kind == "context":
        labelled, labels = splits(kind, n_train=40)["train"]
        assert np.array_equal(labelled, images)
        assert np.array_equal(masks, (np.abs(images[:, 0]) > 0.45) * (labels[:, None, None] + 1))


# -- cross-channel -----------------------------------------------------------------------------------------------------


def correlation(a, b, shift):
    return (a[..., : a.shape[-1] - shift] * b[..., shift:]).mean((1, 2))


@pytest.mark.parametrize("d", [0, 4, 16])
def test_channels_alone_are_at_chance_and_together_they_are_solved(d):
    made = splits("cross_channel", difficulty=d)

    def alone(images):  # of each channel all correlations with itself up to 20 pixels right, and 3 down
        return np.stack(
            [
                (np.roll(images[:, c], (down, right), (1, 2)) * images[:, c]).mean((1, 2))
                for c in range(3)
                for right in range(21)
                for down in range(4)
            ],
            axis=1,
        )

    assert is_chance(by_ridge(made["train"], made["test"], alone), "cross_channel")
    images, labels = made["test"]
    pairs = np.stack([correlation(images[:, a], images[:, b], d) for a, b in ((0, 1), (1, 2), (2, 0))], axis=1)
    assert accuracy(pairs.argmax(1), labels) >= KINDS["cross_channel"].ceiling["classification"]


def test_every_channel_has_two_values_in_equal_numbers(at_default):
    images, _ = at_default["cross_channel"]["train"]
    assert len(np.unique(images)) == 2
    assert np.array_equal((images > 0).sum((2, 3)), np.full(images.shape[:2], 512))


# -- texture -----------------------------------------------------------------------------------------------------------


def neighbours(grey):
    """Products of pixels with their neighbours in the four directions: (N, 4, H, W)."""
    return np.stack([grey * np.roll(grey, move, (1, 2)) for move in ((0, 1), (1, 0), (1, 1), (1, -1))], axis=1)


@pytest.mark.parametrize("t", [0, 0.3, 0.82])
def test_texture_is_solved_by_neighbours_at_every_difficulty(t):
    images, labels = splits("texture", difficulty=t)["test"]
    found = neighbours(images[:, 0]).mean((2, 3)).argmax(1)
    assert accuracy(found, labels) >= KINDS["texture"].ceiling["classification"]


def test_texture_is_solved_as_well_when_its_blocks_are_shuffled(at_default):
    images, labels = at_default["texture"]["test"]
    blocks = images[:, 0].reshape(-1, 4, 8, 4, 8).transpose(0, 1, 3, 2, 4).reshape(-1, 16, 8, 8)
    shuffled = np.random.default_rng(0).permuted(np.arange(16)[None].repeat(len(blocks), 0), axis=1)
    blocks = np.take_along_axis(blocks, shuffled[..., None, None], axis=1).reshape(-1, 8, 8)
    inside = neighbours(blocks)[:, :, 1:, 1:-1].mean((2, 3)).reshape(len(images), 16, 4).mean(1)
    assert accuracy(inside.argmax(1), labels) >= KINDS["texture"].ceiling["classification"]


def miou(predicted, masks):
    return np.mean(
        [((predicted == c) & (masks == c)).sum() / ((predicted == c) | (masks == c)).sum() for c in range(4)]
    )


def gaussian(images, sigma):
    """Sums (N, C, H, W) weighted by distance in pixels, zero outside the image."""
    reach = 3 * sigma
    weight = torch.exp(-((torch.arange(-reach, reach + 1) / sigma) ** 2) / 2).expand(images.shape[1], 1, 1, -1)
    options = {"groups": images.shape[1], "padding": (0, reach)}
    across = torch.conv2d(images, weight, **options)
    return torch.conv2d(across.mT, weight, **options).mT


def test_texture_is_segmented_by_averages_of_neighbours_and_not_by_guesses():
    images, masks = splits("texture", task="segmentation")["test"]
    products = torch.from_numpy(neighbours(images[:, 0]))
    local = gaussian(products, 3) / gaussian(torch.ones_like(products), 3)
    ceiling, chance = (getattr(KINDS["texture"], fact)["segmentation"] for fact in ("ceiling", "chance"))
    assert miou(local.argmax(1).numpy(), masks) >= ceiling
    assert miou(np.random.default_rng(0).integers(0, 4, masks.shape), masks) == pytest.approx(chance, abs=0.01)


# -- separable and inseparable -----------------------------------------------------------------------------------------


MOVES = {"separable": ((0, 4), (4, 0)), "inseparable": ((4, 4), (4, -4))}


@pytest.mark.parametrize(("kind", "rank"), [("separable", 1), ("inseparable", 2)])
def test_a_pattern_is_two_points_of_the_rank_that_is_said(kind, rank):
    """Found in the images' autocorrelation, which has one peak beside that of white noise, and its mirror image."""
    images, labels = splits(kind, difficulty=0)["train"]
    power = np.abs(np.fft.fft2(images[:, 0])) ** 2
    for label, move in enumerate(MOVES[kind]):
        found = np.fft.ifft2(power[labels == label].mean(0)).real
        found /= found[0, 0]
        peaks = {tuple(at) for at in np.argwhere(np.abs(found) > 0.1)}
        assert peaks == {(0, 0), tuple(np.array(move) % 32), tuple(-np.array(move) % 32)}
        pattern = np.zeros((9, 9))
        pattern[4, 4] = pattern[4 + move[0], 4 + move[1]] = 1
        assert np.linalg.matrix_rank(pattern) == rank


@pytest.mark.parametrize("kind", MOVES)
@pytest.mark.parametrize("noise", [0, 0.5, 0.82])
def test_patterns_are_told_apart_by_pixels_4_apart_and_not_by_a_window_of_4(kind, noise):
    made = splits(kind, difficulty=noise)

    def within(images):
        grey = images[:, 0]
        moves = [(down, right) for down in range(4) for right in range(-3, 4)]
        return np.stack([(grey * np.roll(grey, move, (1, 2))).mean((1, 2)) for move in moves], axis=1)

    images, labels = made["test"]
    apart = np.stack(
        [(images[:, 0] * np.roll(images[:, 0], move, (1, 2))).mean((1, 2)) for move in MOVES[kind]], axis=1
    )
    assert accuracy(apart.argmax(1), labels) >= KINDS[kind].ceiling["classification"]
    assert is_chance(by_ridge(made["train"], made["test"], within), kind)


# -- geometry ----------------------------------------------------------------------------------------------------------


def unit(images):
    """Means of 2×2 pixels, of mean 0 and norm 1."""
    x = halved(images[:, 0])
    x = x - x.mean(1, keepdims=True)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def by_nearest(train, test):
    """The label of the most similar image or negative."""
    return accuracy(train[1][np.abs(unit(test[0]) @ unit(train[0]).T).argmax(1)], test[1])


@pytest.mark.parametrize("degrees", [10, 45, 90])
def test_figures_are_told_apart_by_those_who_know_how_far_they_are_turned(degrees):
    known = splits("geometry", difficulty=degrees, n_test=20000, data_seed=1)["test"]
    test = splits("geometry", difficulty=degrees, n_test=600)["test"]
    assert by_nearest(known, test) >= KINDS["geometry"].ceiling["classification"]


def test_training_and_validation_do_not_know_the_range_of_the_test():
    near, far = (splits("geometry", difficulty=degrees) for degrees in (10, 90))
    for name in ("train", "val"):
        assert np.array_equal(near[name][0], far[name][0])
    assert not np.array_equal(near["test"][0], far["test"][0])
    assert by_nearest(near["train"], near["test"]) > 0.95
    assert by_nearest(far["train"], far["test"]) < 0.7


# -- the data set ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"kind": "contxt"},
            "data.kind=contxt is no probe (did you mean 'context'?); there are context, cross_channel",
        ),
        (
            {"kind": "geometry", "task": "segmentation"},
            "data.kind=geometry has no task=segmentation; kinds that do: con",
        ),
        (
            {"difficulty": 28},
            "data.difficulty=28 of data.kind=context (pixels from one mark to the next) must be a whole",
        ),
        ({"difficulty": 2.5}, "from 1 to 27 at data.image_size=32x32"),
        ({"difficulty": True}, "must be a whole number from 1 to 27"),
        ({"kind": "geometry", "difficulty": 5}, "must be a number from 10 to 90 at data.image_size=32x32"),
        ({"kind": "texture", "difficulty": 0.9}, "must be a number from 0 to 0.8292"),
        ({"image_size": (5, 64)}, "data.image_size=5x64 is too small for data.kind=context at any difficulty; use 32"),
        ({"image_size": 10}, "is too small for data.kind=context at its default data.difficulty=8; use 1 to 5"),
        ({"kind": "inseparable", "flip": True}, "data.flip=true changes the answer of data.kind=inseparable"),
        ({"n_test": 0}, "data.n_test=0 must be a whole number, at least 1"),
        ({"cache_dir": "auto"}, "data.cache_dir=auto has no effect"),
    ],
)
def test_refused_in_one_line(options, words):
    with pytest.raises(ConfigError) as error:
        Probe(**options)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("kind", "task"), TASKS)
@pytest.mark.parametrize("size", [(48, 40), (33, 47)])
def test_any_size_at_its_least_and_greatest_difficulty(kind, task, size):
    for difficulty in (KINDS[kind].least, KINDS[kind].most(size)):
        options = {"image_size": size, "difficulty": difficulty, "n_train": 32, "n_val": 1, "n_test": 1}
        data = Probe(kind=kind, task=task, **options)
        data.setup()
        assert data._splits["train"].images.shape == (32, 3, *size)
        assert data.num_classes == data.problem.num_classes == data.count_classes()


def test_classes_are_known_without_an_image(monkeypatch):
    monkeypatch.setattr(Probe, "load", lambda self: pytest.fail("made"))
    assert Probe(kind="cross_channel").problem.num_classes == 3
    assert Probe(task="segmentation").problem.num_classes == 3


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_of_probes_states_the_facts_of_the_class(kind):
    page = (Path(__file__).parents[1] / "docs" / "probes.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith(f"| `{kind}` |"))  # of the first table
    made = KINDS[kind]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[2].startswith(made.meaning)
    assert f"{made.least} to {made.most((32, 32)):.4g}" in cells[3]
    assert cells[4] == f"{made.default:g}"
    for cell, scores in zip(cells[5:7], (made.chance, made.ceiling), strict=True):
        assert cell == ", ".join(f"{score:.3f}" for score in scores.values())


def test_yaml_says_what_the_class_says():
    options = inspect.signature(Probe).parameters
    stated = OmegaConf.to_container(YAML)
    assert stated.pop("image_size") == 32
    for key in ("_target_", "seed"):
        del stated[key]
    assert stated == {key: options[key].default for key in stated}
    assert {"kind", "difficulty", "n_train"} <= stated.keys()
