"""Photographs with EXIF orientation stand upright, beside masks that were drawn on the upright picture."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import ExifTags, Image, ImageOps

from data_helpers import make_image_folder, make_mask_folder, noise
from litconv.data.cache import Cache, key_of
from litconv.data.files import read_size
from litconv.data.image_folder import ImageFolder
from litconv.data.mask_folder import MaskFolder
from litconv.errors import DataError

SIZES = {"square": (16, 16), "oblong": (12, 20)}
STORED = {  # how a camera lies the upright picture down, by slicing: the inverse of what a viewer does
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: np.swapaxes(x, 0, 1),
    6: lambda x: np.rot90(x, 1),
    7: lambda x: np.swapaxes(x[::-1, ::-1], 0, 1),
    8: lambda x: np.rot90(x, -1),
}


def save(upright, path, orientation):
    """The picture as stored, with the tag that turns it back."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(np.ascontiguousarray(STORED[orientation](upright))).save(path, exif=exif, lossless=True)


def test_the_stored_pictures_of_these_tests_are_what_pil_turns_upright(tmp_path):
    upright = noise(0, 12, 20)
    for orientation in STORED:
        save(upright, tmp_path / "a.png", orientation)
        assert np.array_equal(np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "a.png"))), upright)


@pytest.mark.parametrize("shape", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("extension", ["png", "tif", "webp"])
def test_images_stand_upright_beside_masks_without_a_tag_and_with_one(tmp_path, shape, orientation, extension):
    root = make_mask_folder(tmp_path / "set", {"train": 3, "val": 1}, shape)
    upright = noise(7, *shape)
    ids = np.random.default_rng(7).choice(np.array([0, 1, 2, 5], np.uint8), shape)
    for i in (0, 1):  # the first says which size the images have
        (root / "train" / "images" / f"{i:03}.bmp").unlink()
        save(upright, root / "train" / "images" / f"{i:03}.{extension}", orientation)
    Image.fromarray(ids).save(root / "train" / "masks" / "000.png")
    save(ids, root / "train" / "masks" / "001.png", orientation)
    for limit in (2048, 0):  # in memory, streaming
        data = MaskFolder(root=str(root), batch_size=1, memory_limit_mb=limit)
        assert data.image_size == shape
        data.setup()
        for i in (0, 1):
            image, mask = (x[i] for x in vars(data._splits["train"]).values()) if limit else data._splits["train"][i]
            assert np.array_equal(image.permute(1, 2, 0).numpy(), upright)
            assert np.array_equal(mask.numpy(), ids)


@pytest.mark.parametrize("orientation", STORED)
def test_a_photograph_is_turned_as_pil_turns_it_and_its_size_is_the_upright_one(tmp_path, orientation):
    root = make_image_folder(tmp_path / "set", {"train": 3}, (12, 20))
    path = root / "train" / "cat" / "000.jpg"
    path.with_suffix(".png").unlink()
    save(noise(3, 12, 20), path, orientation)
    assert read_size(str(path)) == (12, 20)
    data = ImageFolder(root=str(root), batch_size=1, split_seed=next_seed_that_keeps_the_first(root))
    data.setup()
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
    assert any(np.array_equal(image.permute(1, 2, 0), expected) for image in data._splits["train"].images)


def next_seed_that_keeps_the_first(root):
    """In train, when a tenth is held out."""
    for seed in range(20):
        data = ImageFolder(root=str(root), batch_size=1, split_seed=seed, memory_limit_mb=0)
        data.setup()
        if data._splits["train"].images[0].endswith("000.jpg"):
            return seed
    raise AssertionError


def test_a_mask_that_does_not_follow_the_turn_of_its_image_is_named_with_the_reason(tmp_path):
    root = make_mask_folder(tmp_path / "set", {"train": 2, "val": 1}, (12, 20))
    (root / "train" / "images" / "001.bmp").unlink()
    save(noise(0, 12, 20), root / "train" / "images" / "001.png", 6)
    drawn_on_the_lying_picture = Image.fromarray(np.zeros((20, 12), np.uint8))
    drawn_on_the_lying_picture.save(root / "train" / "masks" / "001.png")
    with pytest.raises(DataError, match=r"12x20 and its mask .* is 20x12 .*turned upright by its EXIF orientation"):
        MaskFolder(root=str(root), batch_size=1).setup()


def test_a_broken_tag_turns_nothing(tmp_path):
    root = make_image_folder(tmp_path / "set", {"train": 1, "val": 1})
    path = root / "train" / "cat" / "000.png"
    Image.open(path).save(path, exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff\x01")
    data = ImageFolder(root=str(root), batch_size=1)
    data.setup()
    assert np.array_equal(data._splits["train"].images[0].permute(1, 2, 0), np.asarray(Image.open(path)))


def test_what_an_earlier_version_kept_of_a_photograph_is_not_used(tmp_path):
    """That version's key, written out here, had no number of the decoding."""
    root = make_image_folder(tmp_path / "set", {"train": 1, "val": 1})
    data = ImageFolder(root=str(root), batch_size=1, memory_limit_mb=0)
    data.setup()
    split, digest = data._splits["val"], hashlib.sha256()
    for path in split.images:
        stat = Path(path).stat()
        digest.update(f"{path} {stat.st_size} {stat.st_mtime_ns}\0".encode())
    labels = np.asarray(split.labels).tobytes()
    old = key_of(digest.digest(), (8, 8), False, labels, None, PIL.__version__)
    stored = {"images": np.zeros((3, 3, 8, 8), np.uint8), "targets": np.arange(3)}
    for key in (old, split.key()):
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        Cache(tmp_path / "cache", 100).fetch("ImageFolder-val", key, lambda allocate: copied(stored, allocate))
        again = ImageFolder(root=str(root), batch_size=1, cache_dir=str(tmp_path / "cache"))
        if key == old:
            again.setup()
            assert again._splits["val"].images.any()
        else:  # the same under today's key would be
            assert not again.cached("val", key, pytest.fail)["images"].any()


def test_another_way_to_decode_is_another_key(tmp_path, monkeypatch):
    data = ImageFolder(root=str(make_image_folder(tmp_path, {"train": 1, "val": 1})), batch_size=1, memory_limit_mb=0)
    data.setup()
    before = data._splits["val"].key()
    monkeypatch.setattr("litconv.data.file_set.DECODING", 0)
    assert data._splits["val"].key() != before


def copied(arrays, allocate):
    made = {name: allocate(name, values.shape, values.dtype) for name, values in arrays.items()}
    for name, values in arrays.items():
        made[name][:] = values
    return made
