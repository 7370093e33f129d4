"""Whether a training went astray without ever reaching a loss that is not a number.

Judged by the mean training loss of the last epoch: it has diverged if that is more than FACTOR times both the loss of the very
first step and the loss of guessing. A rate that is far too large leaves powers of ten between them; a short run, the rise during
a warm-up or a hard set do not.
"""

import pytorch_lightning as pl
from torch import Tensor

FACTOR = 3.0


class Divergence(pl.Callback):
    def __init__(self) -> None:
        self.first: float | None = None  # loss of the first step
        self.last: float | None = None  # mean loss of the last epoch

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *unused: object) -> None:
        if self.first is None:
            self.first = pl_module.train_values["loss"][0]  # on the device: nobody waits for it

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if isinstance(self.first, Tensor):
            self.first = self.first.item()
        self.last = trainer.callback_metrics["train/loss"].item()

    def warning(self, chance: float) -> str:
        """In one line; empty where all is well. `chance`: the loss of guessing."""
        if self.first is None or self.last is None or self.last <= FACTOR * max(self.first, chance):
            return ""
        return (
            f"the training diverged: its loss is {self.last:.3g} at the end, {self.first:.3g} in the first step and {chance:.3g} "
            "for guessing; try a smaller optim.lr"
        )

    def state_dict(self) -> dict:
        return {"first": None if self.first is None else float(self.first), "last": self.last}

    def load_state_dict(self, state_dict: dict) -> None:
        self.first, self.last = state_dict["first"], state_dict["last"]
