"""An epoch is one row of a logger's history: Lightning tells of its validation and of its training apart, at one step."""

import pytorch_lightning as pl

from litconv.loggers.together import Loggers


class LogRows(pl.Callback):
    """Says when a row is whole: as soon as training goes on. What the last epoch leaves is written when the loggers end."""

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.end_row(trainer)

    def on_train_batch_start(self, trainer: pl.Trainer, *unused: object) -> None:
        self.end_row(trainer)  # after a validation inside an epoch

    def end_row(self, trainer: pl.Trainer) -> None:
        if isinstance(trainer.logger, Loggers):
            trainer.logger.end_row()
