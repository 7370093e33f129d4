"""Lightning's training loop for the plain case, without the calls that do nothing there: half of what it costs a step.

Plain is one device, one optimiser, no accumulation, no clipping, no gradient scaler, and nobody's hook between forward
and step. Everything else goes through Lightning's own loop, whose numbers, counters and checkpoints are the same.
"""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loops.fetchers import _DataFetcher, _DataLoaderIterDataFetcher
from pytorch_lightning.loops.training_epoch_loop import _TrainingEpochLoop
from pytorch_lightning.plugins.precision import MixedPrecision, Precision
from pytorch_lightning.strategies import SingleDeviceStrategy
from torch import Tensor

from litconv.callbacks.together import WITHIN_A_STEP, defined_in
from litconv.no_profiler import NoProfiler
from litconv.tasks.base import Batch, Task

OF_A_BATCH = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")
OF_A_STEP = (
    *("on_train_batch_start", "backward", "optimizer_step", "optimizer_zero_grad", "configure_gradient_clipping"),
    *(*WITHIN_A_STEP, *OF_A_BATCH),
)


def install(trainer: pl.Trainer) -> None:
    """Before `trainer.fit`."""
    own = trainer.fit_loop.epoch_loop
    if type(own) is _TrainingEpochLoop:
        trainer.fit_loop.epoch_loop = LeanLoop(trainer, own.min_steps, own.max_steps)


class LeanLoop(_TrainingEpochLoop):
    def on_run_start(self, data_fetcher: _DataFetcher) -> None:
        super().on_run_start(data_fetcher)
        trainer = self.trainer
        self.plain = is_plain(trainer) and not isinstance(data_fetcher, _DataLoaderIterDataFetcher)
        self.starts = list(defined_in(trainer.callbacks, "on_train_batch_start"))
        self.ends = list(defined_in(trainer.callbacks, "on_train_batch_end"))

    def advance(self, data_fetcher: _DataFetcher) -> None:
        if self.restarting or not self.plain:
            super().advance(data_fetcher)
            return
        trainer, task, progress = self.trainer, self.trainer.lightning_module, self.batch_progress
        self.val_loop.restarting = False
        batch, _, _ = next(data_fetcher)
        index = self.batch_idx + 1
        progress.is_last_batch = data_fetcher.done
        device = trainer.strategy.root_device
        if any(part.device != device for part in batch):
            batch = task.transfer_batch_to_device(batch, device, 0)
        progress.increment_ready()
        trainer._logger_connector.on_batch_start(batch)
        task._current_fx_name = "on_train_batch_start"
        for hook in self.starts:
            hook(trainer, task, batch, index)
        progress.increment_started()
        outputs = {"loss": self.step(task, batch, index)}
        progress.increment_processed()
        self.update_lr_schedulers("step", update_plateau_schedulers=False)
        if self._num_ready_batches_reached():
            self.update_lr_schedulers("epoch", update_plateau_schedulers=False)
        task._current_fx_name = "on_train_batch_end"
        for hook in self.ends:
            hook(trainer, task, outputs, batch, index)
        task.on_train_batch_end(outputs, batch, index)
        task._current_fx_name = None
        trainer._logger_connector.on_batch_end()
        progress.increment_completed()
        trainer._logger_connector.update_train_step_metrics()

    def step(self, task: Task, batch: Batch, index: int) -> Tensor:
        """Forward, backward and the optimiser's step; returns the loss, detached."""
        optimizer, progress = self.trainer.optimizers[0], self.automatic_optimization.optim_progress.optimizer
        context = self.trainer.precision_plugin.train_step_context
        loss: Tensor

        def closure() -> Tensor:
            nonlocal loss
            task._current_fx_name = "training_step"
            with context():
                loss = task.training_step(batch, index)
            progress.zero_grad.increment_ready()
            progress.zero_grad.increment_started()
            optimizer.zero_grad()
            progress.zero_grad.increment_completed()
            loss.backward()
            return loss

        progress.step.increment_ready()
        optimizer.step(closure)
        progress.step.increment_completed()
        return loss.detach()


def is_plain(trainer: pl.Trainer) -> bool:
    task, precision = trainer.lightning_module, trainer.precision_plugin
    return (
        type(trainer.strategy) is SingleDeviceStrategy
        and trainer.strategy.model is task
        and len(trainer.optimizers) == 1
        and trainer.accumulate_grad_batches == 1
        and not trainer.gradient_clip_val
        and isinstance(trainer.profiler, NoProfiler)
        and type(precision) in (Precision, MixedPrecision)
        and getattr(precision, "scaler", None) is None
        and isinstance(task, Task)
        and type(task).training_step is Task.training_step
        and all(is_left(task, pl.LightningModule, name) for name in OF_A_STEP)
        and all(is_left(trainer.datamodule, pl.LightningDataModule, name) for name in OF_A_BATCH)
        and not any(hook for name in WITHIN_A_STEP for hook in defined_in(trainer.callbacks, name))
    )


def is_left(instance: Any, base: type, name: str) -> bool:
    """Whether a hook is the base class's, which does what the loop here does, or None."""
    return instance is None or getattr(type(instance), name) in (None, getattr(base, name))
