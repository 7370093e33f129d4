"""The cache of decoded sets: equal batches with and without it, noticed changes, damage, several processes, no room."""

import logging
import multiprocessing
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from torchvision import datasets

from data_helpers import make_cifar, make_fashion, make_image_folder, make_mask_folder, noise
from litconv.config.composed import CONF, compose
from litconv.data import cache as cache_module
from litconv.data import file_set, shapes
from litconv.data.cache import Cache, folder_of, in_memory
from litconv.data.image_folder import ImageFolder
from litconv.data.loader import InMemoryLoader, StreamLoader
from litconv.data.mask_folder import MaskFolder
from litconv.data.shapes import Shapes
from litconv.data.torchvision_sets import CIFAR10, FashionMNIST
from litconv.errors import ConfigError, DataError
from litconv.run.naming import config_hash


@pytest.fixture
def images(tmp_path):
    return make_image_folder(tmp_path / "images", {"train": 10, "test": 4})


@pytest.fixture
def masks(tmp_path):
    return make_mask_folder(tmp_path / "masks", {"train": 12, "val": 4})


def ready(make, **options):
    data = make(**{"batch_size": 4, **options})
    data.setup()
    return data


def batches(data):
    train, val, test = data.train_dataloader(), data.val_dataloader(), data.test_dataloader()
    train.sampler.set_epoch(1)
    return [tensor.clone() for loader in (train, val, test) for batch in loader for tensor in batch]


def same(a, b):
    return len(a) == len(b) > 0 and all(map(torch.equal, a, b))


@pytest.fixture
def decoded(monkeypatch):
    """The files that are decoded from now on."""
    found = []
    read = file_set.read_image
    monkeypatch.setattr(file_set, "read_image", lambda path, *how: found.append(path) or read(path, *how))
    return found


def entries(folder):
    return sorted((folder / "data").glob("[!.]*"))


def warnings_of(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


# -- the same batches --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["images", "masks"])
def test_a_run_without_a_cache_one_that_fills_it_and_one_that_finds_it_see_the_same_batches(
    tmp_path, images, masks, kind, decoded
):
    make, root = (ImageFolder, images) if kind == "images" else (MaskFolder, masks)
    options = {"root": str(root), "scale": (0.5, 2.0), "crop_padding": 2}
    plain = batches(ready(make, **options))
    count = len(decoded)
    first = ready(make, **options, cache_dir=str(tmp_path / "cache"))
    assert len(decoded) == 2 * count
    second = ready(make, **options, cache_dir=str(tmp_path / "cache"))
    assert len(decoded) == 2 * count  # nothing more
    assert same(plain, batches(first))
    assert same(plain, batches(second))
    assert second.class_names == first.class_names
    assert second.ignore_index == first.ignore_index


def test_shapes_are_drawn_once_for_both_tasks(tmp_path, monkeypatch):
    options = {"n_train": 60, "n_val": 10, "n_test": 10}
    plain = {task: batches(ready(Shapes, task=task, **options)) for task in sorted(Shapes.tasks)}
    options["cache_dir"] = str(tmp_path)
    ready(Shapes, task="segmentation", **options)
    monkeypatch.setattr(shapes, "draw", lambda *unused: pytest.fail("drawn again"))
    for task, expected in plain.items():
        assert same(expected, batches(ready(Shapes, task=task, **options)))
    for other in ({"data_seed": 1}, {"image_size": 16}, {"noise": 0.1}, {"clutter": 1}):
        with pytest.raises(pytest.fail.Exception, match="drawn again"):
            ready(Shapes, **{**options, **other})


@pytest.mark.parametrize("size", [32, 40])
def test_torchvisions_sets_are_read_once(tmp_path, monkeypatch, size):
    known, _, _ = make_cifar(tmp_path, hundred=False)
    for name, value in known.items():
        monkeypatch.setattr(datasets.CIFAR10, name, value)
    make_fashion(tmp_path)
    for make, source in ((CIFAR10, datasets.CIFAR10), (FashionMNIST, datasets.FashionMNIST)):
        options = {"root": str(tmp_path), "image_size": size}
        plain, first = ready(make, **options), ready(make, **options, cache_dir=str(tmp_path / "cache"))
        with monkeypatch.context() as patch:
            patch.setattr(source, "__init__", lambda *unused, **options: pytest.fail("read again"))
            second = ready(make, **options, cache_dir=str(tmp_path / "cache"))
        assert plain.class_names == first.class_names == second.class_names
        assert same(batches(plain), batches(first))
        assert same(batches(plain), batches(second))
    path = next((tmp_path / CIFAR10.folder).glob("data_batch_1"))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match="incomplete or corrupt"):
        ready(CIFAR10, root=str(tmp_path), image_size=size, cache_dir=str(tmp_path / "cache"))


def test_a_set_too_large_for_memory_is_mapped_where_it_may_be_kept_and_streams_where_not(tmp_path, masks, decoded):
    options = {"root": str(masks), "memory_limit_mb": 0, "scale": (0.5, 2.0)}
    stream = ready(MaskFolder, **options)
    small = ready(MaskFolder, **options, cache_dir=str(tmp_path / "small"), cache_limit_mb=0)
    assert decoded == []
    mapped = ready(MaskFolder, **options, cache_dir=str(tmp_path / "cache"))
    assert len(decoded) == 16
    for data, kind in ((stream, StreamLoader), (small, StreamLoader), (mapped, InMemoryLoader)):
        assert isinstance(data.train_dataloader(), kind)
    assert same(batches(stream), batches(mapped))
    assert same(batches(stream), batches(small))


def test_writing_to_the_arrays_does_not_reach_the_cache(tmp_path, images):
    options = {"root": str(images), "cache_dir": str(tmp_path / "cache")}
    first = ready(ImageFolder, **options)
    expected = first._splits["test"].images.clone()
    first._splits["test"].images.zero_()
    assert torch.equal(ready(ImageFolder, **options)._splits["test"].images, expected)


# -- what changes is noticed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["contents", "touched", "added", "renamed"])
def test_a_changed_file_is_read_anew(tmp_path, images, change):
    options = {"root": str(images), "cache_dir": str(tmp_path / "cache")}
    ready(ImageFolder, **options)
    path = images / "test" / "dog" / "001.png"
    if change == "contents":  # of the same size and time but for a nanosecond
        stat, content = path.stat(), (images / "test" / "emu" / "001.png").read_bytes()
        path.write_bytes(content)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    elif change == "touched":
        os.utime(path)
    elif change == "added":
        Image.fromarray(noise(999, 8, 8)).save(path.with_name("zzz.png"))
    else:
        path.rename(path.with_name("zzz.png"))
    after = ready(ImageFolder, **options)
    assert same(batches(ready(ImageFolder, root=str(images))), batches(after))
    assert len(entries(tmp_path / "cache")) == 4  # train and val as they were, test twice


@pytest.mark.parametrize("option", [{"image_size": 16}, {"split_seed": 1}])
def test_another_size_or_split_is_another_entry(tmp_path, images, option):
    options = {"root": str(images), "cache_dir": str(tmp_path / "cache")}
    ready(ImageFolder, **options)
    other = ready(ImageFolder, **options, **option)
    assert same(batches(ready(ImageFolder, root=str(images), **option)), batches(other))


def test_other_ids_of_the_classes_are_another_entry(tmp_path, masks):
    options = {"root": str(masks), "cache_dir": str(tmp_path / "cache")}
    ready(MaskFolder, **options)
    ignoring = ready(MaskFolder, **options, ignore_index=1)
    assert same(batches(ready(MaskFolder, root=str(masks), ignore_index=1)), batches(ignoring))


def test_one_folder_by_two_paths_is_one_entry(tmp_path, images, decoded):
    (tmp_path / "link").symlink_to(images)
    ready(ImageFolder, root=str(images), cache_dir=str(tmp_path / "cache"))
    count = len(decoded)
    ready(ImageFolder, root=str(tmp_path / "link"), cache_dir=str(tmp_path / "cache"))
    assert len(decoded) == count


def test_the_cache_changes_no_hash():
    plain = compose([])
    for override in ("data.cache_dir=null", "data.cache_dir=/tmp/x", "+data.cache_limit_mb=7"):
        assert _hash(compose([override])) == _hash(plain)


def _hash(config):
    from litconv.config.composed import plain

    return config_hash(plain(config))


# -- bad data, damage, no room -----------------------------------------------------------------------------------------


def test_a_set_with_a_broken_image_is_refused_every_time_and_never_kept(tmp_path, images):
    path = images / "train" / "emu" / "001.png"
    path.write_bytes(b"text")
    for _ in range(2):
        with pytest.raises(DataError, match=str(path)):
            ready(ImageFolder, root=str(images), cache_dir=str(tmp_path / "cache"))
    assert not [entry for entry in (tmp_path / "cache" / "data").iterdir() if entry.name != ".locks"]


def test_an_image_that_is_missing_is_named_though_the_set_is_cached(tmp_path):
    from data_helpers import make_voc
    from litconv.data.voc import VOC

    folder = make_voc(tmp_path)
    options = {"root": str(tmp_path), "image_size": 8, "batch_size": 1, "cache_dir": str(tmp_path / "cache")}
    ready(VOC, **options)
    path = folder / "JPEGImages" / "2007_val_001.jpg"
    path.unlink()
    with pytest.raises(DataError, match=f"{path} is missing; restore it"):
        ready(VOC, **options)


def _cut(path):
    os.truncate(path, path.stat().st_size - 5)


def _empty(path):
    path.write_bytes(b"")


def _zero(path):
    path.write_bytes(bytes(path.stat().st_size))


def _grow(path):
    path.write_bytes(path.read_bytes() + b"x")


@pytest.mark.parametrize("name", ["images.npy", "targets.npy", "index.json"])
@pytest.mark.parametrize("harm", [_cut, _empty, _zero, _grow, Path.unlink])
def test_a_damaged_entry_is_made_anew_with_one_warning(tmp_path, images, harm, name, caplog):
    options = {"root": str(images), "cache_dir": str(tmp_path / "cache")}
    expected = batches(ready(ImageFolder, **options))
    (entry,) = (tmp_path / "cache" / "data").glob("ImageFolder-test-*")
    harm(entry / name)
    assert same(expected, batches(ready(ImageFolder, **options)))
    gone = (harm, name) == (Path.unlink, "index.json")  # then it is taken for one that was never finished
    assert [str(entry) in message for message in warnings_of(caplog)] == ([] if gone else [True])
    caplog.clear()
    assert same(expected, batches(ready(ImageFolder, **options)))
    assert not warnings_of(caplog)


@pytest.mark.parametrize("what", ["a file", "no space", "a read-only folder", "the limit"])
def test_a_cache_that_cannot_be_written_costs_a_warning_and_no_run(tmp_path, images, what, caplog, monkeypatch):
    folder, options = tmp_path / "cache", {}
    if what == "a file":
        folder.write_text("not a folder")
    elif what == "no space":

        def full(*unused):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "posix_fallocate", full)
    elif what == "a read-only folder":
        monkeypatch.setattr(Path, "mkdir", _refuse)  # root, as which tests may run, may write anywhere
    else:
        options["cache_limit_mb"] = 0
    data = ready(ImageFolder, root=str(images), cache_dir=str(folder), **options)
    assert same(batches(ready(ImageFolder, root=str(images))), batches(data))
    messages = warnings_of(caplog)
    assert len(messages) == 1
    assert messages[0].startswith(f"data.cache_dir={folder}: ")
    assert not folder.is_dir() or not entries(folder)


def _refuse(self, *unused, **options):
    raise PermissionError(13, "Permission denied", str(self))


def test_a_disk_more_than_half_full_with_the_set_is_left_alone(tmp_path, monkeypatch, caplog):
    usage = shutil.disk_usage(tmp_path)._replace(free=15_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert Cache(tmp_path, 100).fetch("set", "1", ten_thousand_bytes) is None
    assert "more than half" in warnings_of(caplog)[0]


def test_the_set_that_was_not_used_for_longest_makes_room(tmp_path, caplog):
    cache = Cache(tmp_path, 1)
    for number in range(3):
        cache.fetch("set", str(number), lambda allocate: {"x": allocate("x", (300_000,), np.uint8)})
        os.utime(tmp_path / "data" / f"set-{number}" / "index.json", (number, number))
    cache.fetch("set", "0", pytest.fail)  # used again
    kept = cache.fetch("set", "1", pytest.fail)["x"]
    os.utime(tmp_path / "data" / "set-1" / "index.json", (1, 1))
    cache.fetch("set", "3", lambda allocate: {"x": allocate("x", (300_000,), np.uint8)})
    assert [entry.name for entry in entries(tmp_path)] == ["set-0", "set-2", "set-3"]
    assert kept.sum() == 0  # who has it open keeps it
    cache.fetch("set", "4", lambda allocate: {"x": allocate("x", (300_000,), np.uint8)})
    assert not warnings_of(caplog)


def test_a_set_that_was_used_this_week_makes_no_room(tmp_path, caplog):
    cache = Cache(tmp_path, 1)
    for number in range(4):
        cache.fetch("set", str(number), lambda allocate: {"x": allocate("x", (300_000,), np.uint8)})
    assert [entry.name for entry in entries(tmp_path)] == ["set-0", "set-1", "set-2"]
    assert "raise data.cache_limit_mb=1 or remove what is not needed" in warnings_of(caplog)[0]


def test_what_a_killed_process_left_behind_is_removed(tmp_path):
    left = tmp_path / "data" / ".set-0.unfinished"
    left.mkdir(parents=True)
    (left / "x.npy").write_bytes(b"half")
    Cache(tmp_path, 1).fetch("set", "1", ten_thousand_bytes)
    assert not left.exists()


def ten_thousand_bytes(allocate):
    array = allocate("x", (10_000,), np.uint8)
    array[:] = np.arange(10_000)
    return {"x": array}


# -- several processes -------------------------------------------------------------------------------------------------


def make_slowly(folder, together, done):
    def make(allocate):
        done.put("made")
        threading.Event().wait(0.3)
        return ten_thousand_bytes(allocate)

    together.wait()
    done.put(int(Cache(folder, 100).fetch("set", "1", make)["x"].sum()))


def test_of_several_processes_one_makes_the_set_and_all_have_it(tmp_path):
    context = multiprocessing.get_context("fork")
    together, done = context.Barrier(3), context.Queue()
    processes = [context.Process(target=make_slowly, args=(tmp_path, together, done)) for _ in range(3)]
    for process in processes:
        process.start()
    found = [done.get(timeout=60) for _ in range(4)]
    for process in processes:
        process.join(60)
    expected = int(ten_thousand_bytes(in_memory)["x"].sum())
    assert sorted(map(str, found)) == [*[str(expected)] * 3, "made"]
    assert [entry.name for entry in entries(tmp_path)] == ["set-1"]


def test_a_process_that_dies_while_it_makes_the_set_leaves_it_to_the_next(tmp_path):
    def die(allocate):
        allocate("x", (10_000,), np.uint8)
        os._exit(9)

    process = multiprocessing.get_context("fork").Process(target=Cache(tmp_path, 100).fetch, args=("set", "1", die))
    process.start()
    process.join(60)
    assert process.exitcode == 9
    assert not entries(tmp_path)
    found = Cache(tmp_path, 100).fetch("set", "1", ten_thousand_bytes)
    assert np.array_equal(found["x"], ten_thousand_bytes(in_memory)["x"])


def test_a_failure_while_the_set_is_made_leaves_nothing(tmp_path):
    def fail(allocate):
        allocate("x", (10_000,), np.uint8)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Cache(tmp_path, 100).fetch("set", "1", fail)
    assert [entry.name for entry in (tmp_path / "data").iterdir()] == [".locks"]


# -- where -------------------------------------------------------------------------------------------------------------


def test_where_the_cache_is(monkeypatch):
    monkeypatch.setenv("LITCONV_CACHE_DIR", "/scratch/mine")
    assert folder_of("auto") == Path("/scratch/mine")
    monkeypatch.delenv("LITCONV_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache")
    assert folder_of("auto") == Path("/var/cache/litconv")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert folder_of("auto") == Path.home() / ".cache" / "litconv"
    assert folder_of("~/decoded") == Path.home() / "decoded"
    for wrong, said in {"s3://bucket/x": "is a URL", "": "must be a folder", 3: "must be a folder"}.items():
        with pytest.raises(ConfigError, match=f"data.cache_dir={wrong} .*{said}"):
            Shapes(cache_dir=wrong)


# Probes are made in memory in less time than a file of them is read.
KEPT = [path for path in sorted((CONF / "data").glob("*.yaml")) if path.stem != "probe"]


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_every_set_is_kept_unless_told_otherwise(path):
    assert OmegaConf.load(path).cache_dir == "auto"


# -- reading processes -------------------------------------------------------------------------------------------------


def test_reading_processes_that_last_give_the_batches_of_fresh_ones(masks):
    data = ready(MaskFolder, root=str(masks), memory_limit_mb=0, scale=(0.5, 2.0), num_workers=2)
    lasting = data.train_dataloader()
    fresh = StreamLoader(
        data._splits["train"], data.augmentation(), data.image_size, 4, train=True, num_workers=2, persistent=False
    )
    for epoch in (0, 1, 5):
        for loader in (lasting, fresh):
            loader.sampler.set_epoch(epoch)
        if epoch == 1:
            next(iter(lasting))  # an epoch that is broken off leaves nothing behind
        assert same([t for batch in lasting for t in batch], [t for batch in fresh for t in batch])
    assert lasting.reader._iterator is not None  # still there


def test_the_cache_module_keeps_what_a_crc_of_the_whole_file_would_find_in_small_ones(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(bytes(range(256)) * 16)
    before = cache_module._checksum(path)
    for place in (0, 2000, 4095):
        content = bytearray(path.read_bytes())
        content[place] ^= 1
        path.write_bytes(content)
        assert cache_module._checksum(path) != before
        content[place] ^= 1
        path.write_bytes(content)
