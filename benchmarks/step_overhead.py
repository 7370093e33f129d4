"""What a step costs besides its arithmetic: python benchmarks/step_overhead.py

Four ways to train the same network on the same batches, in turns: a bare PyTorch loop; litconv with all that a run has
(progress, metrics, metrics.csv, checkpoints, wandb offline); Lightning with nothing switched on; and Lightning as it is
usually set up (progress bar on a terminal, torchmetrics and self.log in every step, wandb with its console capture).
CPU time of the process and its threads, one thread, from the end of a step to the end of the next: the median over the
second epoch's steps, then over the rounds.
"""

import argparse
import itertools
import os
import pty
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true")

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
import wandb
from pytorch_lightning.loggers import WandbLogger
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy

from litconv import build, config, training
from litconv.cli import quiet
from litconv.loggers import finish_wandb
from litconv.optim import optimizer_for

NETWORKS = {  # what a step costs by itself: little, and some
    "ResNet-8, width 0.25, batch 2": ["width=0.25", "data.batch_size=2", "data.n_train=600"],
    "ResNet-20, batch 128": ["backbone.depth=20", "data.batch_size=128", "data.n_train=640"],
}


class Setting:
    def __init__(self, overrides: list[str]) -> None:
        small = ["data.n_val=64", "data.n_test=64", "trainer.accelerator=cpu", "epochs=2"]
        self.config = config.compose([*overrides, *small])
        self.data = build.data(self.config)
        self.data.setup("fit")

    def model(self) -> nn.Module:
        return build.model(self.config, 3, 10).train()

    def loader(self, epoch: int) -> Iterable[tuple[Tensor, Tensor]]:
        loader = self.data.train_dataloader()
        loader.sampler.set_epoch(epoch)
        return loader

    @property
    def steps(self) -> int:
        return len(self.data.train_dataloader())

    def optimisers(self, model: nn.Module) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        optimizer = optimizer_for(model, build.part(self.config.optim))
        return optimizer, build.part(self.config.schedule)(optimizer, 2 * self.steps)


def bare(setting: Setting, folder: Path) -> float:
    model = setting.model()
    optimizer, schedule = setting.optimisers(model)
    for epoch in range(2):
        ends = []
        for x, y in setting.loader(epoch):
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            ends.append(time.process_time())
    return between(ends)


def between(ends: list[float]) -> float:
    return statistics.median(end - start for start, end in itertools.pairwise(ends))


class Clock(pl.Callback):
    """Of the last epoch."""

    def on_train_epoch_start(self, *unused: object) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, *unused: object) -> None:
        self.ends.append(time.process_time())


def ours(setting: Setting, folder: Path) -> float:
    clock = Clock()
    logger = build.part(setting.config.logger)(folder, name="ours", group="g", job_type="train", tags=[], config={})
    task = build.task(setting.config, setting.data)
    callbacks = [*build.part(setting.config.callbacks)(folder, task.monitor, task.mode), clock]
    trainer = build.trainer(setting.config, logger=logger, callbacks=callbacks)
    training.fit(trainer, task, setting.data, None)
    finish_wandb(logger, 0, {})
    return between(clock.ends)


class Lean(pl.LightningModule):
    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.setting, self.model = setting, setting.model()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        x, y = batch
        return F.cross_entropy(self.model(x), y)

    def configure_optimizers(self) -> dict:
        optimizer, schedule = self.setting.optimisers(self.model)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Typical(Lean):
    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.accuracy = MulticlassAccuracy(10)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        x, y = batch
        logits = self.model(x)
        loss = F.cross_entropy(logits, y)
        self.accuracy(logits, y)
        self.log("train/loss", loss, prog_bar=True)
        self.log("train/accuracy", self.accuracy, prog_bar=True)
        return loss


def lean(setting: Setting, folder: Path) -> float:
    clock = Clock()
    trainer = pl.Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, callbacks=[clock],
    )  # fmt: skip
    trainer.fit(Lean(setting), setting.data.train_dataloader())
    return between(clock.ends)


def typical(setting: Setting, folder: Path) -> float:
    clock = Clock()
    run = wandb.init(dir=folder, project="typical", reinit="finish_previous")
    trainer = pl.Trainer(
        max_epochs=2, accelerator="cpu", logger=WandbLogger(experiment=run), enable_model_summary=False, callbacks=[clock]
    )  # fmt: skip
    trainer.fit(Typical(setting), setting.data.train_dataloader())
    run.finish()
    return between(clock.ends)


@contextmanager
def on_a_terminal() -> Iterator[None]:
    """stdout and stderr are a terminal that somebody reads, so that progress bars draw."""
    leader, follower = pty.openpty()
    kept = os.dup(1), os.dup(2)

    def read() -> None:
        while True:
            try:
                if not os.read(leader, 65536):
                    return
            except OSError:
                return

    threading.Thread(target=read, daemon=True).start()
    os.dup2(follower, 1)
    os.dup2(follower, 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(kept[0], 1)
        os.dup2(kept[1], 2)
        for descriptor in (*kept, follower):
            os.close(descriptor)


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
        setting = Setting(overrides)
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
