"""Image classification: cross-entropy with label smoothing, mixup and CutMix; top-1 and top-5 accuracy.

mixup  x' = λx + (1 − λ)x[π], λ ~ Beta(α, α) (https://arxiv.org/abs/1710.09412);
CutMix x' = x with one box, (1 − λ) of its area, from x[π] (https://arxiv.org/abs/1905.04899);
both   loss = λ·CE(f(x'), y) + (1 − λ)·CE(f(x'), y[π]): cross-entropy with the mixed target, since CE is linear in it.
"""

from math import log, sqrt

import torch
import torch.nn.functional as F
from numpy.random import Generator
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy

from litconv.errors import ConfigError
from litconv.optim import OptimizerFactory, Schedule
from litconv.tasks.base import Task


class Classification(Task):
    name = "classification"
    monitor = "val/accuracy"

    def __init__(
        self,
        model: nn.Module,
        num_classes: int,
        optim: OptimizerFactory,
        schedule: Schedule,
        *,
        seed: int,
        label_smoothing: float = 0.0,
        mixup: float = 0.0,
        cutmix: float = 0.0,
    ) -> None:
        super().__init__(model, optim, schedule, seed=seed)
        if not 0 <= label_smoothing < 1:
            raise ConfigError(f"task.label_smoothing={label_smoothing} must be at least 0 and less than 1")
        for key, alpha in (("mixup", mixup), ("cutmix", cutmix)):
            if alpha < 0:
                raise ConfigError(f"task.{key}={alpha} must be 0 (off) or the α > 0 of Beta(α, α)")
        self.num_classes = num_classes
        self.label_smoothing = label_smoothing
        self.mixup = mixup
        self.cutmix = cutmix
        ks = [1, 5] if num_classes >= 10 else [1]
        self.top = nn.ModuleDict(
            {f"top{k}": MulticlassAccuracy(num_classes, top_k=k, average="micro", validate_args=False) for k in ks}
        )

    def loss(self, logits: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(logits, y, label_smoothing=self.label_smoothing)

    def guessing_loss(self) -> float:
        return log(self.num_classes)

    def train_batch(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        x, other, share = self.mix(x, y, self.generator)
        logits = self(x)
        loss = self.loss(logits, y)
        if share < 1:
            loss = share * loss + (1 - share) * self.loss(logits, other)
        accuracy = (logits.argmax(1) == (y if share >= 0.5 else other)).float().mean()
        return {"loss": loss, "accuracy": accuracy}

    def mix(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor, float]:
        """The mixed images, the partners' labels and the first labels' share λ (1: nothing was mixed)."""
        if not self.mixup and not self.cutmix:
            return x, y, 1.0
        use_mixup = generator.random() < 0.5 if self.mixup and self.cutmix else bool(self.mixup)
        alpha = self.mixup if use_mixup else self.cutmix
        share = float(generator.beta(alpha, alpha))
        partner = torch.from_numpy(generator.permutation(len(x))).to(x.device, non_blocking=True)
        if use_mixup:
            return share * x + (1 - share) * x[partner], y[partner], share
        top, bottom, left, right = random_box(x.shape[-2], x.shape[-1], share, generator)
        box = torch.zeros(x.shape[-2:], dtype=torch.bool)
        box[top:bottom, left:right] = True
        share = 1 - (bottom - top) * (right - left) / box.numel()
        return torch.where(box.to(x.device, non_blocking=True), x[partner], x), y[partner], share

    def evaluate_batch(self, x: Tensor, y: Tensor) -> Tensor:
        logits = self(x)
        for metric in self.top.values():
            metric.update(logits, y)
        return self.loss(logits, y)

    def metrics(self) -> dict[str, float]:
        values = {"accuracy" if key == "top1" else key: metric.compute().item() for key, metric in self.top.items()}
        for metric in self.top.values():
            metric.reset()
        return values


def random_box(height: int, width: int, share: float, generator: Generator) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) of a box of 1 − share of the image, uniformly placed, cut off at the border."""
    box_height, box_width = round(height * sqrt(1 - share)), round(width * sqrt(1 - share))
    top = int(generator.integers(height)) - box_height // 2
    left = int(generator.integers(width)) - box_width // 2
    return max(top, 0), min(top + box_height, height), max(left, 0), min(left + box_width, width)
