"""Data as it lies: folders of classes without splits, photos of unlike sizes, few of them."""

import itertools
import json

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as F

from command import command
from data_helpers import make_mask_folder
from litconv.data.fitting import default_size, fitted, fitted_mask, placed
from litconv.data.image_folder import ImageFolder
from litconv.data.mask_folder import MaskFolder
from litconv.data.torchvision_sets import CIFAR10
from litconv.errors import ConfigError
from litconv.run.naming import config_hash

COUNTS = {"ant": 13, "bee": 12, "cat": 10, "dog": 11, "emu": 9}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """55 of them in root/<class>/*, each of its own size and of its class's colour."""
    root = tmp_path_factory.mktemp("photos")
    draw = np.random.default_rng(0)
    for label, (name, count) in enumerate(COUNTS.items()):
        (root / name).mkdir()
        for number in range(count):
            height, width = draw.integers(40, 110, 2)
            pixels = draw.integers(0, 100, (height, width, 3)) + np.array([30 * label, 155 - 30 * label, 0])
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"IMG {number}.jpg")
    return root


def test_55_photos_of_unlike_sizes_train_by_one_command(photos, tmp_path, capsys):
    quick = ("epochs=1", "logger=csv", "trainer.accelerator=cpu", "cost.latency.enabled=false")
    assert command("data=image_folder", f"data.root={photos}", *quick, f"output_dir={tmp_path}") == 0
    (written,) = tmp_path.glob("runs/*/summary.json")
    summary = json.loads(written.read_text())
    assert summary["status"] == "completed"
    assert summary["test/split"] == "val"
    said = capsys.readouterr().err
    assert "images of 55 sizes, from 4" in said
    assert "each is resized and its middle of 64x64 kept" in said
    assert (
        "has no splits: of 55 images of 5 classes a tenth of each class is held out for validation, and tested on"
        in said
    )
    assert (
        "data.batch_size=128 is larger than the training set: it is trained in batches of 50, all of its images" in said
    )


def names(data, split):
    return set(data.load()[split].images)


def test_folds_test_every_photo_once_and_split_each_class_evenly(photos):
    tested = []
    for fold in range(5):
        data = ImageFolder(root=str(photos), folds=5, fold=fold, batch_size=8)
        splits = data.load()
        assert not names(data, "train") & names(data, "test")
        assert len(names(data, "train") | names(data, "test")) == 55
        counts = torch.bincount(splits["test"].labels, minlength=5).tolist()
        assert all(abs(count - whole / 5) < 1 for count, whole in zip(counts, COUNTS.values(), strict=True))
        assert len(splits["test"]) == 11
        tested += splits["test"].images
        data.setup()
        assert data.sizes == {"train": 39, "val": 5, "test": 11}
    assert len(set(tested)) == len(tested) == 55


def test_the_split_depends_on_split_seed_alone(photos):
    def split(**options):
        data = ImageFolder(root=str(photos), folds=3, fold=1, **options)
        return names(data, "test")

    assert split(seed=0) == split(seed=1)
    assert split(split_seed=1) != split(split_seed=0)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"fold": 0}, "data.fold=0 has no effect without data.folds"),
        ({"folds": 5}, "data.folds=5 needs data.fold=0 … 4, or all of them in a sweep: -m data.fold=0,1,2,3,4"),
        ({"folds": 5, "fold": 5}, "data.fold=5 must be a whole number from 0 to 4"),
        ({"folds": 1, "fold": 0}, "data.folds=1 must be a whole number, at least 2"),
        ({"folds": 56, "fold": 0}, "data.folds=56 are more than the 55 images"),
    ],
)
def test_folds_that_mean_nothing_are_one_line(photos, options, reason):
    with pytest.raises(ConfigError, match=reason):
        ImageFolder(root=str(photos), **options).load()


def test_folds_of_a_set_with_splits_are_refused(tmp_path):
    for split in ("train", "val"):
        for name in ("a", "b"):
            (tmp_path / split / name).mkdir(parents=True)
            Image.new("RGB", (8, 8)).save(tmp_path / split / name / "0.png")
    with pytest.raises(ConfigError, match="cuts a set without splits, and this one has val"):
        ImageFolder(root=str(tmp_path), folds=2, fold=0).load()


def test_the_default_size_suits_most_photos():
    assert default_size([(480, 640), (1000, 300), (700, 700)]) == (224, 224)
    assert default_size([(100, 90), (70, 200), (99, 99)]) == (96, 96)
    assert default_size([(20, 20), (10, 30)]) == (32, 32)


def test_stretching_is_what_it_was_before_and_cropping_keeps_the_shape(photos):
    path = photos / "ant" / "IMG 0.jpg"
    image = Image.open(path)
    assert np.array_equal(fitted(image, (20, 30), "stretch"), image.resize((30, 20), Image.Resampling.BILINEAR))
    wide = Image.fromarray(np.tile(np.linspace(0, 255, 96, dtype=np.uint8), (48, 1)))
    cropped = fitted(wide, (24, 24), "crop").astype(float)
    expected = F.center_crop(F.resize(torch.tensor(np.asarray(wide))[None], [24], antialias=True), [24, 24])[0]
    assert np.abs(cropped - expected.numpy()).max() <= 2


def test_the_middle_of_a_photo_of_any_size_lies_inside_it():
    for height, width in itertools.product(range(60, 140), range(60, 140, 7)):
        _, (left, top, right, bottom) = placed((height, width), (96, 96), "crop")
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        assert right - left == pytest.approx(bottom - top)


def test_a_letterbox_holds_the_whole_image_between_black_bars():
    tall = Image.new("RGB", (30, 60), (200, 10, 10))
    boxed = fitted(tall, (40, 40), "letterbox")
    assert (boxed[:, 10:30] == (200, 10, 10)).all()
    assert not boxed[:, :10].any()
    assert not boxed[:, 30:].any()
    deep = fitted(Image.fromarray(np.full((60, 30), 40_000, np.uint16)), (40, 40), "letterbox")
    assert deep.dtype == np.uint16
    assert (deep[:, 10:30] == 40_000).all()


@pytest.mark.parametrize("fit", ["stretch", "crop", "letterbox"])
def test_masks_are_fitted_as_their_images_are(fit):
    ids = np.kron(np.arange(6, dtype=np.uint8).reshape(2, 3), np.ones((20, 20), np.uint8))  # 40 x 60
    image = fitted(Image.fromarray(ids * 40), (32, 32), fit)
    mask = fitted_mask(ids, (32, 32), fit, -100)
    border = mask == 255
    assert border.any() == (fit == "letterbox")
    assert not image[border].any()
    edges = np.abs(image[~border] / 40.0 - mask[~border]) > 0.5
    assert edges.mean() < 0.15  # of bilinear beside nearest, at the seams


def test_the_border_of_a_letterboxed_mask_is_left_out_of_loss_and_metrics(tmp_path):
    root = make_mask_folder(tmp_path / "set", {"train": 2, "val": 1}, size=(8, 12), ids=(0, 1, 2))
    (root / "classes.txt").write_text("sky\nroad\ncar\n")
    data = MaskFolder(root=str(root), image_size=12, fit="letterbox", batch_size=1, flip=False)
    data.setup()
    ((x, y),) = data.val_dataloader()
    assert data.ignore_index == 255
    assert ((y == 255).sum(), (y[0, :2] == 255).all(), (y[0, 10:] == 255).all()) == (48, True, True)
    assert x.shape[-2:] == (12, 12)


def test_a_fit_without_effect_is_refused(tmp_path, photos):
    with pytest.raises(
        ConfigError, match=r"data.fit=crop has no effect: all images of this set have one shape; remove it$"
    ):
        CIFAR10(fit="crop")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / name / "0.png")
    with pytest.raises(ConfigError, match=r"the images have one size; remove it, or set data.image_size"):
        ImageFolder(root=str(tmp_path), fit="letterbox")
    assert ImageFolder(root=str(photos), fit="letterbox").image_size == (64, 64)


def test_a_run_of_before_these_options_keeps_its_hash():
    before = {"seed": 0, "data": {"_target_": "litconv.data.image_folder.ImageFolder", "root": "a", "image_size": 224}}
    off = {"fit": None, "folds": None, "fold": None, "vertical_flip": False, "resized_crop": None, "erasing": 0.0}
    off |= {"color_jitter": None, "rand_augment": None, "trivial_augment": False}
    assert config_hash({**before, "data": before["data"] | off}) == config_hash(before)
    assert config_hash({**before, "data": before["data"] | off | {"fit": "crop"}}) != config_hash(before)
