"""data.in_channels=1: grey images, 8 and 16 bits, scaled by the range of their type."""

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from command import TINY, command
from data_helpers import make_image_folder, make_mask_folder, noise
from litconv.config.composed import compose, plain
from litconv.data.image_folder import ImageFolder
from litconv.data.loader import StreamLoader
from litconv.data.mask_folder import MaskFolder
from litconv.errors import ConfigError, DataError
from litconv.run.naming import config_hash

PLAIN = {"mean": (0.0,), "std": (1.0,), "in_channels": 1, "batch_size": 1, "flip": False, "crop_padding": 0}


def deep(seed, height=8, width=8):
    return np.random.default_rng(seed).integers(0, 65536, (height, width), dtype=np.uint16)


def deep_folder(root, extension="png", size=(8, 8)):
    """16-bit images, their seeds counted up from 0 through train's classes, then val's."""
    make_image_folder(root, {"train": 4, "val": 2})
    for seed, path in enumerate([*sorted((root / "train").rglob("*.png")), *sorted((root / "val").rglob("*.png"))]):
        path.unlink()
        Image.fromarray(deep(seed, *size)).save(path.with_suffix(f".{extension}"))
    return root


@pytest.mark.parametrize("extension", ["png", "tif", "pgm"])
@pytest.mark.parametrize("limit_mb", [2048, 0], ids=["in memory", "streaming"])
def test_sixteen_bits_are_scaled_by_65535_and_none_is_lost(tmp_path, extension, limit_mb):
    root = deep_folder(tmp_path / "set", extension)
    for cache in (None, str(tmp_path / "cache"), str(tmp_path / "cache")):
        data = ImageFolder(root=str(root), **PLAIN, memory_limit_mb=limit_mb, cache_dir=cache, cache_limit_mb=limit_mb)
        data.setup()
        loader = data.val_dataloader()
        assert isinstance(loader, StreamLoader) == (limit_mb == 0)
        for seed, (x, _) in enumerate(loader, 12):
            np.testing.assert_allclose(x[0, 0].numpy(), deep(seed) / 65535, atol=1e-6)
            assert len(x.unique()) == len(np.unique(deep(seed)))


@pytest.mark.parametrize(
    "options", [{}, {"scale": (0.5, 2.0)}, {"crop_padding": 2, "flip": True, "cutout": 3}], ids=str
)
def test_sixteen_bits_are_augmented_as_eight_are(tmp_path, options):
    """Images of 257 times the values of others, of a range 257 times as large."""
    for name, factor in (("shallow", 1), ("deep", 257)):
        root = make_image_folder(tmp_path / name, {"train": 4, "val": 1})
        for seed, path in enumerate(sorted(root.rglob("*.png"))):
            values = noise(seed, 8, 8, 1)
            Image.fromarray(values if factor == 1 else values.astype(np.uint16) * np.uint16(factor)).save(path)
    found = []
    for name in ("shallow", "deep"):
        data = ImageFolder(root=str(tmp_path / name), **{**PLAIN, "batch_size": 4, **options})
        data.setup()
        found.append((data._splits["train"].images.dtype, [x for x, _ in data.train_dataloader()]))
    assert [dtype for dtype, _ in found] == [torch.uint8, torch.uint16]
    for shallow, other in zip(*(x for _, x in found), strict=True):
        torch.testing.assert_close(shallow, other, atol=1e-5, rtol=1e-5)


def test_sixteen_bits_are_resized_smoothly_and_turned_upright(tmp_path):
    root = deep_folder(tmp_path / "set", size=(10, 12))
    data = ImageFolder(root=str(root), **PLAIN, image_size=[5, 6])
    data.setup()
    x = data._splits["val"].images[0, 0].numpy().astype(float)
    reference = torch.nn.functional.interpolate(
        torch.from_numpy(deep(12, 10, 12).astype(np.float32))[None, None], (5, 6), mode="bilinear", antialias=True
    )[0, 0]
    np.testing.assert_allclose(x, reference.numpy(), atol=1)


def test_eight_bits_beside_sixteen_are_stretched_to_their_range_and_sixteen_beside_eight_are_refused(tmp_path):
    root = deep_folder(tmp_path / "set")
    path = root / "val" / "cat" / "000.png"
    Image.fromarray(noise(0, 8, 8, 1)).save(path)
    data = ImageFolder(root=str(root), **PLAIN)
    data.setup()
    x, _ = next(iter(data.val_dataloader()))
    np.testing.assert_allclose(x[0, 0].numpy(), noise(0, 8, 8, 1) / 255, atol=1e-6)
    Image.fromarray(noise(0, 8, 8, 1)).save(root / "train" / "cat" / "000.png")
    with pytest.raises(DataError, match="more than 8 bits a channel, and the first image of train has 8"):
        ImageFolder(root=str(root), **PLAIN).setup()


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK", "RGB"])
def test_images_of_any_mode_become_grey_as_pil_makes_them(tmp_path, mode):
    root = make_image_folder(tmp_path, {"train": 2, "val": 1})
    path = root / "train" / "cat" / "000.tif"
    path.with_suffix(".png").unlink()
    Image.fromarray(noise(7, 8, 8)).convert(mode).save(path)
    data = ImageFolder(root=str(root), **PLAIN)
    data.setup()
    assert data._splits["train"].images.shape == (6, 1, 8, 8)
    assert np.array_equal(data._splits["train"].images[0, 0], np.asarray(Image.open(path).convert("L")))


def test_a_mode_that_pil_makes_grey_in_two_steps_alone_is_read(tmp_path):
    root = make_image_folder(tmp_path, {"train": 2, "val": 1})
    path = root / "train" / "cat" / "000.tif"
    path.with_suffix(".png").unlink()
    Image.new("LAB", (8, 8), (128, 128, 128)).save(path)  # L* of 50: sRGB 119
    data = ImageFolder(root=str(root), **PLAIN)
    data.setup()
    assert np.abs(data._splits["train"].images[0, 0].numpy().astype(int) - 119).max() <= 1


def test_sixteen_bits_as_three_channels_are_refused_with_the_option(tmp_path):
    root = deep_folder(tmp_path / "set")
    with pytest.raises(DataError, match=r"more than 8 bits a channel; .*train on grey images: data\.in_channels=1"):
        ImageFolder(root=str(root), batch_size=1).setup()


def test_values_without_a_range_are_refused(tmp_path):
    root = make_image_folder(tmp_path, {"train": 2, "val": 1})
    path = root / "train" / "cat" / "000.tif"
    path.with_suffix(".png").unlink()
    for values in (np.ones((8, 8), np.float32), np.full((8, 8), 70_000, np.int32)):
        Image.fromarray(values).save(path)
        with pytest.raises(DataError, match=f"{path} has [FI] pixels, .*whose range is not known"):
            ImageFolder(root=str(root), **PLAIN).setup()


def test_mean_and_std_have_a_value_a_channel(tmp_path):
    root = str(make_image_folder(tmp_path, {"train": 2, "val": 1}))
    assert (ImageFolder(root=root).mean, ImageFolder(root=root).std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    grey = ImageFolder(root=root, in_channels=1)
    assert grey.mean == pytest.approx((np.mean((0.485, 0.456, 0.406)),))
    assert grey.std == pytest.approx((np.mean((0.229, 0.224, 0.225)),))
    assert grey.problem.in_channels == 1
    assert ImageFolder(root=root, in_channels=1, mean=[0.3]).mean == (0.3,)
    for options, said in (
        ({"in_channels": 1, "mean": [0.5, 0.5, 0.5]}, "must be a list of 1 number"),
        ({"mean": [0.5]}, "must be a list of 3 numbers"),
        ({"in_channels": 2}, "data.in_channels=2 must be 1 (grey) or 3 (RGB)"),
    ):
        with pytest.raises(ConfigError, match=re.escape(said)):
            ImageFolder(root=root, **options)


def test_twelve_bits_in_files_of_sixteen_are_told_with_their_own_mean_and_deviation(tmp_path, caplog):
    root = make_image_folder(tmp_path, {"train": 4, "val": 1})
    values = {path: deep(seed) // np.uint16(16) for seed, path in enumerate(sorted(root.rglob("*.png")))}
    for path, value in values.items():
        Image.fromarray(value).save(path)
    options = {"root": str(root), "in_channels": 1, "batch_size": 1}
    ImageFolder(**options).setup()
    (line,) = [record.getMessage() for record in caplog.records]
    train = np.stack([value for path, value in values.items() if "train" in path.parts])
    assert f"the 16-bit images of train reach {train.max()} of 65535" in line
    mean, std = map(float, re.search(r"\+data\.mean=\[(.*)\] \+data\.std=\[(.*)\]$", line).groups())
    assert mean == pytest.approx(train.mean() / 65535, rel=1e-3)
    assert std == pytest.approx(train.std() / 65535, rel=1e-3)
    caplog.clear()
    ImageFolder(**options, mean=[mean], std=[std]).setup()  # the remedy works
    assert not caplog.records


# -- a run -------------------------------------------------------------------------------------------------------------

RUN = (*(argument for argument in TINY if not argument.startswith("++data.")), "logger=csv", "data.batch_size=2")


def test_a_run_on_sixteen_bits_has_a_stem_of_one_channel(tmp_path):
    size = ("data=image_folder", f"data.root={deep_folder(tmp_path / 'set')}", "data.image_size=16")
    params = {}
    for channels, extra in ((1, ["data.in_channels=1"]), (3, [])):
        out = tmp_path / str(channels)
        if channels == 3:
            size = (size[0], f"data.root={make_image_folder(tmp_path / 'rgb', {'train': 4, 'val': 2})}", size[2])
        assert command(*RUN, *size, *extra, f"output_dir={out}") == 0
        (summary,) = out.rglob("summary.json")
        params[channels] = json.loads(summary.read_text())["cost/params"]
    stem = 16 // 2  # width 0.5
    assert params[3] - params[1] == 2 * 9 * stem


def test_the_check_before_the_data_builds_a_network_for_the_channels_that_are_asked_for(monkeypatch):
    from litconv import build
    from litconv.prepare import checks

    seen = []
    monkeypatch.setattr(build, "on_meta", lambda config, in_channels, classes: seen.append(in_channels))
    for overrides in (
        ["data=image_folder"],
        ["data=image_folder", "data.in_channels=1"],
        ["data=mask_folder", "data.in_channels=1"],
        ["data=fashion_mnist"],
        ["data=cifar10"],
    ):
        checks.early_network(compose(overrides))
    assert seen == [3, 1, 1, 1, 3]


def test_another_number_of_channels_is_refused_before_anything_is_built(capsys):
    assert command("data=image_folder", "data.in_channels=2") == 1
    assert "data.in_channels=2 must be 1 or 3" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["image_folder", "mask_folder", "camvid"])
def test_the_new_options_change_no_hash_where_they_are_off(name):
    now = plain(compose([f"data={name}"]))
    data = {key: value for key, value in now["data"].items() if key not in ("in_channels", "mask_suffix")}
    assert data != now["data"]
    assert config_hash(now) == config_hash({**now, "data": data})
    assert config_hash(now) != config_hash(plain(compose([f"data={name}", "data.in_channels=1"])))


def test_the_comparison_shows_grey_images(tmp_path):
    from litconv.compare.predictions.pictures import images

    shown = images(np.random.default_rng(0).normal(size=(2, 1, 8, 12)), (0.449,), (0.226,))
    assert [uri[:22] for uri in shown] == ["data:image/png;base64,"] * 2


def test_masks_beside_grey_images(tmp_path):
    root = make_mask_folder(tmp_path / "set", {"train": 2, "val": 1})
    data = MaskFolder(root=str(root), batch_size=1, in_channels=1)
    data.setup()
    assert data._splits["train"].images.shape == (2, 1, 8, 12)
    assert data.problem.in_channels == 1
    expected = np.asarray(Image.open(root / "train" / "images" / "000.bmp").convert("L"))
    assert np.array_equal(data._splits["train"].images[0, 0], expected)
