"""Seconds of training, validation left out, and images per second; both go on counting when a run is resumed."""

import time

import pytorch_lightning as pl
from torch import Tensor


class Timing(pl.Callback):
    def __init__(self) -> None:
        self.train_seconds = 0.0
        self.images = 0
        self.started: float | None = None

    @property
    def images_per_second(self) -> float:
        return self.images / self.train_seconds if self.train_seconds else 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.started = time.perf_counter()

    def on_train_batch_start(self, *unused: object) -> None:
        if self.started is None:  # after a validation, and the checkpoint that it led to
            self.started = time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: object,
        batch: tuple[Tensor, Tensor],
        batch_idx: int,
    ) -> None:
        self.images += len(batch[0]) * trainer.world_size

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stop()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stop()

    def _stop(self) -> None:
        if self.started is not None:
            self.train_seconds += time.perf_counter() - self.started
            self.started = None

    def state_dict(self) -> dict:
        return {"train_seconds": self.train_seconds, "images": self.images}

    def load_state_dict(self, state_dict: dict) -> None:
        self.train_seconds = state_dict["train_seconds"]
        self.images = state_dict["images"]
