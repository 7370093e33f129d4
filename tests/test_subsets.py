"""`data.n_train`: a part of the training images, counted here by the files and labels that were written."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets

from data_helpers import (
    CLASSES,
    make_cifar,
    make_fashion,
    make_image_folder,
    make_mask_folder,
    make_pet,
    make_unequal_folder,
    make_voc,
)
from litconv.config.composed import compose, plain
from litconv.data import file_set
from litconv.data.camvid import CamVid
from litconv.data.draws import private_generator
from litconv.data.image_folder import ImageFolder
from litconv.data.loader import Arrays
from litconv.data.mask_folder import MaskFolder
from litconv.data.oxford_pet import OxfordPet
from litconv.data.subsets import held_out
from litconv.data.torchvision_sets import CIFAR10, CIFAR100, FashionMNIST
from litconv.data.voc import VOC
from litconv.errors import ConfigError
from litconv.run.naming import config_hash

CONF = Path(__file__).parents[1] / "conf" / "data"
MADE = ("shapes", "probe")  # in memory, as many images as are asked for
HAVE = {"cat": 30, "dog": 20, "emu": 10}  # images of train


@pytest.fixture(scope="module")
def unequal(tmp_path_factory):
    return make_unequal_folder(tmp_path_factory.mktemp("unequal"), HAVE)


def ready(make, **options):
    data = make(batch_size=1, **options)
    data.setup()
    return data


def of(data, split="train"):
    """Every image of a split, by its bytes, with its target."""
    part = data._splits[split]
    streams = isinstance(part, file_set.FileSet)
    pairs = [part[i] if streams else (part.images[i], part.targets[i]) for i in range(len(part))]
    return [(image.numpy().tobytes(), target.numpy().tobytes()) for image, target in pairs]


def files_of(data):
    """Of the training images: the folder of each, found by its pixels."""
    by_pixels = {}
    for path in Path(data.root, "train").rglob("*.png"):
        by_pixels[np.asarray(Image.open(path)).transpose(2, 0, 1).tobytes()] = path.parent.name
    return [by_pixels[image] for image, _ in of(data)]


@pytest.mark.parametrize(
    ("count", "expected"), [(12, (6, 4, 2)), (30, (15, 10, 5)), (3, (1, 1, 1)), (59, (30, 19, 10)), (60, (30, 20, 10))]
)
def test_every_class_keeps_its_share_and_none_is_lost(unequal, count, expected):
    data = ready(ImageFolder, root=str(unequal), n_train=count)
    assert data.sizes == {"train": count, "val": 9, "test": 12}
    found = Counter(files_of(data))
    assert sum(found.values()) == count
    assert all(abs(found[name] - share) <= (count == 59) for name, share in zip(CLASSES, expected, strict=True))
    assert len(set(of(data))) == count  # no image twice


def test_the_same_images_are_chosen_for_every_seed_of_a_run_and_others_by_another_split_seed(unequal):
    first, run, split = (
        ready(ImageFolder, root=str(unequal), n_train=20, **seeds)
        for seeds in ({"seed": 1}, {"seed": 2}, {"seed": 1, "split_seed": 1})
    )
    assert of(first) == of(run) != of(split)
    assert Counter(files_of(first)) == Counter(files_of(split))


def test_a_smaller_choice_is_part_of_a_larger_one(unequal):
    chosen = [set(of(ready(ImageFolder, root=str(unequal), n_train=count))) for count in (3, 7, 20, 45)]
    assert all(small < large for small, large in pairwise(chosen))


def test_validation_and_test_stay_whole_and_validation_is_held_out_before(tmp_path):
    root = str(make_image_folder(tmp_path, {"train": 30, "test": 4}))
    whole, part = ready(ImageFolder, root=root), ready(ImageFolder, root=root, n_train=12)
    assert whole.sizes == {"train": 81, "val": 9, "test": 12}
    assert part.sizes == {"train": 12, "val": 9, "test": 12}
    assert of(whole, "val") == of(part, "val")
    assert of(whole, "test") == of(part, "test")
    assert set(of(part)) < set(of(whole))


def test_only_the_files_that_were_chosen_are_decoded(unequal, monkeypatch):
    read, seen = file_set.read_image, []
    monkeypatch.setattr(file_set, "read_image", lambda path, *how: seen.append(path) or read(path, *how))
    ready(ImageFolder, root=str(unequal), n_train=12)
    assert Counter(Path(path).parts[-3] for path in seen) == {"train": 12, "val": 9, "test": 12}


def test_streaming_and_the_cache_give_the_images_that_memory_gives(unequal, tmp_path):
    cache = {"cache_dir": str(tmp_path / "cache")}
    for count in (12, 30, None, 12):
        memory, *others = (
            ready(ImageFolder, root=str(unequal), n_train=count, **how) for how in ({}, {"memory_limit_mb": 0}, cache)
        )
        assert [of(other) for other in others] == [of(memory)] * 2
    assert len(list((tmp_path / "cache" / "data").glob("*-train-*"))) == 3


@pytest.mark.parametrize("hundred", [False, True])
def test_a_part_of_cifar_has_its_labels_in_equal_numbers_and_its_cache_is_that_of_the_whole(
    tmp_path, monkeypatch, hundred
):
    make, source = (CIFAR100, datasets.CIFAR100) if hundred else (CIFAR10, datasets.CIFAR10)
    known, images, labels = make_cifar(tmp_path, hundred, per_file=400 if hundred else 40)
    for name, value in known.items():
        monkeypatch.setattr(source, name, value)
    label_of = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    options = {"root": str(tmp_path), "cache_dir": str(tmp_path / "cache")}
    for count in (100, 200 if hundred else 50, 100):
        found = Counter(label_of[image] for image, _ in of(ready(make, n_train=count, **options)))
        assert found == dict.fromkeys(range(make.classes), count // make.classes)
    assert ready(make, **options).sizes["train"] == (300 if hundred else 180)  # of 400 and 200
    assert len(list((tmp_path / "cache" / "data").iterdir())) == 3  # train, test and the locks


def test_a_part_of_fashion_mnist(tmp_path):
    images, labels = make_fashion(tmp_path)
    data = ready(FashionMNIST, root=str(tmp_path), n_train=20)
    label_of = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    assert Counter(label_of[image] for image, _ in of(data)) == dict.fromkeys(range(10), 2)


def test_a_part_of_a_set_of_masks_keeps_each_image_with_its_mask(tmp_path):
    mask_set, pets = make_mask_folder(tmp_path / "masks", {"train": 20, "val": 5}), make_pet(tmp_path / "pets")
    make_voc(tmp_path / "voc", train=8)
    for make, options, whole in (
        (MaskFolder, {"root": str(mask_set)}, 20),
        (CamVid, {"root": str(mask_set), "image_size": None}, 20),
        (VOC, {"root": str(tmp_path / "voc")}, 8),
        (OxfordPet, {"root": str(pets.parent), "task": "segmentation"}, 14),
        (OxfordPet, {"root": str(pets.parent)}, 14),
    ):
        every, some = ready(make, **options), ready(make, **options, n_train=4)
        assert (every.sizes["train"], some.sizes["train"]) == (whole, 4)
        assert set(of(some)) < set(of(every))
        assert len(set(of(some))) == 4
        assert of(some, "val") == of(every, "val")


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (
            61,
            "data.n_train=61 is larger than the training split (60 images, without validation's); use data.n_train=60 or",
        ),
        (
            2,
            "data.n_train=2 is less than the number of classes, 3, and each needs an image; use data.n_train=3 or more",
        ),
        (0, "data.n_train=0 must be a whole number, at least 1, or null for all images"),
        (2.5, "data.n_train=2.5 must be a whole number"),
    ],
)
def test_a_number_that_the_training_split_cannot_give_is_refused(unequal, count, said):
    with pytest.raises(ConfigError) as error:
        ready(ImageFolder, root=str(unequal), n_train=count)
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", sorted(path.stem for path in CONF.glob("*.yaml") if path.stem not in MADE))
def test_every_set_of_files_has_the_option_and_its_hash_is_the_old_one_where_it_is_off(name):
    task = [] if name not in ("camvid", "voc", "mask_folder") else ["task=segmentation"]
    now = plain(compose([f"data={name}", *task]))
    assert now["data"]["n_train"] is None
    before = {**now, "data": {key: value for key, value in now["data"].items() if key != "n_train"}}
    assert config_hash(now) == config_hash(before)
    assert config_hash(now) != config_hash(plain(compose([f"data={name}", *task, "data.n_train=10"])))


def test_a_choice_draws_nothing_from_the_global_generator(unequal):
    state = torch.get_rng_state()
    ready(ImageFolder, root=str(unequal), n_train=12)
    assert torch.equal(torch.get_rng_state(), state)


def test_validation_is_held_out_as_by_earlier_versions():
    """Their loop, kept here: another draw would change every split that has been trained on."""
    labels = torch.randint(5, (203,), generator=torch.Generator().manual_seed(3))
    generator, held = private_generator(7, "split"), torch.zeros(203, dtype=torch.bool)
    for label in labels.unique():
        members = (labels == label).nonzero()[:, 0]
        members = members[torch.randperm(len(members), generator=generator)]
        held[members[: max(round(0.1 * len(members)), 1)]] = True
    train = Arrays(torch.zeros(203, 1, 1, 1), labels)
    assert held_out(train, split_seed=7).tolist() == held.nonzero()[:, 0].tolist()
