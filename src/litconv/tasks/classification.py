"""Image classification: cross-entropy with label smoothing, class weights, focal loss, mixup and CutMix.

mixup  x' = λx + (1 − λ)x[π], λ ~ Beta(α, α) (https://arxiv.org/abs/1710.09412);
CutMix x' = x with one box, (1 − λ) of its area, from x[π] (https://arxiv.org/abs/1905.04899);
both   loss = λ·CE(f(x'), y) + (1 − λ)·CE(f(x'), y[π]): cross-entropy with the mixed target, since CE is linear in it.

Top-1 and top-5 accuracy; from one confusion matrix macro F1, balanced accuracy and the figures of each class (`scores`);
ECE    Σ_b |accuracy(b) − confidence(b)| · n_b / n over 15 bins of the highest probability (https://arxiv.org/abs/1706.04599)
"""

from collections.abc import Sequence
from math import sqrt
from typing import Literal

import torch
import torch.nn.functional as F
from numpy.random import Generator
from torch import Tensor, nn
from torchmetrics.classification import BinaryCalibrationError, MulticlassAccuracy, MulticlassConfusionMatrix

from litconv.errors import ConfigError
from litconv.optim import OptimizerFactory, Schedule
from litconv.tasks import class_weights as weighing
from litconv.tasks import scores
from litconv.tasks.base import Task
from litconv.tasks.losses import guessing, weighted_mean


class Classification(Task):
    name = "classification"
    monitor = "val/accuracy"
    logged = ("accuracy", "top5", "macro_f1", "balanced_accuracy", "ece", "loss")
    minimised = frozenset({"loss", "ece"})

    def __init__(
        self,
        model: nn.Module,
        num_classes: int,
        optim: OptimizerFactory,
        schedule: Schedule,
        *,
        seed: int,
        class_names: Sequence[str],
        monitor: str = "accuracy",
        label_smoothing: float = 0.0,
        mixup: float = 0.0,
        cutmix: float = 0.0,
        focal: float = 0.0,
        class_weights: list
        | Literal["balanced"]
        | None = None,  # balanced: what takes the data set's place passes a list
    ) -> None:
        super().__init__(model, optim, schedule, seed=seed)
        if not 0 <= label_smoothing < 1:
            raise ConfigError(f"task.label_smoothing={label_smoothing} must be at least 0 and less than 1")
        for key, alpha in (("mixup", mixup), ("cutmix", cutmix)):
            if alpha < 0:
                raise ConfigError(f"task.{key}={alpha} must be 0 (off) or the α > 0 of Beta(α, α)")
        if not 0 <= focal < float("inf"):
            raise ConfigError(f"task.focal={focal} must be 0 (off) or the γ > 0 of focal loss, such as 2.0")
        if focal and label_smoothing:
            raise ConfigError(
                f"task.focal={focal} and task.label_smoothing={label_smoothing}: focal loss is defined for whole labels; "
                "set one of them to 0"
            )
        self.watch(monitor)
        self.num_classes = num_classes
        self.class_names = list(class_names)
        self.focal = focal
        self.register_buffer("weights", weighing.fitting(class_weights, class_names), persistent=False)
        self.label_smoothing = label_smoothing
        self.mixup = mixup
        self.cutmix = cutmix
        ks = [5] if num_classes >= 10 else []
        self.top = nn.ModuleDict(
            {f"top{k}": MulticlassAccuracy(num_classes, top_k=k, average="micro", validate_args=False) for k in ks}
        )
        self.confusion = MulticlassConfusionMatrix(num_classes, validate_args=False)
        # Of the highest probability and whether it is right, which is what MulticlassCalibrationError bins.
        self.calibration = BinaryCalibrationError(n_bins=15, norm="l1", validate_args=False)
        self.evaluated: list[tuple[Tensor, Tensor, Tensor]] = []  # (highest probability, predicted, true), a batch each

    def loss(self, logits: Tensor, y: Tensor) -> Tensor:
        if self.weights is None and not self.focal:
            return F.cross_entropy(logits, y, label_smoothing=self.label_smoothing)
        options = {"focal": self.focal, "label_smoothing": self.label_smoothing, "everywhere": self.training}
        return weighted_mean(logits, y, self.weights, **options)

    def guessing_loss(self) -> float:
        return guessing(self.num_classes, self.focal)

    def train_batch(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        x, other, share = self.mix(x, y, self.generator)
        logits = self(x)
        loss = self.loss(logits, y)
        if share < 1:
            loss = share * loss + (1 - share) * self.loss(logits, other)
        accuracy = (logits.argmax(1) == (y if share >= 0.5 else other)).float().mean()
        return {**self.guided(x, logits, loss), "accuracy": accuracy}

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
        self.evaluated.append((logits.softmax(1).amax(1), logits.argmax(1), y))
        return self.loss(logits, y)

    def metrics(self) -> dict[str, float]:
        # An update of torchmetrics' takes as long as a small batch, and on a GPU some await the device: one for all.
        confidence, predicted, y = (torch.cat(parts) for parts in zip(*self.evaluated, strict=True))
        self.evaluated = []
        self.confusion.update(predicted, y)
        self.calibration.update(confidence, (predicted == y).long())
        self.confusion_matrix = self.confusion.compute().cpu()
        others = {**self.top, "ece": self.calibration}
        values = scores.averages(self.confusion_matrix) | {key: one.compute().item() for key, one in others.items()}
        for metric in (self.confusion, *others.values()):
            metric.reset()
        return values

    def metrics_of_classes(self) -> dict[str, float]:
        return scores.named(self.confusion_matrix, self.class_names)


def random_box(height: int, width: int, share: float, generator: Generator) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) of a box of 1 − share of the image, uniformly placed, cut off at the border."""
    box_height, box_width = round(height * sqrt(1 - share)), round(width * sqrt(1 - share))
    top = int(generator.integers(height)) - box_height // 2
    left = int(generator.integers(width)) - box_width // 2
    return max(top, 0), min(top + box_height, height), max(left, 0), min(left + box_width, width)
