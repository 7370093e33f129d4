"""A training that ends inside an epoch (trainer.max_steps, trainer.max_time, early stopping) ends like any other.

Its last weights are validated, so that they can be the ones that are tested, and its last row holds the metrics of the steps
that were made.
"""

from math import ceil

import pytorch_lightning as pl


class Ending(pl.Callback):
    """Ends the training after trainer.max_steps in Lightning's place, which does not validate there, and which takes a training
    with max_steps up again as if its last epoch had been broken off: that epoch then counts twice, and the next one is left out.
    """

    def __init__(self) -> None:
        self.max_steps = -1

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # The schedule has been made by now, of as many steps; a checkpoint's progress is loaded afterwards.
        self.max_steps, trainer.fit_loop.epoch_loop.max_steps = trainer.max_steps, -1

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.steps_are_made(trainer):  # in an earlier process, which came no further
            trainer.should_stop = True

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *unused: object) -> None:
        is_last_epoch = trainer.current_epoch + 1 == trainer.max_epochs
        if self.steps_are_made(trainer) or (is_last_epoch and trainer.is_last_batch):
            trainer.should_stop = True  # and Lightning validates, whatever trainer.val_check_interval is

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        pl_module.close_epoch()  # before the other callbacks read its metrics

    def steps_are_made(self, trainer: pl.Trainer) -> bool:
        return -1 < self.max_steps <= trainer.global_step


def epochs_trained(trainer: pl.Trainer) -> int | float:
    """With the part of the last one."""
    batches, per_epoch = trainer.fit_loop.total_batch_idx + 1, trainer.num_training_batches
    return round(batches / per_epoch, 4) if batches % per_epoch else int(batches // per_epoch)


def planned(steps: int, batches: int, accumulated: int) -> tuple[int, int]:
    """Epochs, the last of which may be cut short, and batches of all of them: for so many optimiser steps, batches in an epoch
    and batches whose gradients are added up for a step."""
    whole, rest = divmod(steps, ceil(batches / accumulated))
    return whole + bool(rest), whole * batches + rest * accumulated
