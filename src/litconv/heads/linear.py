"""The classifier: global average pooling of the coarsest feature, then a linear layer (https://arxiv.org/abs/1312.4400)."""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn


class Linear(nn.Module):
    tasks: ClassVar[frozenset[str]] = frozenset({"classification"})

    def __init__(self, channels: Sequence[int], strides: Sequence[int], num_classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        if not (isinstance(dropout, int | float) and 0 <= dropout < 1):
            raise ValueError(f"dropout={dropout} must be at least 0 and less than 1")
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels[-1], num_classes)
        self.classifier.gain = 1.0  # no ReLU follows

    def forward(self, features: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        pooled = features[-1].mean(dim=(2, 3))  # (N, C)
        return self.classifier(self.dropout(pooled))  # (N, classes)
