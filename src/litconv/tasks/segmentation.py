"""Semantic segmentation: pixel cross-entropy and soft Dice; mIoU, pixel accuracy and IoU per class.

Dice  1 − mean over the classes present of 2 Σ p·t / (Σ p + Σ t) (https://arxiv.org/abs/1606.04797);
IoU   TP / (TP + FP + FN) of the confusion matrix pooled over the whole set, not a mean over batches
      (https://arxiv.org/abs/1411.4038).
Pixels of the ignore index count in none of them. Class weights weigh the cross-entropy alone.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torchmetrics.classification import MulticlassConfusionMatrix

from litconv.distributed import summed
from litconv.errors import ConfigError, DataError
from litconv.optim import OptimizerFactory, Schedule
from litconv.tasks import class_weights as weighing
from litconv.tasks.base import Task
from litconv.tasks.losses import guessing, weighted_mean


class Segmentation(Task):
    name = "segmentation"
    monitor = "val/miou"
    logged = ("miou", "pixel_accuracy", "iou/<class>", "loss")

    def __init__(
        self,
        model: nn.Module,
        num_classes: int,
        optim: OptimizerFactory,
        schedule: Schedule,
        *,
        seed: int,
        ignore_index: int,
        class_names: Sequence[str],
        monitor: str = "miou",
        cross_entropy: float = 1.0,
        dice: float = 0.0,
        class_weights: list
        | Literal["balanced"]
        | None = None,  # balanced: what takes the data set's place passes a list
    ) -> None:
        super().__init__(model, optim, schedule, seed=seed)
        if cross_entropy < 0 or dice < 0 or cross_entropy + dice == 0:
            raise ConfigError(
                f"task.cross_entropy={cross_entropy} and task.dice={dice} weigh the losses: none below 0, not both 0"
            )
        if class_weights is not None and not cross_entropy:
            raise ConfigError(
                "task.class_weights has no effect where task.cross_entropy=0: they weigh the cross-entropy, not Dice"
            )
        assert len(class_names) == num_classes
        self.watch(monitor)
        self.register_buffer("weights", weighing.fitting(class_weights, class_names), persistent=False)
        self.ignore_index = ignore_index
        self.class_names = list(class_names)
        self.cross_entropy = cross_entropy
        self.dice = dice
        self.confusion = MulticlassConfusionMatrix(num_classes, ignore_index=ignore_index, validate_args=False)

    def loss(self, logits: Tensor, y: Tensor) -> Tensor:
        loss = logits.new_zeros(())
        if self.cross_entropy:
            mean = weighted_mean(logits, y, self.weights, ignore_index=self.ignore_index, everywhere=self.training)
            loss = loss + self.cross_entropy * mean
        if self.dice:
            loss = loss + self.dice * dice_loss(logits, y, self.ignore_index, everywhere=self.training)
        return loss

    def guessing_loss(self) -> float:
        return self.cross_entropy * guessing(len(self.class_names)) + self.dice

    def train_batch(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        logits = self(x)
        return self.guided(x, logits, self.loss(logits, y), y != self.ignore_index)

    def evaluate_batch(self, x: Tensor, y: Tensor) -> Tensor:
        logits = self(x)
        self.confusion.update(logits.argmax(1), y)
        return self.loss(logits, y)

    def metrics(self) -> dict[str, float]:
        confusion = self.confusion.compute().cpu().double()  # (true class, predicted class)
        self.confusion.reset()
        self.confusion_matrix = confusion.long()
        if not confusion.any() and not self.trainer.sanity_checking:
            raise DataError(f"the masks evaluated have no pixel other than the ignored id {self.ignore_index}")
        hits = confusion.diag()
        union = confusion.sum(0) + confusion.sum(1) - hits
        present = union > 0
        if self.trainer.sanity_checking:  # one batch, for the names of what is logged
            present = torch.ones_like(present)
        iou = hits / union.clamp(min=1)
        per_class = {f"iou/{name}": iou[i].item() for i, name in enumerate(self.class_names) if present[i]}
        return {
            "miou": iou[present].mean().item(),
            "pixel_accuracy": (hits.sum() / confusion.sum().clamp(min=1)).item(),
            **per_class,
        }


def dice_loss(logits: Tensor, y: Tensor, ignore_index: int, everywhere: bool = False) -> Tensor:
    """Of this batch, or `everywhere`: of the batches that all processes train on in this step."""
    probabilities = logits.softmax(1)  # (N, classes, H, W)
    labelled = (y != ignore_index).unsqueeze(1).to(probabilities.dtype)  # (N, 1, H, W)
    target = torch.zeros_like(probabilities).scatter_(1, y.masked_fill(y == ignore_index, 0).unsqueeze(1), labelled)
    sums = torch.stack([part.sum((0, 2, 3)) for part in (probabilities * target, probabilities * labelled, target)])
    overlap, predicted, truth = summed(sums) if everywhere else sums  # (classes,) each
    dice = 2 * overlap / (predicted + truth).clamp(min=1e-6)
    present = (truth > 0).to(dice.dtype)
    return ((1 - dice) * present).sum() / present.sum().clamp(min=1)
