"""What users get wrong in their data: one line that names the file, the values and the remedy."""

import io
import os
import re
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets

from data_helpers import make_cifar, make_fashion, make_image_folder, make_mask_folder, make_pet, make_voc, noise
from litconv.data.camvid import CamVid
from litconv.data.image_folder import ImageFolder
from litconv.data.mask_folder import MaskFolder
from litconv.data.oxford_pet import OxfordPet
from litconv.data.torchvision_sets import CIFAR10, CIFAR100, FashionMNIST
from litconv.data.voc import VOC
from litconv.errors import ConfigError, DataError


def refused(error, make, *parts, **options):
    """Building or reading it raises `error` with one line that holds every part."""
    options.setdefault("batch_size", 1)
    with pytest.raises(error) as caught:
        make(**options).setup()
    assert type(caught.value) is error
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert str(part) in message
    return message


def read(data):
    """In memory a fault is found by `setup`, before the first step; streaming, at its sample."""
    data.setup()
    if data.memory_limit_mb == 0:
        list(data.train_dataloader())


@pytest.fixture
def images(tmp_path):
    return make_image_folder(tmp_path / "images", {"train": 4, "val": 1})


@pytest.fixture
def masks(tmp_path):
    return make_mask_folder(tmp_path / "masks", {"train": 4, "val": 2})


def truncated_jpeg(seed=0):
    buffer = io.BytesIO()
    Image.fromarray(noise(seed, 64, 64)).save(buffer, "JPEG")
    return buffer.getvalue()[:1500]


def png_header(width, height):
    """A PNG that claims a size and has no pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


# -- folders -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [ImageFolder, MaskFolder, CamVid])
def test_a_missing_root_is_named(tmp_path, make):
    refused(
        DataError,
        make,
        f"data.root={tmp_path / 'nowhere'} is not a folder",
        "set data.root",
        root=str(tmp_path / "nowhere"),
    )
    refused(DataError, make, f"data.root={tmp_path} has no folder 'train'", "expected train/", root=str(tmp_path))


def test_an_empty_class_folder_is_named(images):
    (images / "train" / "ant").mkdir()
    (images / "train" / "ant" / "readme.txt").write_text("no image")
    refused(
        DataError, ImageFolder, f"{images / 'train' / 'ant'} holds no images", "remove the folder", root=str(images)
    )
    (images / "val" / "dog" / "000.png").unlink()
    (images / "train" / "ant" / "readme.txt").rename(images / "readme.txt")
    (images / "train" / "ant").rmdir()
    refused(DataError, ImageFolder, f"{images / 'val' / 'dog'} holds no images", root=str(images))


def test_a_split_without_class_folders_is_named(tmp_path):
    (tmp_path / "train").mkdir()
    Image.fromarray(noise(0, 8, 8)).save(tmp_path / "train" / "a.png")
    refused(DataError, ImageFolder, f"{tmp_path / 'train'} has no class folders", "<class>", root=str(tmp_path))


def test_a_class_that_only_val_has_is_named(images):
    (images / "val" / "cat").rename(images / "val" / "cats")
    refused(DataError, ImageFolder, images / "val" / "cats", "cat, dog, emu", "rename", root=str(images))


def test_one_image_per_class_leaves_none_for_validation(tmp_path):
    root = make_image_folder(tmp_path, {"train": 1})
    refused(DataError, ImageFolder, "3 training images", "add a val split", root=str(root))


def test_an_odd_image_among_many_of_one_size_is_named(images, monkeypatch):
    path = images / "train" / "dog" / "001.png"
    Image.fromarray(noise(0, 10, 6)).save(path)
    ImageFolder(root=str(images), image_size=[8, 8], batch_size=1).setup()
    monkeypatch.setattr("litconv.data.image_folder.LOOKED_AT", 1)  # so that the odd one is not seen before
    first = images / "train" / "cat" / "000.png"
    refused(DataError, ImageFolder, f"{first} is 8x8 and {path} is 10x6", "data.image_size=[8,8]", root=str(images))


# -- broken images -----------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # pytest undoes litconv's own filter
@pytest.mark.parametrize("limit_mb", [2048, 0], ids=["in memory", "streaming"])
@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("001.jpg", truncated_jpeg(), "truncated"),
        ("001.png", b"this is a text file\n" * 9, "cannot identify"),
        ("001.jpg", b"", "it is empty"),
        ("001.png", png_header(64, 64), "cannot be read"),
        ("001.png", png_header(12_000, 10_000), "has 120000000 pixels, the limit is 89478485"),
        ("001.png", png_header(20_000, 20_000), "the limit is 89478485"),
    ],
    ids=["truncated", "text", "zero bytes", "no pixels", "large", "bomb"],
)
def test_a_broken_image_is_named(images, name, content, reason, limit_mb):
    path = images / "train" / "emu" / name
    path.write_bytes(content)
    data = ImageFolder(root=str(images), batch_size=1, image_size=8, memory_limit_mb=limit_mb)
    with pytest.raises(DataError, match=re.escape(str(path))) as caught:
        read(data)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert re.search("; (replace or remove it|scale it down)$", str(caught.value))


def test_a_broken_first_image_is_named(images):
    path = images / "train" / "cat" / "000.png"
    path.write_bytes(b"text")
    assert refused(DataError, ImageFolder, path, root=str(images)).count(str(path)) == 1


def test_a_reading_process_passes_the_error_on_in_one_line(images):
    path = images / "train" / "cat" / "000.png"
    path.write_bytes(b"text")
    data = ImageFolder(root=str(images), batch_size=4, image_size=8, memory_limit_mb=0, num_workers=1)
    data.setup()
    with pytest.raises(DataError) as caught:
        list(data.train_dataloader())
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_images_of_more_than_8_bits_are_not_clipped_silently(images):
    path = images / "train" / "cat" / "000.png"
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(path)
    refused(DataError, ImageFolder, path, "8-bit", root=str(images))


# -- masks -------------------------------------------------------------------------------------------------------------


def test_a_mask_without_an_image_is_named(masks):
    (masks / "train" / "images" / "002.bmp").unlink()
    mask = masks / "train" / "masks" / "002.png"
    refused(
        DataError, MaskFolder, f"{mask} has no image {masks / 'train' / 'images' / '002'}.*", "add", root=str(masks)
    )


def test_an_image_without_a_mask_is_named(masks):
    for stem in ("000", "001"):
        (masks / "val" / "masks" / f"{stem}.png").unlink()
    image = masks / "val" / "images" / "000.bmp"
    refused(DataError, MaskFolder, f"{image} has no mask", "(nor for 1 more)", "add the mask", root=str(masks))


def test_two_images_of_one_stem_are_named(masks):
    Image.fromarray(noise(0, 8, 12)).save(masks / "train" / "images" / "001.png")
    parts = [masks / "train" / "images" / name for name in ("001.bmp", "001.png")]
    refused(DataError, MaskFolder, *parts, "same stem", root=str(masks))


def test_a_missing_folder_of_masks_is_named(masks):
    (masks / "val" / "masks").rename(masks / "val" / "labels")
    refused(DataError, MaskFolder, f"{masks / 'val' / 'masks'} is missing (there: images, labels)", root=str(masks))


def test_a_split_without_images_is_named(tmp_path):
    root = make_mask_folder(tmp_path / "set", {"train": 2, "val": 0})
    refused(DataError, MaskFolder, f"{root / 'val' / 'images'} holds no images", root=str(root))


@pytest.mark.parametrize("limit_mb", [2048, 0], ids=["in memory", "streaming"])
@pytest.mark.parametrize("wrong", [3, 4, 255])
def test_a_mask_id_outside_the_classes_is_named(masks, wrong, limit_mb):
    path = masks / "train" / "masks" / "003.png"
    ids = np.zeros((8, 12), np.uint8)
    ids[7, 11] = wrong
    Image.fromarray(ids).save(path)
    data = MaskFolder(root=str(masks), batch_size=1, memory_limit_mb=limit_mb)
    with pytest.raises(DataError) as caught:
        read(data)
    expected = (
        f"{path} holds id {wrong} in 1.0% of its pixels, which is none of the classes (ids 0-2, 5); the masks hold"
    )
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize("limit_mb", [2048, 0], ids=["in memory", "streaming"])
def test_a_mask_of_another_size_than_its_image_is_named(masks, limit_mb):
    path = masks / "train" / "masks" / "001.png"
    Image.fromarray(np.zeros((12, 8), np.uint8)).save(path)
    data = MaskFolder(root=str(masks), batch_size=1, memory_limit_mb=limit_mb)
    with pytest.raises(DataError) as caught:
        read(data)
    image = masks / "train" / "images" / "001.bmp"
    assert str(caught.value) == f"{image} is 8x12 and its mask {path} is 12x8 (height x width); make them equal"


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_a_mask_of_several_channels_is_named(masks, mode):
    path = masks / "train" / "masks" / "000.png"
    Image.fromarray(noise(0, 8, 12)).convert(mode).save(path)
    refused(DataError, MaskFolder, f"{path} has {mode} pixels", "one channel", "8-bit grey", root=str(masks))


def test_a_corrupt_mask_is_named(masks):
    path = masks / "train" / "masks" / "000.png"
    path.write_bytes(path.read_bytes()[:60])
    refused(DataError, MaskFolder, f"{path} cannot be read", root=str(masks))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "is missing; the masks hold the ids 0 ("),
        ("", "has 0 classes to learn"),
        ("0 void (ignore)\n", "has 0 classes to learn"),
        ("0 sky\nroad\n", "'road' has no id while others have"),
        ("0 sky\n0 road\n", "'0 road' repeats an id or a name"),
        ("0 sky\n1 sky\n", "'1 sky' repeats an id or a name"),
        ("70000 sky\n", "id 70000 of 'sky' is above 65535"),
        ("\n".join(f"class {i}" for i in range(300)), "has 300 classes to learn; it needs 2 to 255"),
    ],
)
def test_a_classes_file_that_cannot_be_used_is_named(masks, content, reason):
    path = masks / "classes.txt"
    path.unlink()
    if content is not None:
        path.write_text(content)
    refused(DataError, MaskFolder, reason, masks, root=str(masks))


# -- options against data ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("make", "count"), [(ImageFolder, 12), (MaskFolder, 4)])
def test_a_batch_larger_than_the_training_set_is_all_of_it_and_that_is_said(images, masks, caplog, make, count):
    data = make(root=str(images if make is ImageFolder else masks), batch_size=13)
    data.setup()
    ((x, _),) = data.train_dataloader()
    assert len(x) == count
    assert f"data.batch_size=13 is larger than the training set: it is trained in batches of {count}" in caplog.text


def test_a_batch_larger_than_the_share_of_each_process_is_that_share(images, monkeypatch):
    data = ImageFolder(root=str(images), batch_size=8)
    data.setup()
    processes = [2]
    for module in ("epoch", "module"):
        monkeypatch.setattr(f"litconv.data.{module}.world", lambda: (0, processes[0]))
    assert [len(x) for x, _ in data.train_dataloader()] == [6]
    processes[0] = 13
    with pytest.raises(
        ConfigError, match=r"trainer.devices=13 processes are more than the training set has images \(12\)"
    ):
        data.train_dataloader()


def test_a_crop_larger_than_the_images_is_refused_before_they_are_read(images, masks):
    message = "data.crop_size=9x9 is larger than the images (8x8); use data.crop_size=[8,8] or less"
    (images / "train" / "emu" / "000.png").write_bytes(b"broken, and not read")
    assert refused(ConfigError, ImageFolder, root=str(images), crop_size=9) == message
    refused(ConfigError, MaskFolder, "crop_size=8x13", "(8x12)", root=str(masks), crop_size=[8, 13])
    refused(ConfigError, CIFAR10, "crop_size=40x40", "(32x32)", crop_size=40)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("batch_size", 0, "data.batch_size=0 must be a whole number, at least 1"),
        ("batch_size", 2.5, "data.batch_size=2.5 must be a whole number"),
        ("num_workers", -1, "data.num_workers=-1 must be"),
        ("crop_padding", -1, "data.crop_padding=-1 must be"),
        ("crop_padding", 32, "data.crop_padding=32 leaves nothing of a crop of 32x32; use less than 32"),
        ("cutout", 32, "data.cutout=32 leaves nothing of a crop of 32x32; use less than 32"),
        ("crop_size", 0, "data.crop_size=0 must be"),
        ("crop_size", [8, 8, 8], "data.crop_size=[8, 8, 8] must be"),
        ("image_size", -4, "data.image_size=-4 must be"),
        ("image_size", 32.5, "data.image_size=32.5 must be"),
        ("mean", (0.5,), "data.mean=(0.5,) must be a list of 3 numbers"),
        ("scale", 2, "data.scale=2 must be a list of 2 numbers"),
        ("std", (0.5, 0.0, 0.5), "data.std=[0.5, 0.0, 0.5] must be greater than 0"),
        ("scale", (2.0, 0.5), "data.scale=[2.0, 0.5] must be the smallest and the largest zoom"),
        ("scale", (0.0, 1.0), "data.scale=[0.0, 1.0] must be"),
    ],
)
def test_an_option_out_of_its_range_is_refused(option, value, said):
    refused(ConfigError, CIFAR10, said, **{option: value})


def test_an_ignore_index_that_is_no_id_is_refused(masks):
    refused(ConfigError, MaskFolder, "data.ignore_index=-1 must be", root=str(masks), ignore_index=-1)


def test_a_task_that_the_pets_do_not_have_is_refused():
    refused(ConfigError, OxfordPet, "data.task=detection", "classification, segmentation", task="detection")


# -- torchvision's sets ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "folder"),
    [
        (CIFAR10, "cifar-10-batches-py"),
        (CIFAR100, "cifar-100-python"),
        (FashionMNIST, "FashionMNIST"),
        (VOC, "VOCdevkit/VOC2012"),
        (OxfordPet, "oxford-iiit-pet"),
    ],
)
def test_a_set_that_is_not_there_names_its_folder_and_download(tmp_path, make, folder):
    refused(
        DataError,
        make,
        f"data.root={tmp_path} has no folder {tmp_path / folder}",
        "data.download=true",
        root=str(tmp_path),
    )


def test_a_cifar_whose_checksum_is_wrong_is_refused(tmp_path):
    make_cifar(tmp_path, hundred=False)
    parts = [tmp_path / "cifar-10-batches-py", "incomplete or corrupt", "data.download=true"]
    refused(DataError, CIFAR10, *parts, root=str(tmp_path))


def test_a_fashion_mnist_cut_short_is_refused(tmp_path):
    make_fashion(tmp_path)
    path = tmp_path / "FashionMNIST" / "raw" / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-100])
    refused(DataError, FashionMNIST, tmp_path / "FashionMNIST", "incomplete or corrupt", root=str(tmp_path))


def test_a_voc_mask_that_is_missing_is_named(tmp_path):
    folder = make_voc(tmp_path)
    path = folder / "SegmentationClass" / "2007_val_001.png"
    path.unlink()
    refused(DataError, VOC, f"{path} is missing", root=str(tmp_path), image_size=8)
    (folder / "ImageSets" / "Segmentation" / "val.txt").unlink()
    refused(DataError, VOC, "val.txt is missing", root=str(tmp_path), image_size=8)


def test_a_pet_annotation_that_cannot_be_read_is_named(tmp_path):
    path = make_pet(tmp_path) / "annotations" / "trainval.txt"
    path.write_text(path.read_text() + "Abyssinian_9 one 1 1\n")
    refused(DataError, OxfordPet, path, "'Abyssinian_9 one 1 1'", root=str(tmp_path), image_size=16)
    path.unlink()
    refused(DataError, OxfordPet, f"{path} is missing", root=str(tmp_path), image_size=16)


def test_a_download_that_fails_says_why(tmp_path, monkeypatch):
    def unreachable(*_args, **_options):
        raise OSError("no route\nto host")

    for source in (datasets.CIFAR10, datasets.VOCSegmentation, datasets.OxfordIIITPet):
        monkeypatch.setattr(source, "__init__", unreachable)
    for make in (CIFAR10, VOC, OxfordPet):
        with pytest.raises(DataError) as caught:
            make(root=str(tmp_path), download=True).prepare_data()
        assert "data.download=true" in str(caught.value)
        assert "(no route to host)" in str(caught.value)


def test_a_refused_set_reads_nothing_of_the_global_generator(images):
    before = torch.random.get_rng_state()
    path = images / "train" / "cat" / "000.png"
    path.write_bytes(b"text")
    refused(DataError, ImageFolder, path, root=str(images))
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_named_pipe_is_not_waited_for(images):
    os.mkfifo(next((images / "train").iterdir()) / "zz.png")
    refused(DataError, ImageFolder, "zz.png cannot be read as an image (it is not a file)", root=str(images))
