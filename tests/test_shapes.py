"""The procedural set: reproducible, balanced, its masks true, and nothing about the class in averages."""

import inspect
from itertools import combinations
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from litconv.data.drawn_shapes import AREA, SHAPES, draw
from litconv.data.draws import private_generator
from litconv.data.shapes import Shapes
from litconv.errors import ConfigError

YAML = OmegaConf.load(Path(__file__).parents[1] / "conf" / "data" / "shapes.yaml")
SIZES = {"n_train": 1000, "n_val": 300, "n_test": 300}


def made(**options):
    data = Shapes(**{**SIZES, **options})
    state = torch.random.get_rng_state()
    data.setup()
    assert torch.equal(state, torch.random.get_rng_state())
    return data


def train(data):
    return data._splits["train"]


@pytest.fixture(scope="module")
def labelled():
    return made()


@pytest.fixture(scope="module")
def masked():
    return made(task="segmentation")


def test_equal_seeds_give_equal_images_whatever_the_run(labelled):
    torch.manual_seed(1)
    again = made(seed=7)
    for name, split in labelled._splits.items():
        assert torch.equal(split.images, again._splits[name].images)
        assert torch.equal(split.targets, again._splits[name].targets)
    assert not torch.equal(train(labelled).images, train(made(data_seed=1)).images)


def test_threads_do_not_matter():
    threads, images = torch.get_num_threads(), []
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            images.append(draw(private_generator(0), (16, 16), 0.06, 4)[0])
        assert torch.equal(*images)
    finally:
        torch.set_num_threads(threads)


def test_a_smaller_split_is_the_beginning_of_a_larger_one(labelled):
    few = train(made(n_train=40))
    assert torch.equal(few.images, train(labelled).images[:40])
    assert torch.equal(few.targets, train(labelled).targets[:40])


def test_splits_share_no_image_nor_shape():
    data = made(noise=0, clutter=0, task="segmentation")
    assert data.sizes == {"train": 1000, "val": 300, "test": 300}
    for part in ("images", "targets"):
        seen = [{row.numpy().tobytes() for row in getattr(split, part)} for split in data._splits.values()]
        assert [len(rows) for rows in seen] == [1000, 300, 300]
        assert all(not a & b for a, b in combinations(seen, 2))


def test_both_tasks_have_the_same_balanced_images(labelled, masked):
    for name, split in labelled._splits.items():
        masks = masked._splits[name]
        assert torch.equal(split.images, masks.images)
        assert split.targets.bincount().tolist() == [len(split) // 10] * 10
        for label, mask in zip(split.targets, masks.targets, strict=True):
            assert mask.unique().tolist() == [0, label + 1]


def test_names(labelled, masked):
    assert labelled.class_names == tuple(shape.__name__ for shape in SHAPES)
    assert (labelled.num_classes, labelled.ignore_index, labelled.test_split) == (10, -100, "test")
    assert masked.class_names == ("background", *labelled.class_names)


def explained(images, inside):
    """Share of the variance that the mask and a plane of light explain, in the channel where it is largest: (N,)."""
    rows, columns = (
        (x / x.max()).flatten().expand(len(images), -1)
        for x in torch.meshgrid(*(torch.arange(n).double() for n in images.shape[-2:]), indexing="ij")
    )
    causes = torch.stack([torch.ones_like(rows), rows, columns, inside.flatten(1).double()], 2)  # (N, H·W, 4)
    values = images.flatten(2).double().transpose(1, 2)  # (N, H·W, 3)
    rest = values - causes @ torch.linalg.lstsq(causes, values).solution
    return (1 - rest.var(1) / values.var(1).clamp(min=1)).amax(1)


@pytest.mark.parametrize("size", [(32, 32), (24, 47), (48, 33)])
def test_the_mask_is_where_the_shape_is(size):
    images, labels, masks = draw(private_generator(0), size, noise=0.0, clutter=0)
    assert images.shape[-2:] == masks.shape[-2:] == size
    share = explained(images, masks > 0)
    for label in range(10):
        assert share[labels == label].median() > 0.9  # the rest: antialiased edges, clipped colours
    for move in ((2, 0), (0, 2), (-2, 0), (0, -2)):
        assert (explained(images, masks.roll(move, (1, 2)) > 0) < share).float().mean() > 0.99


def test_noise_and_clutter_are_drawn():
    clean, noisy, littered = (
        draw(private_generator(0), (32, 32), noise, clutter)[0].float() for noise, clutter in ((0, 0), (0.1, 0), (0, 6))
    )
    free = (clean > 0) & (clean < 255)  # not clipped
    dark = free & (clean > 100) & (clean < 155)
    assert (noisy - clean)[dark].abs().mean() > 10
    assert ((littered - clean).abs().amax(1) > 20).float().mean() > 0.01


def test_averages_do_not_tell_the_class(labelled, masked):
    """Ridge regression from means, deviations, area and their products: near chance, 0.1."""
    labels, inside = train(labelled).targets, (train(masked).targets > 0).flatten(1).float()
    images, area = train(labelled).images.flatten(2).float() / 255, inside.mean(1, keepdim=True)
    x = torch.cat([images.mean(2), images.std(2), area], 1)
    x = torch.cat([x, (x[:, :, None] * x[:, None]).flatten(1)], 1).double()
    x = torch.cat([(x - x.mean(0)) / x.std(0), torch.ones(len(x), 1)], 1)
    y = torch.nn.functional.one_hot(labels, 10).double()
    fit, rest = slice(0, 700), slice(700, 1000)
    weight = torch.linalg.solve(x[fit].T @ x[fit] + 10 * torch.eye(x.shape[1]), x[fit].T @ y[fit])
    hits = ((x[rest] @ weight).argmax(1) == labels[rest]).float().mean()
    assert hits < 0.2, hits
    for label in range(10):
        mine = area[labels == label]
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
    options = inspect.signature(Shapes).parameters
    stated = OmegaConf.to_container(YAML)
    assert stated.pop("image_size") == 32
    assert options["image_size"].default == (32, 32)
    for key in ("_target_", "seed", "cache_dir"):  # of the run; what a class keeps on disk, its user decides
        del stated[key]
    assert stated == {key: options[key].default for key in stated}
    assert {"n_train", "noise", "clutter"} <= stated.keys()
