"""An epoch end to end, training and validation: python benchmarks/epoch.py [--data FOLDER]

ResNet-20, batches of 128 images of 32×32, three ways in turns: a bare PyTorch loop whose images lie in memory, decoded and
normalised, without augmentation; litconv with all that a run has, from image files through its cache; and Lightning as it is
usually set up, with ImageFolder, PIL transforms and two workers. CPU time of the process and all that it starts (workers,
wandb's own process), one thread, of the second epoch with its checkpoint: what a shared machine disturbs least.
FOLDER is laid out as data=image_folder wants it; without one, PNG files are made. `--batches 0` is a whole epoch.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from input import MEAN, STD, made_images
from processes import seconds_below
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import datasets, transforms
from ways import EPOCHS, Setting, fit_ours, fit_typical, on_a_terminal, train_step

from litconv.cli import quiet

TRAIN_TO_VAL = 9  # batches, as in CIFAR-10's training set with a tenth held out


def cpu_seconds() -> float:
    return time.process_time() + seconds_below(os.getpid())


class Clock(pl.Callback):
    """From the end of an epoch to the end of the next, so that one of everything lies between."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_epoch_end(self, *unused: object) -> None:
        self.ends.append(cpu_seconds())

    @property
    def seconds(self) -> float:
        return self.ends[-1] - self.ends[-2]


class Bare:
    def __init__(self, setting: Setting) -> None:
        limits = setting.config.trainer
        self.train = self.decoded(setting, "train", limits.limit_train_batches)
        self.val = self.decoded(setting, "val", limits.limit_val_batches)

    @staticmethod
    def decoded(setting: Setting, split: str, batches: int | None) -> tuple[Tensor, Tensor]:
        loader = getattr(setting.data, f"{split}_dataloader")()
        arrays, count = loader.arrays, loader.batch_size * min(len(loader), batches or len(loader))
        mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
        images = (arrays.images[:count].float().div(255) - mean) / std
        return images.contiguous(memory_format=torch.channels_last), arrays.targets[:count]

    def __call__(self, setting: Setting, folder: Path) -> float:
        model, size = setting.model(), setting.data.batch_size
        optimizer, schedule = setting.optimisers(model)
        clock = Clock()
        for _ in range(EPOCHS):
            images, targets = self.train
            for index in torch.randperm(len(images)).split(size):
                train_step(model, optimizer, images[index], targets[index])
                schedule.step()
            model.eval()
            with torch.no_grad():
                loss = correct = 0.0
                for x, y in zip(*(part.split(size) for part in self.val), strict=True):
                    logits = model(x)
                    loss += float(F.cross_entropy(logits, y, reduction="sum"))
                    correct += int((logits.argmax(1) == y).sum())
            model.train()
            clock.on_train_epoch_end()
        return clock.seconds


def ours(setting: Setting, folder: Path) -> float:
    clock = Clock()
    fit_ours(setting, folder, clock)
    return clock.seconds


class Usual:
    def __init__(self, root: Path, batch_size: int) -> None:
        common = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
        augmented = [transforms.RandomCrop(32, 4), transforms.RandomHorizontalFlip(), *common]
        held_out = next(split for split in ("val", "test") if (root / split).is_dir())
        train = datasets.ImageFolder(root / "train", transforms.Compose(augmented))
        val = datasets.ImageFolder(root / held_out, transforms.Compose(common))
        self.loaders = [
            DataLoader(train, batch_size, shuffle=True, drop_last=True, num_workers=2),
            DataLoader(val, batch_size, num_workers=2),
        ]

    def __call__(self, setting: Setting, folder: Path) -> float:
        clock = Clock()
        fit_typical(setting, folder, clock, *self.loaders)
        return clock.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="train/<class>/*, val or test, 32×32")
    parser.add_argument("--batches", type=int, default=18, help="of training, a ninth of them of validation; 0: all")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="litconv-epoch-") as temporary:
        root = options.data or made_images(Path(temporary, "images"))
        measure(root.resolve(), options.batches, options.rounds)


def measure(root: Path, batches: int, rounds: int) -> None:
    train, val = (batches, max(1, batches // TRAIN_TO_VAL)) if batches else ("null", "null")
    limits = [f"+trainer.limit_train_batches={train}", f"+trainer.limit_val_batches={val}"]
    setting = Setting(
        ["data=image_folder", f"data.root={root}", "data.batch_size=128", "backbone.depth=20", "optim.lr=0.1", *limits]
    )
    ways: dict[str, Callable[[Setting, Path], float]] = {
        "a bare loop, its data in memory": Bare(setting),
        "litconv, everything on": ours,
        "Lightning as usual, ImageFolder + PIL, 2 workers": Usual(root, 128),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, run in ways.items():
            with tempfile.TemporaryDirectory() as folder, on_a_terminal():
                quiet()
                seconds[way].append(run(setting, Path(folder)))
    print(f"| {setting.steps} batches of 128, and validation | CPU seconds | × the bare loop | range |")
    print("| --- | ---: | ---: | ---: |")
    for way, values in seconds.items():
        ratios = [value / other for value, other in zip(values, next(iter(seconds.values())), strict=True)]
        middle, span = statistics.median(ratios), f"{min(ratios):.3f}–{max(ratios):.3f}"
        print(f"| {way} | {statistics.median(values):.2f} | {middle:.3f} | {span} |")


if __name__ == "__main__":
    main()
