"""An epoch end to end, training and validation: python benchmarks/epoch.py [--data FOLDER]

ResNet-20, batches of 128 images of 32×32, three ways: a bare PyTorch loop whose images lie in memory, decoded and normalised,
without augmentation; litconv with all that a run has, from image files through its cache; and Lightning as it is usually
set up, with ImageFolder, PIL transforms and two workers. Each has a process of its own, and they take turns batch by batch,
so that what disturbs one disturbs all. CPU time of the process and all that it starts (workers, wandb's own process),
one thread, from the last batch of an epoch to that of the next: validation and checkpoint lie between. The first warms up.
FOLDER is laid out as data=image_folder wants it; without one, PNG files are made. `--batches 0` is a whole epoch.
"""

import argparse
import itertools
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from input import MEAN, STD, made_images
from processes import seconds_below
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision import datasets, transforms
from ways import Setting, fit_ours, fit_typical, on_a_terminal, train_step

from litconv.config.quiet import quiet

TRAIN_TO_VAL = 9  # batches, as in CIFAR-10's training set with a tenth held out


class Turns(pl.Callback):
    """Tells the seconds used so far after every batch, and waits until it is this way's turn again."""

    def __init__(self, turn: Connection) -> None:
        self.turn = turn

    def on_train_batch_end(self, *unused: object) -> None:
        self.turn.send(time.process_time() + seconds_below(os.getpid()))
        self.turn.recv()


def bare(setting: Setting, root: Path, folder: Path, turns: Turns) -> None:
    model, size = setting.model(), setting.data.batch_size
    optimizer, schedule = setting.optimisers(model)
    limits = setting.config.trainer
    images, targets = decoded(setting.data.train_dataloader(), limits.limit_train_batches)
    val = decoded(setting.data.val_dataloader(), limits.limit_val_batches)
    for _ in range(setting.epochs):
        for index in torch.randperm(len(images)).split(size):
            train_step(model, optimizer, images[index], targets[index])
            schedule.step()
            turns.on_train_batch_end()
        model.eval()
        with torch.no_grad():
            loss = correct = 0.0
            for x, y in zip(*(part.split(size) for part in val), strict=True):
                logits = model(x)
                loss += float(F.cross_entropy(logits, y, reduction="sum"))
                correct += int((logits.argmax(1) == y).sum())
        model.train()


def decoded(loader: object, batches: int | None) -> tuple[Tensor, Tensor]:
    """Float32 images and labels of whole batches."""
    count = min(loader.batch_size * (batches or len(loader)), len(loader.arrays))
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    images = (loader.arrays.images[:count].float().div(255) - mean) / std
    return images.contiguous(memory_format=torch.channels_last), loader.arrays.targets[:count]


def ours(setting: Setting, root: Path, folder: Path, turns: Turns) -> None:
    fit_ours(setting, folder, turns)


def usual(setting: Setting, root: Path, folder: Path, turns: Turns) -> None:
    common = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    augmented = [transforms.RandomCrop(32, 4), transforms.RandomHorizontalFlip(), *common]
    held_out = next(split for split in ("val", "test") if (root / split).is_dir())
    limits = setting.config.trainer
    train = some(datasets.ImageFolder(root / "train", transforms.Compose(augmented)), limits.limit_train_batches)
    val = some(datasets.ImageFolder(root / held_out, transforms.Compose(common)), limits.limit_val_batches)
    loaders = (
        DataLoader(train, 128, shuffle=True, drop_last=True, num_workers=2, persistent_workers=True),
        DataLoader(val, 128, num_workers=2, persistent_workers=True),
    )
    fit_typical(setting, folder, turns, *loaders)


def some(files: Dataset, batches: int | None) -> Dataset:
    """No more than are trained on: workers read ahead."""
    return Subset(files, torch.randperm(len(files))[: 128 * batches].tolist()) if batches else files


WAYS: dict[str, Callable[[Setting, Path, Path, Turns], None]] = {
    "a bare loop, its data in memory": bare,
    "litconv, everything on": ours,
    "Lightning as usual, ImageFolder + PIL, 2 workers": usual,
}


def train(way: str, root: Path, batches: int, epochs: int, turn: Connection) -> None:
    """In a process of its own."""
    torch.set_num_threads(1)
    limits = (batches, max(1, batches // TRAIN_TO_VAL)) if batches else ("null", "null")
    of_both = [f"+trainer.limit_{split}_batches={n}" for split, n in zip(("train", "val"), limits, strict=True)]
    network = ["backbone.depth=20", "optim.lr=0.1", "data.batch_size=128"]
    setting = Setting(["data=image_folder", f"data.root={root}", *network, *of_both], epochs)
    turn.send(setting.steps)
    turn.recv()
    with tempfile.TemporaryDirectory() as folder, on_a_terminal():
        quiet()
        WAYS[way](setting, root, Path(folder), Turns(turn))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="train/<class>/*, val or test, 32×32")
    parser.add_argument("--batches", type=int, default=18, help="of training, a ninth of them of validation; 0: all")
    parser.add_argument("--rounds", type=int, default=5, help="epochs that count")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="litconv-epoch-") as temporary:
        root = options.data or made_images(Path(temporary, "images"))
        measure(root.resolve(), options.batches, options.rounds)


def measure(root: Path, batches: int, rounds: int) -> None:
    processes = multiprocessing.get_context("spawn")
    turns = []
    for way in WAYS:
        mine, its = processes.Pipe()
        processes.Process(target=train, args=(way, root, batches, rounds + 1, its)).start()
        turns.append(mine)
        steps = mine.recv()  # the first makes the cache
    used: list[list[float]] = [[] for _ in WAYS]  # at the end of each batch
    for _ in range(steps * (rounds + 1)):
        for turn, seconds in zip(turns, used, strict=True):
            turn.send(None)
            seconds.append(turn.recv())
    for turn in turns:
        turn.send(None)
    ends = [seconds[steps - 1 :: steps] for seconds in used]
    epochs = [[end - start for start, end in itertools.pairwise(of)] for of in ends]
    print(f"| {steps} batches of 128, and validation | CPU seconds | × the bare loop | range |")
    print("| --- | ---: | ---: | ---: |")
    for way, values in zip(WAYS, epochs, strict=True):
        ratios = [value / other for value, other in zip(values, epochs[0], strict=True)]
        middle, span = statistics.median(ratios), f"{min(ratios):.3f}–{max(ratios):.3f}"
        print(f"| {way} | {statistics.median(values):.2f} | {middle:.3f} | {span} |")


if __name__ == "__main__":
    main()
