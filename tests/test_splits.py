"""Which folders are the splits, what stays unread, and what a score does not show of its split."""

import shutil

import numpy as np
import pytest
from PIL import Image

from data_helpers import make_image_folder, make_mask_folder, noise
from litconv.data.camvid import CamVid
from litconv.data.image_folder import ImageFolder
from litconv.data.mask_folder import MaskFolder
from litconv.data.splits import NAMES
from litconv.errors import DataError


@pytest.fixture
def said(caplog):
    """The lines that a set says while it is read."""

    def lines(make, **options):
        caplog.clear()
        make(batch_size=1, **options).setup()
        return [record.getMessage() for record in caplog.records if record.name.startswith("litconv")]

    return lines


def renamed(root, **names):
    for split, name in names.items():
        (root / split).rename(root / f"_{split}")
        (root / f"_{split}").rename(root / name)
    return root


@pytest.mark.parametrize("name", ["valid", "validation", "dev", "VAL", "Valid"])
def test_the_usual_names_of_splits_are_taken(tmp_path, name, said):
    plain = make_image_folder(tmp_path / "plain", {"train": 3, "val": 2, "test": 1})
    other = renamed(shutil.copytree(plain, tmp_path / "other"), train="Training", val=name, test="testing")
    sets = [ImageFolder(root=str(root), batch_size=1) for root in (plain, other)]
    for data in sets:
        assert data.problem.num_classes == 3
        assert data.problem.classes_known
        data.setup()
    assert sets[1].sizes == {"train": 9, "val": 6, "test": 3}
    for split in ("train", "val", "test"):
        assert np.array_equal(*(data._splits[split].images for data in sets))
    assert said(ImageFolder, root=str(other)) == []


def test_the_names_hold_for_masks_in_both_layouts(tmp_path):
    root = renamed(make_mask_folder(tmp_path / "set", {"train": 3, "val": 2}), train="Train", val="valid")
    data = MaskFolder(root=str(root), batch_size=1)
    data.setup()
    assert data.sizes == {"train": 3, "val": 2, "test": 2}
    (root / "Train" / "images").rename(root / "Train" / "Images")
    (root / "Train" / "masks").rename(root / "Train" / "MASKS")
    again = MaskFolder(root=str(root), batch_size=1)
    again.setup()
    assert np.array_equal(again._splits["train"].targets, data._splits["train"].targets)
    (root / "Train" / "Images").rename(root / "Train" / "images")
    (root / "Train" / "MASKS").rename(root / "Train" / "masks")
    segnet = tmp_path / "segnet"
    segnet.mkdir()
    for name, split in (("train", "Train"), ("valid", "valid")):
        (segnet / name).symlink_to(root / split / "images")
        (segnet / f"{name}annot").symlink_to(root / split / "masks")
    data = CamVid(root=str(segnet), image_size=(8, 12), batch_size=1)
    data.setup()
    assert data.sizes == {"train": 3, "val": 2, "test": 2}


@pytest.mark.parametrize("make", [ImageFolder, MaskFolder])
def test_the_classes_are_unknown_where_there_is_no_train_and_known_where_it_is(tmp_path, make):
    (tmp_path / "other").mkdir()
    for root in (tmp_path, tmp_path / "nowhere"):
        assert not make(root=str(root), image_size=8).problem.classes_known
    maker = make_image_folder if make is ImageFolder else make_mask_folder
    root = renamed(maker(tmp_path / "set", {"train": 2, "val": 1}), train="TRAINING")
    problem = make(root=str(root), image_size=8).problem
    assert (problem.classes_known, problem.num_classes) == (True, 3)


@pytest.mark.parametrize("split", NAMES)
def test_two_names_of_one_split_are_refused(tmp_path, split):
    root = make_image_folder(tmp_path, {"train": 2, "val": 1, "test": 1})
    other = NAMES[split][1]
    (root / other).mkdir()
    with pytest.raises(DataError, match=f"has '{split}' and '{other}', names of one split"):
        ImageFolder(root=str(root), batch_size=1).setup()


def test_every_folder_that_stays_unread_is_named_in_one_line(tmp_path, said):
    root = make_image_folder(tmp_path / "set", {"train": 3, "val": 1})
    assert said(ImageFolder, root=str(root)) == []
    for name in ("extra", "val2", ".git", "__MACOSX", "@eaDir"):
        (root / name).mkdir()
    (root / "readme.txt").write_text("no folder")
    (line,) = said(ImageFolder, root=str(root))
    assert line.startswith(
        f"data.root={root}: not read: extra, val2 (the names of splits are train: train, training; val: "
    )
    masks = make_mask_folder(tmp_path / "masks", {"train": 3, "val": 1})
    (masks / "unlabelled").mkdir()
    (line,) = said(MaskFolder, root=str(masks))
    assert f"data.root={masks}: not read: unlabelled (" in line


def test_camvid_in_segnets_layout_names_no_folder_that_it_reads(tmp_path, said):
    root = make_mask_folder(tmp_path / "set", {"train": 3, "val": 1}, ids=range(12))
    segnet = tmp_path / "segnet"
    segnet.mkdir()
    for split in ("train", "val"):
        (segnet / split).symlink_to(root / split / "images")
        (segnet / f"{split}annot").symlink_to(root / split / "masks")
    (segnet / "docs").mkdir()
    lines = said(CamVid, root=str(segnet), image_size=(8, 12))
    assert [line.partition(" (")[0] for line in lines] == [f"data.root={segnet}: not read: docs"]


def test_images_beside_the_class_folders_are_named(tmp_path, said):
    root = make_image_folder(tmp_path / "set", {"train": 3, "val": 1})
    Image.fromarray(noise(0, 8, 8)).save(root / "train" / "a.png")
    (root / "train" / "Thumbs.db").write_bytes(b"no image")
    assert said(ImageFolder, root=str(root)) == [
        f"{root / 'train'}: not read, for they lie in no class's folder: a.png"
    ]


def test_an_archive_in_a_folder_of_its_own_is_found_and_one_class_alone_is_no_set(tmp_path):
    root = make_image_folder(tmp_path / "outer" / "inner", {"train": 2})
    with pytest.raises(DataError, match=f"which {root} has: set data.root={root}$"):
        ImageFolder(root=str(root.parent))
    for name in ("dog", "emu"):
        shutil.rmtree(root / "train" / name)
    with pytest.raises(DataError, match=r"no folder 'train' \(there: cat\); expected train/<class>/\*, or <class>/\*$"):
        ImageFolder(root=str(root / "train"))


def test_a_link_that_leads_back_is_not_gone_through_again(tmp_path):
    root = make_image_folder(tmp_path / "set", {"train": 2, "val": 1})
    (root / "train" / "cat" / "back").symlink_to(root / "train" / "cat")
    (root / "train" / "dog" / "up").symlink_to(root)
    data = ImageFolder(root=str(root), batch_size=1)
    data.setup()
    assert data.sizes["train"] == 6


# -- what a score does not show ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cached", [False, True])
def test_pictures_of_train_that_are_in_val_and_test_too_are_counted_with_an_example(tmp_path, said, cached):
    root = make_image_folder(tmp_path / "set", {"train": 4, "val": 2, "test": 3})
    options = {"root": str(root), "cache_dir": str(tmp_path / "cache") if cached else None}
    assert said(ImageFolder, **options) == []
    for name, copied in (("a.bmp", "cat/001"), ("b.tif", "dog/002")):  # another name and format, the same pixels
        Image.open(root / "train" / f"{copied}.png").save(root / "test" / "cat" / name)
    lines = said(ImageFolder, **options)
    assert lines == [
        f"2 of 11 images of test are in train too, such as {root}/test/cat/a.bmp, which is {root}/train/cat/001.png: "
        "the score on test is better than on new images"
    ]
    assert said(ImageFolder, **options) == lines  # of what the cache keeps as well
    shutil.copy(root / "val" / "emu" / "000.png", root / "test" / "emu" / "zzz.png")
    assert [line.partition(", such")[0] for line in said(ImageFolder, **options)] == [
        "2 of 12 images of test are in train too",
        "1 of 12 images of test are in val too",
    ]


def test_doublets_that_are_held_out_are_counted_too(tmp_path, said):
    root = make_image_folder(tmp_path / "set", {"train": 10})
    for path in sorted((root / "train").rglob("*.png")):
        shutil.copy(path, path.with_name(f"copy of {path.name}"))
    (line,) = said(ImageFolder, root=str(root))
    data = ImageFolder(root=str(root), batch_size=1)
    data.setup()
    train, val = ([x.numpy().tobytes() for x in data._splits[name].images] for name in ("train", "val"))
    assert line.startswith(f"{sum(x in train for x in val)} of 6 images of val are in train too")


def test_a_class_without_an_image_in_val_or_test_is_named(tmp_path, said):
    root = make_image_folder(tmp_path / "set", {"train": 4, "val": 2, "test": 2})
    shutil.rmtree(root / "val" / "dog")
    for limit in (2048, 0):
        assert said(ImageFolder, root=str(root), memory_limit_mb=limit) == [
            "val holds no image of dog: its score says nothing of it"
        ]
    shutil.rmtree(root / "test" / "dog")
    shutil.rmtree(root / "test" / "cat")
    assert said(ImageFolder, root=str(root))[1].startswith("test holds images of one class alone, emu")


@pytest.mark.parametrize("extension", ["gif", "tif"])
def test_files_of_several_pictures_are_named_and_the_first_is_read(tmp_path, said, extension):
    root = make_image_folder(tmp_path / "set", {"train": 4, "val": 2}, extension=extension)
    assert said(ImageFolder, root=str(root)) == []
    path = root / "train" / "dog" / f"001.{extension}"
    pages = [Image.fromarray(noise(seed, 8, 8)) for seed in (100, 101, 102)]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    for limit in (2048, 0):
        (line,) = said(ImageFolder, root=str(root), memory_limit_mb=limit)
        assert line.startswith(f"{path} holds 3 pictures (as have 1 of 18 files looked at): the first is read")
    data = ImageFolder(root=str(root), batch_size=1)
    data.setup()
    expected = np.asarray(Image.open(path).convert("RGB"))
    assert np.array_equal(data._splits["train"].images[5].permute(1, 2, 0), expected)


def test_a_class_without_a_pixel_is_named(tmp_path, said):
    root = make_mask_folder(tmp_path / "set", {"train": 4, "val": 2}, ids=[0, 2, 5])
    assert said(MaskFolder, root=str(root)) == [
        "train holds no image of road: it cannot be learned",
        "val holds no image of road: its score says nothing of it",
    ]
    other = make_mask_folder(tmp_path / "other", {"train": 4, "val": 2}, ids=[2, 5])
    assert [line.partition(":")[0] for line in said(MaskFolder, root=str(other))] == [
        "train holds images of one class alone, car",
        "val holds images of one class alone, car",
    ]


def test_one_class_alone_is_refused_and_classes_a_folder_deeper_are_found(tmp_path):
    root = make_image_folder(tmp_path / "set", {"train": 3})
    (root / "inner").mkdir()
    (root / "train").rename(root / "inner" / "animals")
    (root / "inner").rename(root / "train")
    with pytest.raises(
        DataError, match=r"animals is the only class, .*it holds cat, dog, emu: if these are the classes, move"
    ):
        ImageFolder(root=str(root), batch_size=1).setup()
    for name in ("cat", "dog", "emu"):
        (root / "train" / "animals" / name).rename(root / "train" / name)
    shutil.rmtree(root / "train" / "animals")
    ImageFolder(root=str(root), batch_size=1).setup()  # the remedy works


@pytest.mark.parametrize("place", ["val", "train/class9"])
def test_a_folder_that_is_a_link_to_nowhere_is_named(tmp_path, place):
    """A disk that is not mounted: without it there would be another set."""
    root = make_image_folder(tmp_path / "set", {"train": 3})
    (root / place).symlink_to(tmp_path / "disk")
    with pytest.raises(DataError, match=f"{place} is a link to {tmp_path}/disk, which is not there; restore that, or "):
        ImageFolder(root=str(root), batch_size=1).setup()
