"""Masks as people have them: other ids, colours, JPEG, other names. The message shows the way, and the way is walked."""

import re
import subprocess

import numpy as np
import pytest
from PIL import Image

from data_helpers import make_mask_folder, palette_mask
from litconv.data.mask_folder import MaskFolder
from litconv.data.voc import VOC
from litconv.errors import DataError

SHAPE = (8, 12)
COLOURS = {(0, 0, 0): "background", (255, 0, 0): "car", (0, 0, 255): "road", (128, 64, 0): "void (ignore)"}


def with_masks(root, draw, save=lambda image, path: image.save(path)):
    """A set of 4 + 2 images whose masks are drawn by `draw(number)`, arrays of ids or of colours."""
    make_mask_folder(root, {"train": 4, "val": 2}, SHAPE)
    number = 0
    for split in ("train", "val"):
        for path in sorted((root / split / "masks").iterdir()):
            save(Image.fromarray(draw(number)), path)
            number += 1
    return root


def of_ids(*ids, dtype=np.uint8):
    return lambda number: np.random.default_rng(number).choice(np.array(ids, dtype), SHAPE)


def in_colour(number):
    codes = np.random.default_rng(number).integers(0, len(COLOURS), SHAPE)
    return np.array(list(COLOURS), np.uint8)[codes]


def fault(root, **options):
    with pytest.raises(DataError) as caught:
        MaskFolder(root=str(root), batch_size=1, **options).setup()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def read(data):
    data.setup()
    list(data.train_dataloader())


def write_proposed(message):
    """Runs the command at the message's end, as a reader would paste it."""
    subprocess.run(["sh", "-c", message[message.index("printf ") :]], check=True)


def targets(root, **options):
    data = MaskFolder(root=str(root), batch_size=1, **options)
    data.setup()
    return data, data._splits["train"].targets.numpy()


# -- ids ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ids", "before", "after"),
    [
        ((0, 255), None, "0 background\n255 foreground\n"),
        ((0, 255), "background\ncat\n", "0 background\n255 cat\n"),
        ((0, 255), "0 background\n", "0 background\n255 class 255\n"),
        ((1, 2, 3), "sky\nroad\ncar\n", "1 sky\n2 road\n3 car\n"),
        ((1, 2, 3), None, "1 class 1\n2 class 2\n3 class 3\n"),
        ((0, 1, 2, 255), None, "0 class 0\n1 class 1\n2 class 2\n255 void (ignore)\n"),
        ((0, 1, 255), "0 sky\n1 road\n", "0 sky\n1 road\n255 void (ignore)\n"),
        ((0, 128, 255), None, "0 class 0\n128 class 128\n255 class 255\n"),
        ((5, 6, 255), None, "5 class 5\n6 class 6\n255 class 255\n"),
        ((7, 50000), None, "7 background\n50000 foreground\n"),
        ((0, 1, 4), "0 sky\n1 road\n2 car (ignore)\n", "0 sky\n1 road\n2 car (ignore)\n4 class 4\n"),
    ],
    ids=str,
)
def test_masks_whose_ids_are_not_those_of_classes_txt_are_told_with_one_that_fits(tmp_path, ids, before, after):
    root = with_masks(tmp_path / "a set's", of_ids(*ids, dtype=np.uint16 if max(ids) > 255 else np.uint8))
    (root / "classes.txt").unlink()
    if before is not None:
        (root / "classes.txt").write_text(before)
    message = fault(root)
    assert all(re.search(rf"\b{number} \(\d+\.\d%\)", message) for number in ids)
    assert "ignore_index" not in message
    write_proposed(message)
    assert (root / "classes.txt").read_text() == after
    data, found = targets(root)
    assert data.num_classes >= 2
    for number, mask in enumerate(found):
        raw = np.asarray(Image.open(root / "train" / "masks" / f"{number:03}.png"))
        for line in after.splitlines():
            code, name = line.split(" ", 1)
            expected = data.ignore_index if "ignore" in name else data.class_names.index(name)
            assert (mask[raw == int(code)] == expected).all()


def test_the_shares_are_those_of_the_pixels_of_all_masks(tmp_path):
    root = with_masks(
        tmp_path / "set", lambda number: np.where(np.arange(96).reshape(SHAPE) < 24, 255, 0).astype(np.uint8)
    )
    (root / "classes.txt").unlink()
    assert "the masks hold the ids 0 (75.0%), 255 (25.0%)" in fault(root)


def test_an_id_that_one_mask_alone_holds_is_named_with_the_file_and_its_share(tmp_path):
    root = with_masks(tmp_path / "set", of_ids(0, 1, 2))
    ids = np.zeros(SHAPE, np.uint8)
    ids[0] = 9
    path = root / "train" / "masks" / "002.png"
    Image.fromarray(ids).save(path)
    for limit in (2048, 0):
        data = MaskFolder(root=str(root), batch_size=1, memory_limit_mb=limit)
        with pytest.raises(DataError) as caught:
            read(data)
        assert str(caught.value).startswith(
            f"{path} holds id 9 in 12.5% of its pixels, which is none of the classes (ids 0-2, 5)"
        )


def test_ids_that_smoothing_left_are_no_classes(tmp_path):
    root = with_masks(tmp_path / "set", lambda number: np.arange(96, dtype=np.uint8).reshape(SHAPE) + 96 * (number % 2))
    (root / "classes.txt").write_text("0 a\n255 b\n")
    message = fault(root)
    assert "printf" not in message
    assert "smoothing" in message


@pytest.mark.parametrize("wrong", [-1, 70_000])
def test_ids_that_no_classes_txt_can_give_are_to_be_numbered_anew(tmp_path, wrong):
    root = with_masks(tmp_path / "set", lambda number: np.zeros(SHAPE, np.uint8))
    path = root / "train" / "masks" / "000.tif"
    path.with_suffix(".png").unlink()
    Image.fromarray(np.full(SHAPE, wrong, np.int32)).save(path)
    message = fault(root)
    assert message.startswith(f"{path} holds id {wrong} in 100.0% of its pixels")
    assert message.endswith("number the classes anew: an id is from 0 to 65535")


def test_one_class_alone_is_refused(tmp_path):
    root = with_masks(tmp_path / "set", of_ids(0, 255))
    (root / "classes.txt").write_text("0 background\n")
    message = fault(root, ignore_index=255)
    assert "has 1 classes to learn; it needs 2 to 255" in message
    assert "leave data.ignore_index out, and write" in message
    write_proposed(message)
    assert targets(root)[0].class_names == ("background", "class 255")


def test_the_ids_of_a_fixed_set_are_not_to_be_written_anew(tmp_path):
    from data_helpers import make_voc

    folder = make_voc(tmp_path)
    palette_mask(np.full((20, 30), 77)).save(folder / "SegmentationClass" / "2007_train_001.png")
    with pytest.raises(DataError, match=r"holds id 77 in 100\.0% of its pixels.* its ids are 0-20, 255: correct it"):
        VOC(root=str(tmp_path), image_size=8, batch_size=1).setup()


# -- JPEG --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("extension", "options"), [("jpg", {}), ("webp", {"quality": 50})])
@pytest.mark.parametrize("has_classes", [True, False])
def test_a_lossy_mask_is_refused_even_where_all_its_ids_are_known(tmp_path, extension, options, has_classes):
    root = make_mask_folder(tmp_path / "set", {"train": 2, "val": 1}, SHAPE)
    path = root / "train" / "masks" / f"000.{extension}"
    path.with_suffix(".png").unlink()
    Image.fromarray(np.zeros(SHAPE, np.uint8)).save(path, **options)
    if not has_classes:
        (root / "classes.txt").unlink()
    message = fault(root)
    assert message.startswith(f"{path} is a {'JPEG' if extension == 'jpg' else 'WEBP'} file: it is lossy")
    assert "PNG, TIFF or BMP" in message


# -- colours -----------------------------------------------------------------------------------------------------------


def as_mode(mode):
    def save(image, path):
        if mode == "P":
            image.convert("P", palette=Image.Palette.ADAPTIVE, colors=8).save(
                path, transparency=bytes([0, 255, 128, 255])
            )
        else:
            image.convert(mode).save(path)

    return save


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
@pytest.mark.parametrize("lines", ["{name} {r} {g} {b}", "{name}: {r}, {g}, {b}"])
def test_colours_of_classes_txt_are_mapped_exactly(tmp_path, mode, lines):
    root = with_masks(tmp_path / "set", in_colour, as_mode(mode))
    text = [lines.format(name=name, r=r, g=g, b=b) for (r, g, b), name in COLOURS.items()]
    (root / "classes.txt").write_text("\n".join(text))
    for limit in (2048, 0):
        data = MaskFolder(root=str(root), batch_size=1, memory_limit_mb=limit)
        assert data.problem.num_classes == 3
        assert data.problem.classes_known
        data.setup()
        assert data.class_names == ("background", "car", "road")
        assert data.ignore_index == 3
        train = data._splits["train"]
        masks = train.targets.numpy() if limit else [train[i][1].numpy() for i in range(4)]
        for number in range(4):
            codes = np.random.default_rng(number).integers(0, len(COLOURS), SHAPE)
            assert np.array_equal(masks[number], codes)


def test_an_unknown_colour_is_named_with_the_file_and_its_share(tmp_path):
    root = with_masks(tmp_path / "set", in_colour)
    (root / "classes.txt").write_text("\n".join(f"{name} {r} {g} {b}" for (r, g, b), name in COLOURS.items()))
    path = root / "train" / "masks" / "001.png"
    pixels = in_colour(1)
    pixels[:2] = (254, 0, 0)
    Image.fromarray(pixels).save(path)
    message = fault(root)
    assert message.startswith(f"{path} holds colour 254 0 0 in 25.0% of its pixels, which is none of the classes")
    write_proposed(message)
    assert "class 4 254 0 0" in (root / "classes.txt").read_text()
    targets(root)


@pytest.mark.parametrize("content", [None, "background\ncar\nroad\nvoid\n"])
def test_masks_in_colours_are_told_with_a_classes_txt_of_colours(tmp_path, content):
    root = with_masks(tmp_path / "set", in_colour)
    (root / "classes.txt").unlink()
    if content:
        (root / "classes.txt").write_text(content)
    message = fault(root)
    assert all(f"{r} {g} {b} (" in message for r, g, b in COLOURS)
    write_proposed(message)
    data, found = targets(root)
    assert data.num_classes == len(COLOURS)
    lines = (root / "classes.txt").read_text().splitlines()
    for number, mask in enumerate(found):
        colours = [tuple(map(int, line.split()[-3:])) for line in lines]
        assert np.array_equal(np.array(colours, np.uint8)[mask], in_colour(number))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("sky 0 0 0\nroad\n", "the line 'road' has no colour while others have"),
        ("sky 0 0 0\nroad 0 0 0\n", "'road 0 0 0' has the colour of 'sky 0 0 0'"),
        ("sky 0 0 0\nroad 0 0 256\n", "'road 0 0 256' has a colour above 255"),
        ("sky 0 0 0\nsky 0 0 1\n", "'1 sky' repeats an id or a name"),
    ],
)
def test_colours_that_cannot_be_used_are_named(tmp_path, content, reason):
    root = with_masks(tmp_path / "set", in_colour)
    (root / "classes.txt").write_text(content)
    assert reason in fault(root)


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["_mask", "_L", ".seg"])
def test_masks_with_a_suffix_are_found_and_the_option_is_proposed(tmp_path, suffix):
    root = make_mask_folder(tmp_path / "set", {"train": 4, "val": 2})
    expected = targets(root)[1]
    for path in sorted(root.glob("*/masks/*")):
        path.rename(path.with_name(f"{path.stem}{suffix}.png"))
    message = fault(root)
    assert message.endswith(
        f"4 of 4 images have one called like them with '{suffix}' behind; set data.mask_suffix={suffix}"
    )
    assert np.array_equal(targets(root, mask_suffix=suffix)[1], expected)
    (root / "train" / "masks" / f"002{suffix}.png").unlink()
    assert f"3 of 4 images have one called like them with '{suffix}' behind" in fault(root)
    assert f"002.bmp has no mask {root}/train/masks/002{suffix}.*; add the mask" in fault(root, mask_suffix=suffix)


def test_a_suffix_that_masks_do_not_have_is_refused_with_the_right_one(tmp_path):
    root = make_mask_folder(tmp_path / "set", {"train": 4, "val": 2})
    assert fault(root, mask_suffix="_mask").endswith("; leave data.mask_suffix=_mask out")


def test_a_classes_txt_that_ignores_all_but_one_is_not_proposed_again(tmp_path):
    root = with_masks(tmp_path / "set", of_ids(0, 1))
    (root / "classes.txt").write_text("0 sky (ignore)\n1 tree\n")
    write_proposed(fault(root))
    assert targets(root)[0].class_names == ("sky", "tree")


def test_a_comment_in_classes_txt_is_no_class(tmp_path):
    root = with_masks(tmp_path / "set", of_ids(0, 1))
    (root / "classes.txt").write_text("# of the sky\nsky\ntree\n")
    assert targets(root)[0].class_names == ("sky", "tree")


def test_ids_that_stand_behind_the_names_are_refused_where_they_are_not_the_lines_own(tmp_path):
    root = with_masks(tmp_path / "set", of_ids(0, 1))
    (root / "classes.txt").write_text("tree 1\nsky 0\n")
    assert (
        "'tree 1' and the others end in numbers; if these are the ids write them first, as in '1 tree', and "
        in fault(root)
    )
    for names in ("sky 0\ntree 1\n", "kind 1\nkind 2\n"):
        (root / "classes.txt").write_text(names)
        assert targets(root)[0].class_names == tuple(names.splitlines())
