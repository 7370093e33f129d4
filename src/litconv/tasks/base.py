"""What both tasks share: optimiser, epoch means, evaluation. A train step logs nothing and never awaits the device."""

import logging
import random
from math import isfinite
from typing import ClassVar

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from litconv.errors import ConfigError, TrainingError
from litconv.optim import OptimizerFactory, Schedule, optimizer_for, scales_inside_its_step, unfused
from litconv.tasks.finite import FiniteLoss
from litconv.tasks.teacher import Teacher

log = logging.getLogger(__name__)

Batch = tuple[Tensor, Tensor]


class Task(pl.LightningModule):
    name: ClassVar[str]
    monitor: ClassVar[str]  # what the best checkpoint is chosen by, where no option `monitor` names another
    mode: ClassVar[str] = "max"
    logged: ClassVar[tuple[str, ...]] = ()  # what such an option may name: metrics of the validation
    minimised: ClassVar[frozenset[str]] = frozenset({"loss"})  # of these

    def __init__(self, model: nn.Module, optim: OptimizerFactory, schedule: Schedule, *, seed: int) -> None:
        super().__init__()
        self.model = model
        self.optim = optim
        self.schedule = schedule
        self.seed = seed
        self.teacher: Teacher | None = None
        self.generator = np.random.default_rng([seed, 0, 0])
        self.total_steps = 0  # that the schedule spans
        self.train_values: dict[str, list[Tensor]] = {}  # one scalar a step
        self.evaluation_losses: list[tuple[Tensor, int]] = []  # (mean over the batch, images)
        self.confusion_matrix: Tensor | None = None  # of the last evaluation, on the CPU: (true class, predicted class)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x).float()  # the loss in float32 whatever the precision

    def learn_from(self, teacher: Teacher) -> None:
        """From the next step on."""
        self.teacher = teacher
        teacher.watch(self.model)

    def guided(self, x: Tensor, logits: Tensor, loss: Tensor, labelled: Tensor | None = None) -> dict[str, Tensor]:
        """The scalars of a step whose loss by the labels is `loss`: with what the teacher says, where there is one."""
        if self.teacher is None:
            return {"loss": loss}
        return self.teacher.guided(x, logits, loss, labelled)

    def train_batch(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        """The batch's scalars, on the device; "loss" is minimised, all are averaged over the epoch."""
        raise NotImplementedError

    def evaluate_batch(self, x: Tensor, y: Tensor) -> Tensor:
        """Updates the metrics, returns the batch's loss."""
        raise NotImplementedError

    def metrics(self) -> dict[str, float]:
        """The metrics of all batches since the last call."""
        raise NotImplementedError

    def metrics_of_classes(self) -> dict[str, float]:
        """Those of each class that `metrics` leaves out: too many for every epoch, they are of the test alone."""
        return {}

    def watch(self, metric: str) -> None:
        """Choose the best checkpoint by it."""
        self.monitor = f"val/{metric}"
        self.mode = "min" if metric in self.minimised else "max"

    def guessing_loss(self) -> float:
        """Of a network that gives all classes the same probability; 0 where that is not known."""
        return 0.0

    def configure_optimizers(self) -> dict:
        total_steps = self.trainer.estimated_stepping_batches
        if total_steps in (0, float("inf")):
            raise ConfigError(
                f"trainer.max_epochs={self.trainer.max_epochs} gives {total_steps} steps: "
                "a schedule needs a finite number, at least 1"
            )
        self.total_steps = int(total_steps)
        optimizer = optimizer_for(self.model, self.optim)
        if self.clips_in_mixed_precision() and scales_inside_its_step(optimizer):
            optimizer = unfused(optimizer, self.model, self.optim)
            if self.trainer.is_global_zero:
                log.info(
                    "trainer.gradient_clip_val=%s with trainer.precision=%s: the optimiser is not fused, so that gradients can "
                    "be clipped before its step; the updates are the same",
                    self.trainer.gradient_clip_val,
                    self.trainer.precision,
                )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.schedule(optimizer, self.total_steps), "interval": "step"},
        }

    def clips_in_mixed_precision(self) -> bool:
        return bool(self.trainer.gradient_clip_val) and self.trainer.precision in ("16-mixed", "bf16-mixed")

    def on_train_epoch_start(self) -> None:
        # An epoch's draws depend on seed and epoch alone, so that a resumed run repeats them: those of this task by a
        # generator of its own, dropout's by the global one.
        self.generator = np.random.default_rng([self.seed, self.current_epoch, self.global_rank])
        torch.manual_seed(int(self.generator.integers(2**63)))
        random.seed(int(self.generator.integers(2**63)))  # ours draw from neither; a user's own part may
        np.random.seed(int(self.generator.integers(2**32)))
        self.train_values = {}
        last = self.trainer.max_epochs
        where = f"epoch {self.current_epoch + 1}" + (f"/{last}" if last > 0 else "")
        self.finite = FiniteLoss(where, self.trainer.num_training_batches)
        self.first_lr = self.trainer.optimizers[0].param_groups[0]["lr"]

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        values = self.train_batch(*batch)
        for key, value in values.items():
            self.train_values.setdefault(key, []).append(value.detach())
        self.finite.look(self.train_values["loss"])
        return values["loss"]

    def on_train_batch_end(self, outputs: object, batch: Batch, batch_idx: int) -> None:
        if self.trainer.is_last_batch:
            self.log_train_means()
        if self.trainer.should_stop:  # after all callbacks, of which trainer.max_time's comes last
            self.trainer.check_val_every_n_epoch = 1  # the last weights are validated, too

    def on_train_epoch_end(self) -> None:
        self.close_epoch()

    def close_epoch(self) -> None:
        """Where the epoch was cut short no batch was the last."""
        if self.train_values:
            self.log_train_means()

    def log_train_means(self) -> None:
        values = {key: torch.stack(values).float().cpu() for key, values in self.train_values.items()}  # (steps,)
        self.train_values = {}
        self.finite.check(values["loss"], before=0)
        means = {f"train/{key}": value.mean().item() for key, value in values.items()}
        # "lr" is the rate of the epoch's first step.
        self.log_dict({**means, "lr": self.first_lr}, on_step=False, on_epoch=True, batch_size=1, sync_dist=True)

    def on_validation_epoch_start(self) -> None:
        self.evaluation_losses = []

    def on_test_epoch_start(self) -> None:
        self.evaluation_losses = []

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.evaluation_step(*batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self.evaluation_step(*batch)

    def evaluation_step(self, x: Tensor, y: Tensor) -> None:
        self.evaluation_losses.append((self.evaluate_batch(x, y), len(x)))

    def on_validation_epoch_end(self) -> None:
        self.log_evaluation("val")

    def on_test_epoch_end(self) -> None:
        self.log_evaluation("test")

    def log_evaluation(self, split: str) -> None:
        # Not torchmetrics' MeanMetric: it sums in bfloat16 under bf16-true; without its NaN check it drops the weights.
        losses, images = zip(*self.evaluation_losses, strict=True)
        total, count = (torch.stack(losses).cpu() * torch.tensor(images)).sum().item(), sum(images)
        if self.trainer.world_size > 1:  # whose shares may differ by an image
            sums = torch.tensor([total, count], device=self.device)
            total, count = self.trainer.strategy.reduce(sums, reduce_op="sum").tolist()
        loss = total / count
        if not isfinite(loss):
            raise TrainingError(f"{split}/loss is {loss} after {self.current_epoch} epochs; try a smaller optim.lr")
        found = self.metrics()  # of all processes
        if split == "test":
            found |= self.metrics_of_classes()
        metrics = {f"{split}/{key}": value for key, value in found.items()}
        self.log_dict({f"{split}/loss": loss, **metrics}, batch_size=sum(images))
