"""`ema=0.999`: a moving average of the weights is what is validated, chosen, tested and saved. Training goes on in its own.

After the t-th optimiser step θ̄ ← d·θ̄ + (1 − d)·θ with d = min(ema, (1 + t)/(10 + t)), as TensorFlow's
ExponentialMovingAverage has it: else the average of a training of a few hundred steps would be its beginning.
Batch norm's running statistics are averaged as the weights are. To find them anew would take a pass over the training data
before every validation; averaged they are the same whenever they are looked at, so that a checkpoint repeats its figures.

Lightning swaps the two sets of weights around a validation. Its checkpoints hold the average as `state_dict`, the weights
that go on training as `current_model_state`.
"""

from collections.abc import Callable

import pytorch_lightning as pl
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor

Average = Callable[[Tensor, Tensor, Tensor], Tensor]


class Averaging(WeightAveraging):
    def __init__(self, decay: float) -> None:
        super().__init__(avg_fn=moving_average(decay))

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lightning makes the average where the model lies before it is moved: on the CPU, whatever trains it."""
        assert self._average_model is not None
        self._average_model.to(pl_module.device)


def moving_average(decay: float) -> Average:
    def average(averaged: Tensor, current: Tensor, times: Tensor) -> Tensor:
        if not current.is_floating_point():  # how many batches a norm has seen
            return current
        kept = ((1 + times) / (10 + times)).clamp(max=decay).to(current.dtype)
        return averaged + (1 - kept) * (current - averaged)

    return average
