"""Ways to train one network on the same data, for benchmarks to clock: a bare loop, litconv, Lightning lean and as usual."""

import os
import pty
import sys
import threading
from collections.abc import Iterable, Iterator
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

from litconv import build
from litconv.config import composed as config
from litconv.fit import training
from litconv.loggers.together import Loggers
from litconv.optim import optimizer_for


class Setting:
    """What all ways share: the data, and a fresh network and optimiser for each."""

    def __init__(self, overrides: list[str], epochs: int) -> None:
        self.epochs = epochs
        self.config = config.compose([*overrides, "trainer.accelerator=cpu", f"epochs={epochs}"])
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
        """Of an epoch."""
        return min(len(self.data.train_dataloader()), self.config.trainer.get("limit_train_batches") or sys.maxsize)

    def optimisers(self, model: nn.Module) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        optimizer = optimizer_for(model, build.part(self.config.optim))
        return optimizer, build.part(self.config.schedule)(optimizer, self.epochs * self.steps)


def train_step(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    """The bare loop's."""
    loss = F.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def fit_ours(setting: Setting, folder: Path, clock: pl.Callback) -> None:
    """With all that a run has: progress, metrics, metrics.csv, checkpoints, wandb offline."""
    logger = Loggers(build.loggers(setting.config))
    logger.start(folder, name="ours", group="g", job_type="train", tags=[], config={})
    task = build.task(setting.config, setting.data)
    callbacks = [*build.callbacks(setting.config, folder), clock]
    trainer = build.trainer(setting.config, callbacks)
    trainer.logger = logger
    training.fit(trainer, task, setting.data, None)
    logger.finish(0, {})


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
        self.accuracy, self.val_accuracy = MulticlassAccuracy(10), MulticlassAccuracy(10)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        x, y = batch
        logits = self.model(x)
        loss = F.cross_entropy(logits, y)
        self.accuracy(logits, y)
        self.log("train/loss", loss, prog_bar=True)
        self.log("train/accuracy", self.accuracy, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        x, y = batch
        logits = self.model(x)
        self.val_accuracy(logits, y)
        self.log("val/loss", F.cross_entropy(logits, y), prog_bar=True)
        self.log("val/accuracy", self.val_accuracy, prog_bar=True)


def fit_lean(setting: Setting, clock: pl.Callback) -> None:
    """Lightning with nothing switched on."""
    trainer = pl.Trainer(
        max_epochs=setting.epochs, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, callbacks=[clock],
    )  # fmt: skip
    trainer.fit(Lean(setting), setting.data.train_dataloader())


def fit_typical(setting: Setting, folder: Path, clock: pl.Callback, *loaders: Iterable) -> None:
    """Lightning as it is usually set up: progress bar, torchmetrics and self.log in every step, wandb with its console
    capture. `loaders`: of training and validation."""
    run = wandb.init(dir=folder, project="typical", reinit="finish_previous")
    limits = {k: v for k, v in setting.config.trainer.items() if k.startswith("limit_") and "test" not in k}
    trainer = pl.Trainer(
        max_epochs=setting.epochs, accelerator="cpu", logger=WandbLogger(experiment=run, save_dir=folder),
        enable_model_summary=False, callbacks=[clock], default_root_dir=folder, **limits,
    )  # fmt: skip
    trainer.fit(Typical(setting), *loaders)
    run.finish()


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
