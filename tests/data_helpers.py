"""Tiny data sets on disk, in the formats users have."""

import gzip
import hashlib
import pickle
import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("cat", "dog", "emu")


def noise(seed: int, height: int, width: int, channels: int = 3) -> np.ndarray:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def make_image_folder(
    root: Path, counts: dict[str, int], size: tuple[int, int] = (8, 8), extension: str = "png"
) -> Path:
    """`counts`: images per class in each split; every image differs from all others."""
    seed = 0
    for split, count in counts.items():
        for name in CLASSES:
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                Image.fromarray(noise(seed, *size)).save(folder / f"{i:03}.{extension}")
                seed += 1
    return root


def make_unequal_folder(root: Path, train: dict[str, int]) -> Path:
    """An image folder whose classes have so many training images each."""
    make_image_folder(root, {"val": 3, "test": 4})
    for label, (name, count) in enumerate(train.items()):
        (root / "train" / name).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(noise(1000 * (label + 1) + i, 8, 8)).save(root / "train" / name / f"{i:03}.png")
    return root


def make_mask_folder(
    root: Path, counts: dict[str, int], size: tuple[int, int] = (8, 12), ids: Iterable[int] = (0, 1, 2, 5)
) -> Path:
    """Masks hold `ids`; by default those of classes.txt: three classes, and 5, which is ignored."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "classes.txt").write_text("0 sky\n1 road\n2 car\n5 void (ignore)\n")
    seed = 0
    for split, count in counts.items():
        for kind in ("images", "masks"):
            (root / split / kind).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(noise(seed, *size)).save(root / split / "images" / f"{i:03}.bmp")
            mask = np.random.default_rng(seed).choice(np.array(list(ids), np.uint8), size)
            Image.fromarray(mask).save(root / split / "masks" / f"{i:03}.png")
            seed += 1
    return root


def make_cifar(root: Path, hundred: bool, per_file: int = 40) -> tuple[dict[str, object], np.ndarray, np.ndarray]:
    """The pickled batches of CIFAR-10 or CIFAR-100. Returns their MD5 as torchvision lists them, and train."""
    folder = root / ("cifar-100-python" if hundred else "cifar-10-batches-py")
    folder.mkdir(parents=True)
    names = ["train"] if hundred else [f"data_batch_{i}" for i in range(1, 6)]
    test, meta, label_key = ("test", "meta", "fine_labels") if hundred else ("test_batch", "batches.meta", "labels")
    classes = 100 if hundred else 10

    def dump(name: str, content: dict) -> list[str]:
        data = pickle.dumps(content)
        (folder / name).write_bytes(data)
        return [name, hashlib.md5(data).hexdigest()]

    lists, images, labels = [], [], []
    for seed, name in enumerate([*names, test]):
        data = np.random.default_rng(seed).integers(0, 256, (per_file, 3072), dtype=np.uint8)
        numbers = [(i * 7 + seed) % classes for i in range(per_file)]
        lists.append(dump(name, {"data": data, label_key: numbers}))
        images.append(data.reshape(-1, 3, 32, 32))
        labels.append(numbers)
    key = "fine_label_names" if hundred else "label_names"
    name, md5 = dump(meta, {key: [f"class {i}" for i in range(classes)]})
    known = {"train_list": lists[:-1], "test_list": lists[-1:], "meta": {"filename": name, "key": key, "md5": md5}}
    return known, np.concatenate(images[:-1]), np.concatenate(labels[:-1])


def make_fashion(root: Path, train: int = 60, test: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """The four IDX files, unpacked beside their .gz as torchvision leaves them. Returns the training data."""
    folder = root / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for split, count in (("t10k", test), ("train", train)):
        images = noise(count, count, 28 * 28, 1).reshape(count, 28, 28)
        labels = (np.arange(count) % 10).astype(np.uint8)
        files = {
            f"{split}-images-idx3-ubyte": struct.pack(">IIII", 0x0803, count, 28, 28) + images.tobytes(),
            f"{split}-labels-idx1-ubyte": struct.pack(">II", 0x0801, count) + labels.tobytes(),
        }
        for name, content in files.items():
            (folder / name).write_bytes(content)
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    return images, labels


def palette_mask(ids: np.ndarray) -> Image.Image:
    """Mode P with a palette that would scramble the ids if it were applied."""
    mask = Image.fromarray(ids.astype(np.uint8), mode=None).convert("L")
    mask.putpalette(np.random.default_rng(0).integers(0, 256, 768, dtype=np.uint8).tobytes())
    return mask


def make_voc(root: Path, train: int = 4, val: int = 3, size: tuple[int, int] = (20, 30)) -> Path:
    folder = root / "VOCdevkit" / "VOC2012"
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / name).mkdir(parents=True)
    for split, count in (("train", train), ("val", val)):
        stems = [f"2007_{split}_{i:03}" for i in range(count)]
        (folder / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("\n".join(stems) + "\n")
        for i, stem in enumerate(stems):
            Image.fromarray(noise(i, *size)).save(folder / "JPEGImages" / f"{stem}.jpg")
            ids = np.random.default_rng(i).choice([0, 1, 20, 255], size)
            palette_mask(ids).save(folder / "SegmentationClass" / f"{stem}.png")
    return folder


def make_pet(root: Path, per_breed: int = 10, breeds: tuple[str, ...] = ("Abyssinian", "american_bulldog")) -> Path:
    folder = root / "oxford-iiit-pet"
    (folder / "images").mkdir(parents=True)
    (folder / "annotations" / "trimaps").mkdir(parents=True)
    lines: dict[str, list[str]] = {"trainval": [], "test": []}
    for label, breed in enumerate(breeds, 1):
        for i in range(per_breed):
            stem, size = f"{breed}_{i}", (12 + i, 16)
            Image.fromarray(noise(i, *size)).save(folder / "images" / f"{stem}.jpg")
            trimap = np.random.default_rng(i).integers(1, 4, size, dtype=np.uint8)
            Image.fromarray(trimap).save(folder / "annotations" / "trimaps" / f"{stem}.png")
            lines["test" if i % 5 == 4 else "trainval"].append(f"{stem} {label} 1 {label}")
    for name, content in lines.items():
        (folder / "annotations" / f"{name}.txt").write_text("\n".join(content) + "\n")
    return folder
