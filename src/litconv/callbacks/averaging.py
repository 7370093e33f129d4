"""`ema=0.999`: a moving average of the weights is what is validated, chosen, tested and saved. Training goes on in its own.

It begins as the weights after the first optimiser step; after the t-th, θ̄ ← d·θ̄ + (1 − d)·θ with d = min(ema, t/(9 + t)), as
TensorFlow's ExponentialMovingAverage has it: else the average of a training of a few hundred steps would be its beginning.
Batch norm's running statistics are averaged as the weights are. To find them anew would take a pass over the training data
before every validation; averaged they are the same whenever they are looked at, so that a checkpoint repeats its figures.

Lightning swaps the two sets of weights around a validation. Its checkpoints hold the average as `state_dict`, the weights
that go on training as `current_model_state`.
"""

from collections.abc import Callable, Sequence

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor

Update = Callable[[Sequence[Tensor], Sequence[Tensor], Tensor], None]


class Averaging(WeightAveraging):
    def __init__(self, decay: float) -> None:
        super().__init__(multi_avg_fn=moving_average(decay))

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lightning makes the average before the model is moved, so on the CPU. The count stays there: the host reads it."""
        assert self._average_model is not None
        self._average_model.to(pl_module.device)
        self._average_model.n_averaged = self._average_model.n_averaged.cpu()


def moving_average(decay: float) -> Update:
    @torch.no_grad()
    def update(averages: Sequence[Tensor], currents: Sequence[Tensor], times: Tensor) -> None:
        """In place; all of one type. `times`: how many have been averaged."""
        kept = ((1 + times) / (10 + times)).clamp(max=decay)
        for average, current in zip(averages, currents, strict=True):
            if average.is_floating_point():
                average.lerp_(current, (1 - kept).to(average.dtype))
            else:  # how many batches a norm has seen
                average.copy_(current)

    return update
