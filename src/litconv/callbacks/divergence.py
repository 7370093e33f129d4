"""Whether a training went astray without ever reaching a loss that is not a number.

Judged by the mean training loss of the last epoch: it has diverged if that is more than FACTOR times both the loss of the very
first step and the loss of guessing. A rate that is far too large leaves powers of ten between them; a short run, the rise during
a warm-up or a hard set do not. Batch norm can hide it from the training, whose batches are normalised by themselves: then the
last validation's loss shows it, with a wider margin, since a network that is sure of wrong answers has a high one, too.
"""

import pytorch_lightning as pl
from torch import Tensor

FACTOR, VALIDATION_FACTOR = 3.0, 100.0


class Divergence(pl.Callback):
    def __init__(self) -> None:
        self.first: float | None = None  # loss of the first step
        self.last: float | None = None  # mean loss of the last epoch
        self.validated: float | None = None  # loss of the last validation

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *unused: object) -> None:
        if self.first is None:
            self.first = pl_module.train_values["loss"][0]  # on the device: nobody waits for it

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if isinstance(self.first, Tensor):
            self.first = self.first.item()
        self.last = trainer.callback_metrics["train/loss"].item()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.sanity_checking and trainer.state.fn == "fit" and "val/loss" in trainer.callback_metrics:
            self.validated = trainer.callback_metrics["val/loss"].item()

    def warning(self, chance: float) -> str:
        """In one line; empty where all is well. `chance`: the loss of guessing."""
        if self.first is None or self.last is None:
            return ""
        usual = max(self.first, chance)
        judged = [("loss", self.last, FACTOR), ("loss on validation", self.validated or 0.0, VALIDATION_FACTOR)]
        for name, loss, factor in judged:
            if loss > factor * usual:
                return (
                    f"the training diverged: its {name} is {loss:.3g} at the end, its training loss {self.first:.3g} in the "
                    f"first step and {chance:.3g} for guessing; try a smaller optim.lr"
                )
        return ""

    def state_dict(self) -> dict:
        first = None if self.first is None else float(self.first)
        return {"first": first, "last": self.last, "validated": self.validated}

    def load_state_dict(self, state_dict: dict) -> None:
        self.first, self.last = state_dict["first"], state_dict["last"]
        self.validated = state_dict.get("validated")  # an earlier version's checkpoint has none
