"""metrics.csv: one row per epoch, the local truth whatever becomes of other loggers.

The file is replaced whole at every epoch (an epoch takes longer than its rows), so that it is never torn, and a metric
that first appears late (the IoU of a class that was absent) gets its column. A resumed run drops the rows of the epochs
it repeats, and tells the others to its loggers, from which a kill may have kept them.
"""

import csv
import io
import logging
import time
from pathlib import Path

import pytorch_lightning as pl

from litconv.files import write_whole
from litconv.loggers.together import Loggers

log = logging.getLogger(__name__)
FIRST = ["epoch", "step", "lr", "seconds"]  # seconds: of the epoch, validation included


class MetricsCsv(pl.Callback):
    def __init__(self, folder: Path) -> None:
        self.path = folder / "metrics.csv"
        self.rows: list[dict[str, object]] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.take_up(trainer)
        self.write(trainer)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not self.rows:  # resumed where nothing was left to train: training did not start
            self.take_up(trainer)

    def take_up(self, trainer: pl.Trainer) -> None:
        self.rows = []
        if trainer.current_epoch > 0 and self.path.exists():  # resumed
            try:
                with self.path.open(newline="") as file:
                    self.rows = [row for row in csv.DictReader(file) if int(row["epoch"]) < trainer.current_epoch]
            except (ValueError, KeyError, TypeError):  # edited by hand, or by a spreadsheet
                log.warning("%s cannot be read; it begins anew with epoch %d", self.path, trainer.current_epoch + 1)
            if isinstance(trainer.logger, Loggers):
                trainer.logger.catch_up(self.rows)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.started, self.validated = time.perf_counter(), False

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.validated = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        metrics = {
            key: float(f"{value.item():.7g}")  # float32's digits
            for key, value in trainer.callback_metrics.items()
            if self.validated or not key.startswith("val/")  # Lightning keeps those of an earlier epoch
        }
        seconds = round(time.perf_counter() - self.started, 3)
        self.rows.append({"epoch": trainer.current_epoch, "step": trainer.global_step, "seconds": seconds, **metrics})
        self.write(trainer)

    def write(self, trainer: pl.Trainer) -> None:
        if not trainer.is_global_zero:
            return
        names = sorted({key for row in self.rows for key in row} - set(FIRST))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, FIRST + names, restval="")
        writer.writeheader()
        writer.writerows(self.rows)
        write_whole(self.path, text.getvalue().encode())
