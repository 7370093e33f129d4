"""What a step costs besides its arithmetic: python benchmarks/step_overhead.py

Four ways to train the same network on the same batches, in turns: a bare PyTorch loop; litconv with all that a run has
(progress, metrics, metrics.csv, checkpoints, wandb offline); Lightning with nothing switched on; and Lightning as it is
usually set up (progress bar on a terminal, torchmetrics and self.log in every step, wandb with its console capture).
CPU time of the process and its threads, one thread, from the end of a step to the end of the next: the median over the
second epoch's steps, then over the rounds.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytorch_lightning as pl
import torch
from ways import Setting, fit_lean, fit_ours, fit_typical, on_a_terminal, train_step

from litconv.config.quiet import quiet

SMALL = ["data.n_val=64", "data.n_test=64"]
NETWORKS = {  # what a step costs by itself: little, and some
    "ResNet-8, width 0.25, batch 2": ["width=0.25", "data.batch_size=2", "data.n_train=600", *SMALL],
    "ResNet-20, batch 128": ["backbone.depth=20", "data.batch_size=128", "data.n_train=640", *SMALL],
}


def between(ends: list[float]) -> float:
    return statistics.median(end - start for start, end in itertools.pairwise(ends))


class Clock(pl.Callback):
    """Of the last epoch."""

    def on_train_epoch_start(self, *unused: object) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, *unused: object) -> None:
        self.ends.append(time.process_time())


def bare(setting: Setting, folder: Path) -> float:
    model = setting.model()
    optimizer, schedule = setting.optimisers(model)
    for epoch in range(setting.epochs):
        ends = []
        for x, y in setting.loader(epoch):
            train_step(model, optimizer, x, y)
            schedule.step()
            ends.append(time.process_time())
    return between(ends)


def ours(setting: Setting, folder: Path) -> float:
    clock = Clock()
    fit_ours(setting, folder, clock)
    return between(clock.ends)


def lean(setting: Setting, folder: Path) -> float:
    clock = Clock()
    fit_lean(setting, clock)
    return between(clock.ends)


def typical(setting: Setting, folder: Path) -> float:
    clock = Clock()
    fit_typical(setting, folder, clock, setting.data.train_dataloader())
    return between(clock.ends)


WAYS: dict[str, Callable[[Setting, Path], float]] = {
    "bare loop": bare,
    "litconv, everything on": ours,
    "Lightning, nothing on": lean,
    "Lightning as usual": typical,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    print(
        "| network | way | ms a step | over the bare loop, ms | × the bare loop |\n| --- | --- | ---: | ---: | ---: |"
    )
    for name, overrides in NETWORKS.items():
        setting = Setting(overrides, epochs=2)  # the first warms up
        seconds: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way, run in WAYS.items():
                with tempfile.TemporaryDirectory() as folder, on_a_terminal():
                    quiet()
                    seconds[way].append(run(setting, Path(folder)))
        base = seconds["bare loop"]
        for way, values in seconds.items():
            over = statistics.median(value - other for value, other in zip(values, base, strict=True))
            ratio = statistics.median(value / other for value, other in zip(values, base, strict=True))
            print(
                f"| {name} | {way} | {1e3 * statistics.median(values):.2f} | {1e3 * over:.2f} | {ratio:.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
