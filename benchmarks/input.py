"""What a batch costs: python benchmarks/input.py [--cifar FOLDER] [--camvid FOLDER] [--rounds 5]

Training batches (random crop and flip; for masks a random zoom as well; normalised) by torchvision's ImageFolder and
transforms of PIL images, by its v2 transforms of tensors, and by litconv: from memory, mapped from its cache, and
streamed from the files. One thread a process; the arms take turns, and the median round counts. Time is the process's
CPU time, which other work on the machine disturbs least; with workers it is the clock's. FOLDER is laid out as
data=image_folder and data=mask_folder want it; without one, PNG files of the same sizes are made. Images of masks are
first saved as PNG, as CamVid is published.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision import datasets, io, transforms, tv_tensors
from torchvision.transforms import v2

from litconv.data import fused
from litconv.data.image_folder import ImageFolder
from litconv.data.loader import InMemoryLoader, StreamLoader
from litconv.data.mask_folder import MaskFolder
from litconv.data.module import DataModule
from litconv.data.pairs import pair_by_stem

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
IGNORED = 255
Arms = dict[str, tuple[int, Iterable]]  # name → images of its epoch, its loader


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cifar", type=Path, help="train/<class>/*, 32×32")
    parser.add_argument("--camvid", type=Path, help="train/{images,masks}/*, classes.txt")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=5120, help="of an epoch of classification by the slow arms")
    options = parser.parse_args()
    torch.set_num_threads(1)
    fused.wait()
    with tempfile.TemporaryDirectory(prefix="litconv-input-") as folder:
        temporary = Path(folder)
        labels = options.cifar or made_images(temporary / "made-images")
        masks = as_png(options.camvid, temporary / "png") if options.camvid else made_masks(temporary / "made-masks")
        print(f"{name_of_cpu()}, one thread a process, torch {torch.__version__}, median of {options.rounds} rounds\n")
        first_batch("classification", ImageFolder, labels, temporary, options.rounds, batch_size=128)
        measure(classification(labels, temporary, options.images), options.rounds)
        first_batch("segmentation", MaskFolder, masks, temporary, options.rounds)
        measure(segmentation(masks, temporary), options.rounds)


def classification(root: Path, temporary: Path, images: int) -> Arms:
    """Batches of 128; crops of 4 pixels of padding."""
    common = (transforms.RandomCrop(32, 4), transforms.RandomHorizontalFlip())
    pil = transforms.Compose([*common, transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
    tensors = v2.Compose(
        [
            v2.PILToTensor(),
            v2.RandomCrop(32, 4),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )

    def reference(transform: Callable, workers: int) -> tuple[int, Iterable]:
        files = datasets.ImageFolder(root / "train", transform)
        chosen = torch.randperm(len(files))[:images].tolist()
        return epoch(Subset(files, chosen), 128, workers)

    return {
        "ImageFolder + PIL transforms": reference(pil, 0),
        "ImageFolder + PIL transforms, 2 workers": reference(pil, 2),
        "ImageFolder + v2 transforms of tensors": reference(tensors, 0),
        **ours(ImageFolder, root, temporary, images, batch_size=128),
    }


def segmentation(root: Path, temporary: Path) -> Arms:
    """Batches of 8 whole images, zoomed by 0.5 to 2."""
    pil, tensors = (MaskFiles(root / "train", decode) for decode in (decoded_by_pil, decoded_by_torchvision))
    return {
        "PIL decodes + v2 transforms": epoch(pil, 8, 0),
        "PIL decodes + v2 transforms, 2 workers": epoch(pil, 8, 2),
        "torchvision decodes + v2 transforms": epoch(tensors, 8, 0),
        **ours(MaskFolder, root, temporary, len(pil), batch_size=8, scale=(0.5, 2.0)),
    }


def ours(make: type[DataModule], root: Path, temporary: Path, images: int, **options: object) -> Arms:
    arms: Arms = {}
    for name, more in {
        "litconv, in memory": {},
        "litconv, mapped": {"memory_limit_mb": 0, "cache_dir": str(temporary / "cache")},
        "litconv, streamed": {"memory_limit_mb": 0},
        "litconv, streamed, 2 workers": {"memory_limit_mb": 0, "num_workers": 2},
    }.items():
        data = make(root=str(root), mean=MEAN, std=STD, **options, **more)
        data.setup()
        if "streamed" in name:  # as many as the slow arms
            data._splits["train"] = data._splits["train"].subset(torch.randperm(data.sizes["train"])[:images])
        loader = data.train_dataloader()
        arms[name] = len(loader) * loader.batch_size, loader
    return arms


def epoch(files: Dataset, batch_size: int, workers: int) -> tuple[int, Iterable]:
    loader = DataLoader(
        files, batch_size, shuffle=True, drop_last=True, num_workers=workers, persistent_workers=workers > 0
    )
    return len(loader) * batch_size, loader


class MaskFiles(Dataset):
    """Pairs of an image and a mask, as torchvision's reference scripts augment them."""

    def __init__(self, folder: Path, decode: Callable[[str, str], tuple[torch.Tensor, torch.Tensor]]) -> None:
        self.pairs, self.decode = pair_by_stem(folder / "images", folder / "masks"), decode
        size = tuple(decode(*self.pairs[0])[0].shape[-2:])
        fill = {tv_tensors.Image: 0, tv_tensors.Mask: IGNORED}
        kinds = {tv_tensors.Image: torch.float32, tv_tensors.Mask: torch.int64, "others": None}
        self.transform = v2.Compose(
            [
                v2.ScaleJitter(size, (0.5, 2.0)),
                v2.RandomCrop(size, pad_if_needed=True, fill=fill),
                v2.RandomHorizontalFlip(),
                v2.ToDtype(kinds, scale=True),
                v2.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image, mask = self.decode(*self.pairs[index])
        return self.transform(tv_tensors.Image(image), tv_tensors.Mask(mask))


def decoded_by_pil(image: str, mask: str) -> tuple[torch.Tensor, torch.Tensor]:
    return v2.functional.pil_to_tensor(Image.open(image)), v2.functional.pil_to_tensor(Image.open(mask))[0]


def decoded_by_torchvision(image: str, mask: str) -> tuple[torch.Tensor, torch.Tensor]:
    return io.decode_image(image), io.decode_image(mask)[0]


def measure(arms: Arms, rounds: int) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in arms}  # of an image
    for number in range(-1, rounds):  # the first warms up
        for name, (images, loader) in arms.items():
            if isinstance(loader, InMemoryLoader | StreamLoader):  # torch's own draws another order by itself
                loader.sampler.set_epoch(number + 1)
            now = time.perf_counter if "workers" in name else time.process_time
            started = now()
            steps = sum(1 for _ in loader)
            assert steps == len(loader)
            if number >= 0:
                seconds[name].append((now() - started) / images)
    unit = seconds["litconv, in memory"]
    print("| an epoch | images/s | time ÷ litconv in memory |\n| --- | --- | --- |")
    for name, measured in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(measured, unit, strict=True))
        print(f"| {name} | {1 / statistics.median(measured):,.0f} | {ratio:.1f} |")
    print()


def first_batch(kind: str, make: type[DataModule], root: Path, temporary: Path, rounds: int, **options: object) -> None:
    """Seconds from nothing but the files to the first batch. Files are in the system's cache."""

    def seconds(**more: object) -> float:
        started = time.perf_counter()
        data = make(root=str(root), **options, **more)
        data.setup()
        next(iter(data.train_dataloader()))
        return time.perf_counter() - started

    cache = {"cache_dir": str(temporary / "cache")}
    plain, first = seconds(), seconds(**cache)
    later = statistics.median(seconds(**cache) for _ in range(rounds))
    print(f"| {kind}: seconds to the first batch | |\n| --- | --- |")
    print(f"| no cache | {plain:.2f} |\n| first run | {first:.2f} |\n| later runs | {later:.2f} |\n")


def made_images(root: Path) -> Path:
    """Ten classes of 500 images each for training."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 500), ("val", 20)):
        for label in range(10):
            folder = root / split / f"class{label}"
            folder.mkdir(parents=True)
            for i in range(count):
                picture(rng, 32, 32).save(folder / f"{i:04}.png")
    return root


def made_masks(root: Path) -> Path:
    """64 images of CamVid's size, with masks of blocks."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 64), ("val", 8)):
        for kind in ("images", "masks"):
            (root / split / kind).mkdir(parents=True)
        for i in range(count):
            picture(rng, 360, 480).save(root / split / "images" / f"{i:03}.png")
            ids = Image.fromarray(rng.integers(0, 11, (9, 12), dtype=np.uint8))
            ids.resize((480, 360), Image.Resampling.NEAREST).save(root / split / "masks" / f"{i:03}.png")
    (root / "classes.txt").write_text("".join(f"{i} class{i}\n" for i in range(11)))
    return root


def picture(rng: np.random.Generator, height: int, width: int) -> Image.Image:
    """Smooth with a little noise: about as large as a photograph's PNG."""
    coarse = Image.fromarray(rng.integers(0, 256, (max(height // 12, 4), max(width // 12, 4), 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    return Image.fromarray((smooth + rng.integers(-2, 3, smooth.shape)).clip(0, 255).astype(np.uint8))


def as_png(root: Path, copy: Path) -> Path:
    for split in ("train", "val"):
        (copy / split / "images").mkdir(parents=True)
        (copy / split / "masks").symlink_to((root / split / "masks").resolve())
        for path in (root / split / "images").iterdir():
            Image.open(path).convert("RGB").save(copy / split / "images" / f"{path.stem}.png")
    (copy / "classes.txt").write_bytes((root / "classes.txt").read_bytes())
    return copy


def name_of_cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(line.partition(": ")[2] for line in lines if line.startswith("model name"))


if __name__ == "__main__":
    main()
