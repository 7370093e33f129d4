"""Progress over the whole training: one bar with the time left; without a terminal, one plain line per epoch."""

import sys
import time

import pytorch_lightning as pl
from tqdm import tqdm

from litconv.callbacks.ending import planned

REFRESH_SECONDS = 0.5


class ProgressBar(pl.callbacks.ProgressBar):
    def __init__(self, monitor: str) -> None:
        super().__init__()
        self.monitor = monitor
        self.enabled = True
        self.validated = False  # in this epoch
        self.bar: tqdm | None = None

    def disable(self) -> None:
        self.enabled = False

    def enable(self) -> None:
        self.enabled = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.started = time.perf_counter()
        self.first_epoch = trainer.current_epoch
        per_epoch = int(trainer.num_training_batches)
        self.epochs, batches = planned(pl_module.total_steps, per_epoch, trainer.accumulate_grad_batches)
        if self.enabled and sys.stderr.isatty():
            self.bar = tqdm(
                total=batches,
                initial=per_epoch * trainer.current_epoch,
                mininterval=REFRESH_SECONDS,
                unit="batch",
                dynamic_ncols=True,
                bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left, {rate_fmt}{postfix}",
            )

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.validated = True

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.validated = False
        if self.bar is not None:
            self.bar.set_description_str(f"epoch {trainer.current_epoch + 1}/{self.epochs}", refresh=False)

    def on_train_batch_end(self, *unused: object) -> None:
        if self.bar is not None:
            self.bar.update()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        metrics = trainer.callback_metrics
        keys = ("train/loss", self.monitor) if self.validated else ("train/loss",)  # else it is an earlier epoch's
        shown = "  ".join(f"{key} {metrics[key].item():.4f}" for key in keys if key in metrics)
        if self.bar is not None:
            self.bar.set_postfix_str(shown, refresh=False)
        elif self.enabled:
            done = trainer.current_epoch + 1
            per_epoch = (time.perf_counter() - self.started) / (done - self.first_epoch)
            left = tqdm.format_interval(per_epoch * (self.epochs - done))
            print(f"epoch {done}/{self.epochs}  {shown}  {left} left", file=sys.stderr, flush=True)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._close()

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None
