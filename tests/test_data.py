"""Splits, batches and file formats of the data sets, against PIL, torchvision and slicing."""

import inspect
import random
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from hydra.utils import get_class
from omegaconf import OmegaConf
from PIL import Image
from torchvision import datasets

from data_helpers import (
    CLASSES,
    make_cifar,
    make_fashion,
    make_image_folder,
    make_mask_folder,
    make_pet,
    make_voc,
    noise,
    palette_mask,
)
from litconv.data import epoch as epoch_module
from litconv.data import fused
from litconv.data.augment import Augment
from litconv.data.camvid import CamVid
from litconv.data.image_folder import ImageFolder
from litconv.data.loader import Arrays, InMemoryLoader, StreamLoader
from litconv.data.mask_folder import MaskFolder
from litconv.data.oxford_pet import OxfordPet
from litconv.data.torchvision_sets import CIFAR10, CIFAR100, FashionMNIST
from litconv.data.voc import VOC

CONF = Path(__file__).parents[1] / "conf" / "data"
RAW = {"mean": (0.0, 0.0, 0.0), "std": (1 / 255,) * 3}  # batches in 0..255


def batches(loader, epoch=0):
    loader.sampler.set_epoch(epoch)
    return list(loader)


def same(a, b):
    return len(a) == len(b) > 0 and all(
        torch.equal(s, t) for p, q in zip(a, b, strict=True) for s, t in zip(p, q, strict=True)
    )


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return make_image_folder(tmp_path_factory.mktemp("images"), {"train": 40, "test": 4})


@pytest.fixture(scope="module")
def masks(tmp_path_factory):
    return make_mask_folder(tmp_path_factory.mktemp("masks"), {"train": 21, "val": 5})


@pytest.fixture(params=["one pass", "several passes"])
def passes(request, monkeypatch):
    if request.param == "several passes":
        monkeypatch.setattr(fused, "takes", lambda *unused: False)
    elif not fused.wait():
        pytest.skip("there is no C++ compiler")


# -- augmentation ------------------------------------------------------------------------------------------------------


def test_batched_crops_and_flips_equal_slicing_each_image_by_the_same_draws(passes):
    x, y = _batch(6, 10, 14)
    augment = Augment(**RAW, crop_size=(8, 9), crop_padding=2, flip=True, ignore_index=99)
    draws = augment.draw(6, (10, 14), seed=3, epoch=1)
    crops, masks = augment(x, y, draws)
    assert draws["flip"].unique().tolist() == [False, True]
    for i in range(6):
        top, left = draws["top"][i] + 2, draws["left"][i] + 2
        padded = np.pad(x[i].numpy(), ((0, 0), (2, 2), (2, 2)))[:, top : top + 8, left : left + 9]
        mask = np.pad(y[i].numpy().astype(int), 2, constant_values=99)[top : top + 8, left : left + 9]
        if draws["flip"][i]:
            padded, mask = padded[..., ::-1], mask[..., ::-1]
        np.testing.assert_allclose(crops[i].numpy(), padded, atol=1e-3)
        np.testing.assert_array_equal(masks[i].numpy(), mask)


def test_crop_offsets_reach_both_ends_and_nothing_beyond():
    augment = Augment(**RAW, crop_size=(8, 8), crop_padding=2)
    draws = augment.draw(2000, (8, 10), seed=0, epoch=0)
    assert (draws["top"].min(), draws["top"].max()) == (-2, 2)
    assert (draws["left"].min(), draws["left"].max()) == (-2, 4)
    assert len(draws["left"].unique()) == 7


@pytest.mark.parametrize("zoom", [2.0, 3.0])
def test_zooming_in_equals_interpolation_then_slicing(zoom, passes):
    x, y = _batch(5, 10, 12)
    augment = Augment(**RAW, crop_size=(9, 11), scale=(zoom, zoom), flip=True)
    draws = augment.draw(5, (10, 12), seed=0, epoch=0)
    crops, masks = augment(x, y, draws)
    large = F.interpolate(x.float(), scale_factor=zoom, mode="bilinear", align_corners=False)
    large_masks = y.repeat_interleave(int(zoom), 1).repeat_interleave(int(zoom), 2)
    for i in range(5):
        top, left = draws["top"][i], draws["left"][i]
        part, mask = large[i, :, top : top + 9, left : left + 11], large_masks[i, top : top + 9, left : left + 11]
        if draws["flip"][i]:
            part, mask = part.flip(-1), mask.flip(-1)
        torch.testing.assert_close(crops[i], part, atol=0.01, rtol=0)
        assert torch.equal(masks[i], mask.long())


def test_zooming_out_leaves_black_around_the_image_and_ignored_pixels_in_its_mask(passes):
    x, y = _batch(8, 10, 12)
    x = x.clamp(min=1)
    augment = Augment(**RAW, crop_size=(10, 12), scale=(0.5, 0.5), ignore_index=255)
    draws = augment.draw(8, (10, 12), seed=0, epoch=0)
    crops, masks = augment(x, y, draws)
    for i in range(8):
        top, left = -draws["top"][i], -draws["left"][i]
        assert 0 <= top <= 5
        assert 0 <= left <= 6
        expected = torch.full((10, 12), 255)
        expected[top : top + 5, left : left + 6] = y[i, 1::2, 1::2].long()
        assert torch.equal(masks[i], expected)
        assert torch.equal((crops[i] == 0).all(0), expected == 255)


def test_cutout_sets_one_square_to_the_mean_and_leaves_the_rest(passes):
    x, y = torch.full((50, 3, 12, 12), 200, dtype=torch.uint8), torch.zeros(50)
    augment = Augment(mean=(0.1, 0.2, 0.3), std=(0.5,) * 3, crop_size=(12, 12), cutout=5)
    draws = augment.draw(50, (12, 12), seed=0, epoch=0)
    out, _ = augment(x, y, draws)
    whole, _ = augment(x, y, {})
    for i in range(50):
        expected = whole[i].clone()
        row, column = draws["cut_y"][i] - 2, draws["cut_x"][i] - 2
        expected[:, max(row, 0) : row + 5, max(column, 0) : column + 5] = 0.0
        assert torch.equal(out[i], expected)


def test_normalisation_equals_torchvisions(passes):
    from torchvision.transforms import v2

    x, y = _batch(4, 6, 6)
    mean, std = (0.1, 0.5, 0.9), (0.2, 0.3, 0.4)
    reference = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)])
    out, _ = Augment(mean=mean, std=std, crop_size=(6, 6))(x, y, {})
    torch.testing.assert_close(out, reference(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"flip": True},
        {"crop_padding": 4, "flip": True, "cutout": 5},
        {"crop_size": (17, 9), "crop_padding": 2, "flip": True},
        {"crop_size": (20, 13)},
        {"scale": (0.5, 2.0), "flip": True},
        {"scale": (0.2, 0.4), "crop_padding": 3, "crop_size": (11, 26)},
        {"scale": (1.0, 3.0), "crop_size": (5, 7), "cutout": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("dense", [False, True], ids=["labels", "masks"])
def test_one_pass_gives_the_bits_of_several_and_of_each_image_by_itself(options, dense):
    if not fused.wait():
        pytest.skip("there is no C++ compiler")
    images, targets = _batch(40, 20, 26)
    targets = targets if dense else torch.arange(40)
    augment = Augment(
        mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25), ignore_index=255, **{"crop_size": (20, 26), **options}
    )
    draws, index = augment.draw(30, (20, 26), 0, 0), torch.randperm(40)[:30]
    before = images.clone()
    x, y = augment(images, targets, draws, index)
    reference = _several_passes(augment, images[index], targets[index], draws)
    assert torch.equal(x, reference[0])
    assert torch.equal(y, reference[1])
    assert (x.dtype, y.dtype) == (torch.float32, torch.int64)
    for threads in (2, 1):
        torch.set_num_threads(threads)
        assert torch.equal(augment(images[index], targets[index], draws)[0], x)
    for i in range(30):
        one = {name: values[i : i + 1] for name, values in draws.items()}
        for form in (augment, partial(_several_passes, augment)):
            alone, target = form(images[index[i : i + 1]], targets[index[i : i + 1]], one)
            assert torch.equal(alone[0], x[i])
            assert torch.equal(target[0], y[i])
    assert torch.equal(images, before)


def _several_passes(augment, images, targets, draws):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fused, "takes", lambda *unused: False)
        return augment(images, targets, draws)


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """machine(compiler): as if nothing had been compiled here, and that were the compiler."""
    remembered = (fused._compilation, fused._library, fused._say_that_it_is_compiled)

    def becomes(compiler):
        monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "compiled"))
        monkeypatch.setenv("CXX", compiler)
        for function in remembered:
            function.cache_clear()

    yield becomes
    for function in remembered:
        function.cache_clear()


def said_by_fused(caplog):
    return [record.getMessage() for record in caplog.records if record.name == fused.__name__]


def test_without_a_compiler_the_batches_are_the_same_and_one_line_says_so(images, machine, caplog):
    data = ImageFolder(root=str(images), batch_size=16, scale=(0.5, 2.0))
    data.setup()
    expected = batches(data.train_dataloader(), 1)
    machine("no-such-compiler")
    with caplog.at_level("INFO", logger="litconv"):
        assert same(expected, batches(data.train_dataloader(), 1))
    assert said_by_fused(caplog) == [
        "batches are made in several passes instead of one (there is no C++ compiler (no-such-compiler)): the same, slower"
    ]


def test_batches_do_not_wait_for_the_compiler_and_are_the_same_before_and_after(images, machine, tmp_path, caplog):
    if not fused.wait():
        pytest.skip("there is no C++ compiler")
    data = ImageFolder(root=str(images), batch_size=16, scale=(0.5, 2.0))
    data.setup()
    expected, made = batches(data.train_dataloader(), 1), fused._compilation().library
    slow = tmp_path / "compiler"  # it ends when it is let, and what it makes is what was made before
    slow.write_text(
        f"""#!/bin/sh
while [ $# -gt 1 ]; do shift; done
while [ ! -e {tmp_path}/go ]; do sleep 0.05; done
cp {made} "$1"
"""
    )
    slow.chmod(0o755)
    machine(str(slow))
    x, y = _batch(1, 2, 2)
    with caplog.at_level("INFO", logger="litconv"):
        assert same(expected, batches(data.train_dataloader(), 1))
        assert not fused.takes(x, y)
        (tmp_path / "go").touch()
        assert fused.wait()
        assert fused.takes(x, y)
        assert same(expected, batches(data.train_dataloader(), 1))
    (line,) = said_by_fused(caplog)
    assert line.startswith("compiling the C++ kernel augment.cpp in the background, once for this machine: about ")


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_nothing_is_compiled_before_a_batch_is_made_on_the_cpu(images, machine, tmp_path, device):
    """As on a machine with a GPU: the loaders are made, and the images of the batches lie elsewhere."""
    data = ImageFolder(root=str(images), batch_size=16)
    data.setup()
    machine("false")
    assert len(data.train_dataloader()) > 0
    assert not (tmp_path / "compiled").exists()
    x, y = (part.to(device) for part in _batch(1, 2, 2))
    assert not fused.takes(x, y)
    assert (tmp_path / "compiled").exists() == (device == "cpu")


def test_switching_one_augmentation_on_leaves_the_draws_of_the_others():
    plain = Augment(**RAW, crop_size=(8, 8), crop_padding=2)
    more = Augment(**RAW, crop_size=(8, 8), crop_padding=2, flip=True, cutout=3)
    one, two = plain.draw(100, (8, 8), 0, 0), more.draw(100, (8, 8), 0, 0)
    assert torch.equal(one["top"], two["top"])
    assert torch.equal(one["left"], two["left"])


def _batch(count, height, width):
    x = torch.from_numpy(noise(1, count * 3, height * width, 1)).view(count, 3, height, width)
    y = torch.from_numpy(noise(2, count, height * width, 1) % 7).view(count, height, width)
    return x, y


# -- epochs ------------------------------------------------------------------------------------------------------------


def test_batches_depend_on_seed_and_epoch_alone(images):
    def make(seed):
        data = ImageFolder(root=str(images), batch_size=16, crop_padding=2, cutout=3, seed=seed)
        data.setup()
        return data.train_dataloader()

    first, again, other = make(1), make(1), make(2)
    torch.manual_seed(5)
    epoch_3 = batches(first, 3)
    torch.manual_seed(6)
    batches(again, 0)
    assert same(epoch_3, batches(again, 3))
    assert not same(epoch_3, batches(again, 4))
    assert not same(epoch_3, batches(other, 3))


@pytest.mark.parametrize(("limit_mb", "workers"), [(2048, 0), (0, 0), (0, 1)])
def test_reading_and_batching_leave_the_global_generators_alone(images, limit_mb, workers):
    torch.manual_seed(0)
    before = torch.random.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    data = ImageFolder(root=str(images), batch_size=16, cutout=3, memory_limit_mb=limit_mb, num_workers=workers)
    data.setup()
    for loader in (data.train_dataloader(), data.val_dataloader()):
        batches(loader)
    after = torch.random.get_rng_state(), random.getstate(), np.random.get_state()[1]
    assert torch.equal(before[0], after[0])
    assert before[1] == after[1]
    assert np.array_equal(before[2], after[2])


@pytest.mark.parametrize("workers", [0, 2])
def test_streaming_gives_the_batches_that_memory_gives(images, masks, workers):
    for make, root in ((ImageFolder, images), (MaskFolder, masks)):
        options = {"root": str(root), "batch_size": 8, "crop_padding": 2, "scale": (0.5, 1.5), "num_workers": workers}
        memory, stream = make(**options), make(**options, memory_limit_mb=0)
        memory.setup()
        stream.setup()
        assert isinstance(memory.train_dataloader(), InMemoryLoader)
        assert isinstance(stream.train_dataloader(), StreamLoader)
        in_memory, streaming = memory.train_dataloader(), stream.train_dataloader()
        for epoch in (0, 1):
            assert same(batches(in_memory, epoch), batches(streaming, epoch))
        assert same(batches(memory.test_dataloader()), batches(stream.test_dataloader()))


def test_an_epoch_holds_every_training_image_at_most_once_and_drops_the_incomplete_batch():
    x = torch.arange(50, dtype=torch.uint8).view(50, 1, 1, 1).expand(50, 3, 4, 4)
    loader = InMemoryLoader(Arrays(x, torch.arange(50)), Augment(**RAW, crop_size=(4, 4)), 16, train=True)
    seen = batches(loader)
    assert len(loader) == len(seen) == 3
    assert loader.batch_size == 16
    assert [len(y) for _, y in seen] == [16, 16, 16]
    labels = torch.cat([y for _, y in seen])
    assert len(labels.unique()) == 48
    assert not torch.equal(labels, labels.sort()[0])
    assert all(torch.allclose(x[:, 0, 0, 0], y.float(), atol=1e-3) for x, y in seen)  # a label stays with its image


def test_evaluation_goes_through_all_images_in_order():
    x = torch.zeros(10, 3, 4, 4, dtype=torch.uint8)
    loader = InMemoryLoader(Arrays(x, torch.arange(10)), Augment(**RAW, crop_size=(2, 2), flip=True), 4, train=False)
    seen = batches(loader)
    assert [y.tolist() for _, y in seen] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert seen[0][0].shape == (4, 3, 4, 4)  # no crop
    assert len(loader) == 3


@pytest.mark.parametrize(("count", "processes"), [(50, 2), (50, 3), (7, 4), (3, 4)])
def test_processes_share_each_batch_and_make_equal_numbers_of_steps(monkeypatch, count, processes):
    x, size = torch.arange(count, dtype=torch.uint8).view(count, 1, 1, 1).expand(count, 3, 8, 8), 4
    arrays, augment = Arrays(x, torch.arange(count)), Augment(**RAW, crop_size=(8, 8), crop_padding=2, flip=True)

    def epoch(train, rank, world, batch_size):
        monkeypatch.setattr(epoch_module, "world", lambda: (rank, world))
        loader = InMemoryLoader(arrays, augment, batch_size, train=train)
        found = batches(loader, 2)
        assert len(found) == len(loader)
        return found

    alone = epoch(True, 0, 1, size * processes)
    shares = [epoch(True, rank, processes, size) for rank in range(processes)]
    together = [tuple(map(torch.cat, zip(*step, strict=True))) for step in zip(*shares, strict=True)]
    assert len(alone) == count // (size * processes)
    assert same(alone, together) or alone == together == []
    shares = [epoch(False, rank, processes, size) for rank in range(processes)]
    assert len({len(share) for share in shares}) == 1
    labels = sorted(label for share in shares for _, y in share for label in y.tolist())
    assert sorted(set(labels)) == list(range(count))
    if count >= processes * len(shares[0]):
        assert labels == list(range(count))
    assert all(0 < len(y) <= size for share in shares for _, y in share)


def test_lightning_advances_the_epoch_of_our_loaders_and_restores_their_order(images):
    class Record(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer, self.seen = torch.nn.Linear(1, 1), {}

        def training_step(self, batch, _):
            self.seen.setdefault(self.current_epoch, []).append(batch[1])
            return self.layer(batch[0].mean().view(1, 1)).sum()

        def validation_step(self, batch, _):
            self.seen.setdefault("val", []).append(batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.0)

    data, model = ImageFolder(root=str(images), batch_size=16), Record()
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    pl.Trainer(max_epochs=2, accelerator="cpu", num_sanity_val_steps=0, **quiet).fit(model, datamodule=data)
    for epoch in (0, 1):
        expected = [y for _, y in batches(data.train_dataloader(), epoch)]
        assert all(torch.equal(a, b) for a, b in zip(model.seen[epoch], expected, strict=True))
    assert len(torch.cat(model.seen["val"])) == 2 * data.sizes["val"]


# -- splits ------------------------------------------------------------------------------------------------------------


def test_a_tenth_of_every_class_is_held_out_whatever_the_seed_of_the_run(images):
    def splits(**options):
        data = ImageFolder(root=str(images), batch_size=8, **options)
        data.setup()
        assert data.sizes == {"train": 108, "val": 12, "test": 12}
        assert data.test_split == "test"
        return data._splits

    first, other_run, other_split = splits(seed=1), splits(seed=2), splits(seed=1, split_seed=1)
    assert first["val"].targets.bincount().tolist() == [4, 4, 4]
    assert torch.equal(first["val"].images, other_run["val"].images)
    assert not torch.equal(first["val"].images, other_split["val"].images)
    every = torch.cat([first["train"].images, first["val"].images]).flatten(1)
    assert len(every.unique(dim=0)) == 120  # every image once, in one of the two


def test_without_a_test_split_the_validation_set_is_tested(masks):
    data = MaskFolder(root=str(masks))
    data.setup()
    assert data.test_split == "val"
    assert data.sizes == {"train": 21, "val": 5, "test": 5}
    assert same(batches(data.test_dataloader()), batches(data.val_dataloader()))


def test_without_a_val_split_masks_too_lose_a_tenth_of_train(tmp_path):
    data = MaskFolder(root=str(make_mask_folder(tmp_path / "set", {"train": 20, "test": 4})))
    data.setup()
    assert data.sizes == {"train": 18, "val": 2, "test": 4}
    assert data.test_split == "test"


def test_setup_reads_once(images, monkeypatch):
    data = ImageFolder(root=str(images), batch_size=8)
    data.setup("fit")
    monkeypatch.setattr(ImageFolder, "load", lambda self: pytest.fail("read twice"))
    data.setup("test")


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extension", ["png", "jpg", "JPEG", "bmp", "webp", "gif", "tif", "ppm"])
def test_images_of_any_format_are_what_pil_says_they_are(tmp_path, extension):
    root = make_image_folder(tmp_path, {"train": 3, "val": 1}, (9, 11), extension)
    (root / "train" / "cat" / "notes.txt").write_text("no image, not read")
    (root / "train" / "cat" / f".hidden.{extension}").write_text("nor this")
    data = ImageFolder(root=str(root), batch_size=1, **RAW)
    assert data.image_size == (9, 11)
    data.setup()
    assert data.class_names == CLASSES
    assert data.num_classes == 3
    arrays = data._splits["train"]
    assert arrays.targets.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    paths = sorted(p for p in (root / "train").rglob(f"*.{extension}") if not p.name.startswith("."))
    for image, path in zip(arrays.images, paths, strict=True):
        assert np.array_equal(image.permute(1, 2, 0).numpy(), np.asarray(Image.open(path).convert("RGB")))


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK"])
def test_images_of_any_mode_become_rgb(tmp_path, mode):
    root = make_image_folder(tmp_path, {"train": 2, "val": 1})
    path = root / "train" / "cat" / "000.png"
    path.unlink()
    path = path.with_suffix(".tif")
    Image.fromarray(noise(7, 8, 8)).convert(mode).save(path)
    data = ImageFolder(root=str(root), batch_size=1)
    data.setup()
    assert np.array_equal(data._splits["train"].images[0].permute(1, 2, 0), np.asarray(Image.open(path).convert("RGB")))


def test_image_size_resizes_images_smoothly_and_masks_by_nearest_ids(tmp_path):
    root = make_mask_folder(tmp_path / "set", {"train": 2, "val": 1}, (10, 14))
    data = MaskFolder(root=str(root), image_size=[6, 7], batch_size=1)
    data.setup()
    arrays = data._splits["train"]
    image = Image.open(root / "train" / "images" / "000.bmp").resize((7, 6), Image.Resampling.BILINEAR)
    mask = Image.open(root / "train" / "masks" / "000.png").resize((7, 6), Image.Resampling.NEAREST)
    assert np.array_equal(arrays.images[0].permute(1, 2, 0), np.asarray(image))
    assert np.array_equal(arrays.targets[0], np.asarray(mask))


def _save_16_bit(ids, path):
    Image.fromarray(ids.astype(np.uint16)).save(path)


def _save_1_bit(ids, path):
    Image.fromarray(ids.astype(bool)).save(path)


@pytest.mark.parametrize(
    ("save", "ids", "classes"),
    [
        (lambda ids, path: palette_mask(ids).save(path), [0, 1, 2, 255], "0 a\n1 b\n2 c\n255 edge (ignore)\n"),
        (_save_16_bit, [0, 1000, 33000, 60000], "0 a\n1000 b\n33000 c\n60000 d\n"),
        (_save_1_bit, [0, 1], "a\nb\n"),
    ],
    ids=["palette", "16-bit", "1-bit"],
)
def test_masks_of_every_depth_keep_their_ids(tmp_path, save, ids, classes):
    root = make_mask_folder(tmp_path / "set", {"train": 2, "val": 1}, ids=[0])
    (root / "classes.txt").write_text(classes)
    truth = np.random.default_rng(0).choice(ids, (8, 12))
    save(truth, root / "train" / "masks" / "000.png")
    data = MaskFolder(root=str(root), batch_size=1)
    data.setup()
    expected = np.searchsorted(ids, truth)  # ids become 0, 1, 2, … in their order
    expected[truth == 255] = 255
    assert np.array_equal(data._splits["train"].targets[0], expected)


@pytest.mark.parametrize(
    ("classes", "option", "names", "ignore_index", "mapped"),
    [
        ("0 sky\n1 road\n2 car\n5 void (ignore)\n", None, ("sky", "road", "car"), 5, {0: 0, 1: 1, 2: 2, 5: 5}),
        ("0 void (ignore)\n1 road\n2 car\n5 sky\n", None, ("road", "car", "sky"), 255, {0: 255, 1: 0, 2: 1, 5: 2}),
        ("a\nb\nc\nd\ne\nf\n", None, ("a", "b", "c", "d", "e", "f"), -100, {0: 0, 1: 1, 2: 2, 5: 5}),
        ("\n0 a\n 1\tb\n\n2: c\n", 5, ("a", "b", "c"), 5, {0: 0, 1: 1, 2: 2, 5: 5}),
        ("0 sky\n1 road\n2 car\n5 bus", 1, ("sky", "car", "bus"), 255, {0: 0, 1: 255, 2: 1, 5: 2}),
    ],
)
def test_classes_file_names_the_classes_and_what_is_ignored(tmp_path, classes, option, names, ignore_index, mapped):
    root = make_mask_folder(tmp_path / "set", {"train": 2, "val": 1})
    (root / "classes.txt").write_text(classes)
    data = MaskFolder(root=str(root), ignore_index=option, batch_size=1)
    data.setup()
    assert data.class_names == names
    assert data.num_classes == len(names)
    assert data.ignore_index == ignore_index
    raw = np.asarray(Image.open(root / "train" / "masks" / "000.png"))
    assert np.array_equal(data._splits["train"].targets[0], np.vectorize(mapped.get)(raw))


def test_camvid_reads_both_layouts(tmp_path):
    root = make_mask_folder(tmp_path / "ours", {"train": 3, "val": 2}, ids=range(12))
    (root / "classes.txt").unlink()
    segnet = tmp_path / "segnet"
    segnet.mkdir()
    for split in ("train", "val"):
        (segnet / split).symlink_to(root / split / "images")
        (segnet / f"{split}annot").symlink_to(root / split / "masks")
    found = []
    for where in (root, segnet):
        data = CamVid(root=str(where), image_size=(8, 12), batch_size=1)
        data.setup()
        assert (data.num_classes, data.ignore_index) == (11, 11)
        found.append(data._splits["train"])
    assert torch.equal(found[0].images, found[1].images)
    assert torch.equal(found[0].targets, found[1].targets)
    assert found[0].targets.max() == 11


# -- torchvision's formats ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "source", "hundred"), [(CIFAR10, datasets.CIFAR10, False), (CIFAR100, datasets.CIFAR100, True)]
)
def test_cifar_is_read_from_its_own_archive(tmp_path, monkeypatch, make, source, hundred):
    known, images, labels = make_cifar(tmp_path, hundred, per_file=400 if hundred else 40)
    for name, value in known.items():  # torchvision's MD5 check stays on, for the files of this test
        monkeypatch.setattr(source, name, value)
    data = make(root=str(tmp_path), batch_size=8)
    assert data.image_size == (32, 32)
    data.setup()
    assert data.num_classes == (100 if hundred else 10)
    assert data.class_names[3] == "class 3"
    assert data.sizes == ({"train": 300, "val": 100, "test": 400} if hundred else {"train": 180, "val": 20, "test": 40})
    every = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    for name in ("train", "val"):
        split = data._splits[name]
        assert [every.pop(image.numpy().tobytes()) for image in split.images] == split.targets.tolist()
    assert not every
    x, y = next(iter(data.train_dataloader()))
    assert (x.shape, y.shape, y.dtype) == ((8, 3, 32, 32), (8,), torch.int64)


def test_small_images_can_be_enlarged(tmp_path, monkeypatch):
    known, images, _ = make_cifar(tmp_path, hundred=False)
    for name, value in known.items():
        monkeypatch.setattr(datasets.CIFAR10, name, value)
    data = CIFAR10(root=str(tmp_path), image_size=64, batch_size=8)
    data.setup()
    assert data._splits["test"].images.shape == (40, 3, 64, 64)
    assert abs(data._splits["train"].images.float().mean() - images.mean()) < 3


def test_fashion_mnist_has_one_channel(tmp_path):
    images, labels = make_fashion(tmp_path)
    data = FashionMNIST(root=str(tmp_path), batch_size=8)
    assert (data.in_channels, data.image_size) == (1, (28, 28))
    data.setup()
    assert data.class_names[9] == "Ankle boot"
    every = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    for name in ("train", "val"):
        split = data._splits[name]
        assert [every.pop(image.numpy().tobytes()) for image in split.images] == split.targets.tolist()
    assert not every
    x, _ = next(iter(data.train_dataloader()))
    assert x.shape == (8, 1, 28, 28)


def test_voc_is_read_as_torchvision_reads_it(tmp_path):
    make_voc(tmp_path)
    data = VOC(root=str(tmp_path), image_size=(20, 30), batch_size=2)
    data.setup()
    assert (data.num_classes, data.ignore_index, data.test_split) == (21, 255, "val")
    assert data.sizes == {"train": 4, "val": 3, "test": 3}
    for name in ("train", "val"):
        reference = datasets.VOCSegmentation(str(tmp_path), image_set=name)
        for i, (image, mask) in enumerate(reference):
            assert np.array_equal(data._splits[name].images[i].permute(1, 2, 0), np.asarray(image))
            assert np.array_equal(data._splits[name].targets[i], np.asarray(mask))


def test_oxford_pet_is_read_as_torchvision_reads_it_for_both_tasks(tmp_path):
    make_pet(tmp_path)
    assert OxfordPet.tasks == {"classification", "segmentation"}
    breeds = OxfordPet(root=str(tmp_path), image_size=16, batch_size=4)
    trimaps = OxfordPet(root=str(tmp_path), image_size=16, batch_size=4, task="segmentation")
    for data in (breeds, trimaps):
        data.setup()
        assert data.sizes == {"train": 14, "val": 2, "test": 4}
    assert breeds.class_names == ("Abyssinian", "american bulldog")
    assert trimaps.class_names == ("pet", "background", "border")
    reference = datasets.OxfordIIITPet(str(tmp_path), "test", ["category", "segmentation"])
    for i, (image, (label, trimap)) in enumerate(reference):
        pixels = np.asarray(image.resize((16, 16), Image.Resampling.BILINEAR))
        mask = np.asarray(trimap.resize((16, 16), Image.Resampling.NEAREST)) - 1
        for data in (breeds, trimaps):
            assert np.array_equal(data._splits["test"].images[i].permute(1, 2, 0), pixels)
        assert breeds._splits["test"].targets[i] == label
        assert np.array_equal(trimaps._splits["test"].targets[i], mask)
    assert torch.equal(breeds._splits["val"].images, trimaps._splits["val"].images)  # both stratified by breed


def test_download_only_when_asked_to(tmp_path, monkeypatch):
    asked = []
    for source in (datasets.CIFAR10, datasets.VOCSegmentation, datasets.OxfordIIITPet, datasets.FashionMNIST):
        monkeypatch.setattr(source, "__init__", lambda self, root, **options: asked.append(options))
    for make in (CIFAR10, FashionMNIST, VOC, OxfordPet):
        make(root=str(tmp_path)).prepare_data()
    assert asked == []
    for make in (CIFAR10, FashionMNIST, VOC, OxfordPet):
        make(root=str(tmp_path), download=True).prepare_data()
    assert [options["download"] for options in asked] == [True] * 4


# -- configuration -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_option_of_a_yaml_is_one_its_class_takes(path):
    options = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    parameters = inspect.signature(get_class(options.pop("_target_"))).parameters
    assert options.keys() <= parameters.keys()
    assert options["seed"] == "${seed}"
