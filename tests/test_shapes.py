"""The procedural set: reproducible, balanced, its masks true, and nothing about the class in averages."""

import inspect
from itertools import combinations
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from litconv.data.augment import private_generator
from litconv.data.shapes import AREA, BLOCK, SHAPES, Shapes, draw
from litconv.errors import ConfigError

YAML = OmegaConf.load(Path(__file__).parents[1] / "conf" / "data" / "shapes.yaml")
SIZES = {"n_train": 1000, "n_val": 300, "n_test": 300}


def arrays(name="train", **options):
    data = Shapes(**{**SIZES, **options})
    state = torch.random.get_rng_state()
    data.setup()
    assert torch.equal(state, torch.random.get_rng_state())
    return data._splits[name]


@pytest.fixture(scope="module")
def labelled():
    return arrays()


@pytest.fixture(scope="module")
def masked():
    return arrays(task="segmentation")


def test_equal_seeds_give_equal_images_whatever_the_run(labelled):
    torch.manual_seed(1)
    again = arrays(seed=7)
    assert torch.equal(labelled.images, again.images)
    assert torch.equal(labelled.targets, again.targets)
    assert not torch.equal(labelled.images, arrays(data_seed=1).images)


def test_threads_do_not_matter(labelled):
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3 - min(threads, 2))
        assert torch.equal(labelled.images, arrays().images)
    finally:
        torch.set_num_threads(threads)


def test_a_smaller_split_is_the_beginning_of_a_larger_one(labelled):
    few = arrays(n_train=BLOCK + 30)
    assert torch.equal(few.images, labelled.images[: BLOCK + 30])
    assert torch.equal(few.targets, labelled.targets[: BLOCK + 30])


def test_splits_share_no_image_nor_shape():
    data = Shapes(**SIZES, noise=0, clutter=0, task="segmentation")
    data.setup()
    assert data.sizes == {"train": 1000, "val": 300, "test": 300}
    for part in ("images", "targets"):
        seen = [{row.numpy().tobytes() for row in getattr(split, part)} for split in data._splits.values()]
        assert [len(rows) for rows in seen] == [1000, 300, 300]
        assert all(not a & b for a, b in combinations(seen, 2))


def test_both_tasks_have_the_same_balanced_images(labelled, masked):
    assert torch.equal(labelled.images, masked.images)
    assert labelled.targets.bincount().tolist() == [100] * 10
    for label, mask in zip(labelled.targets, masked.targets, strict=True):
        assert mask.unique().tolist() == [0, label + 1]


def test_names():
    data = Shapes(**SIZES)
    data.setup()
    assert data.class_names == tuple(shape.__name__ for shape in SHAPES)
    assert (data.num_classes, data.ignore_index, data.test_split) == (10, -100, "test")
    data = Shapes(**SIZES, task="segmentation")
    data.setup()
    assert data.class_names[0] == "background"
    assert data.num_classes == 11


@pytest.mark.parametrize("size", [(32, 32), (24, 47), (48, 33)])
def test_the_mask_is_where_the_shape_is(size):
    images, _, masks = draw(private_generator(0), size, noise=0.0, clutter=0)
    assert images.shape[-2:] == masks.shape[-2:] == size
    inside, images = (masks > 0)[:, None], images.float()
    edge = torch.nn.functional.max_pool2d(inside.float(), 3, 1, 1) != -torch.nn.functional.max_pool2d(
        -inside.float(), 3, 1, 1
    )

    def spread(where):  # after the lighting, a plane, is taken out: how far a channel departs from one colour
        rows, columns = torch.meshgrid(*(torch.arange(n) / n for n in size), indexing="ij")
        plane = torch.stack([torch.ones(size), rows, columns]).flatten(1).T  # (H·W, 3)
        worst = []
        for image, mask in zip(images[:50], where[:50], strict=True):
            keep = mask.flatten() & (image.flatten(1) > 0).all(0) & (image.flatten(1) < 255).all(0)
            if keep.sum() > 10:
                values = image.flatten(1).T[keep]
                fit = torch.linalg.lstsq(plane[keep], values).solution
                worst.append((plane[keep] @ fit - values).abs().max())
        assert len(worst) > 10
        return max(worst)

    assert spread(inside & ~edge) < 2  # grey levels: rounding
    assert spread(~inside & ~edge) < 2
    contrast = (images.mean((2, 3)) * 0).sum()
    for image, mask in zip(images, inside, strict=True):
        contrast += (image[:, mask[0]].mean(1) - image[:, ~mask[0]].mean(1)).abs().max() > 40
    assert contrast > 0.95 * len(images)


def test_noise_and_clutter_are_drawn():
    clean, noisy, littered = (
        draw(private_generator(0), (32, 32), noise, clutter)[0].float() for noise, clutter in ((0, 0), (0.1, 0), (0, 6))
    )
    free = (clean > 0) & (clean < 255)  # not clipped
    dark = free & (clean > 100) & (clean < 155)
    assert (noisy - clean)[dark].abs().mean() > 10
    assert ((littered - clean).abs().amax(1) > 20).float().mean() > 0.01


def test_averages_do_not_tell_the_class(labelled, masked):
    """Ridge regression from means, deviations and products of the channels, contrast and area: near chance, 0.1."""
    images, inside = labelled.images.flatten(2).float() / 255, (masked.targets > 0).flatten(1).float()
    area = inside.mean(1, keepdim=True)
    x = torch.cat([images.mean(2), images.std(2), area], 1)
    x = torch.cat([x, (x[:, :, None] * x[:, None]).flatten(1)], 1).double()
    x = torch.cat([(x - x.mean(0)) / x.std(0), torch.ones(len(x), 1)], 1)
    y = torch.nn.functional.one_hot(labelled.targets, 10).double()
    train, test = slice(0, 700), slice(700, 1000)
    weight = torch.linalg.solve(x[train].T @ x[train] + 10 * torch.eye(x.shape[1]), x[train].T @ y[train])
    hits = ((x[test] @ weight).argmax(1) == labelled.targets[test]).float().mean()
    assert hits < 0.2
    for label in range(10):
        mine = area[labelled.targets == label]
        assert abs(mine.mean() - sum(AREA) / 2) < 0.025
        assert mine.min() > AREA[0] * 0.5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"task": "detection"}, ("data.task=detection", "classification, segmentation")),
        ({"n_train": 0}, ("data.n_train=0", "at least 1")),
        ({"n_test": 1.5}, ("data.n_test=1.5", "whole number")),
        ({"clutter": -1}, ("data.clutter=-1", "at least 0")),
        ({"noise": -0.1}, ("data.noise=-0.1", "at least 0")),
    ],
)
def test_refused(options, words):
    with pytest.raises(ConfigError) as error:
        Shapes(**options)
    assert all(word in str(error.value) for word in words)


def test_yaml_says_what_the_class_says():
    fields = {name: p.default for name, p in inspect.signature(Shapes).parameters.items()}
    for key, value in YAML.items():
        if key not in ("_target_", "task", "seed"):
            expected = (value, value) if key == "image_size" else value
            assert fields[key] == expected, key
