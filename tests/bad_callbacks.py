"""What ends a job in ways that no exception handler sees; the run's seed says how."""

import ctypes
import os
import signal
import sys

import pytorch_lightning as pl


class End(pl.Callback):
    ways = {1: "exit", 2: "kill", 3: "segfault", 4: "raise"}  # noqa: RUF012

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        match self.ways.get(pl_module.seed):
            case "exit":
                sys.exit(0)
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "segfault":
                ctypes.string_at(0)
            case "raise":
                raise RuntimeError("of a user's callback")
