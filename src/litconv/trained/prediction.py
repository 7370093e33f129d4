"""What a network says of one image."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

UNSAID = 255  # in a mask: a pixel that data.fit=crop cut off before the network saw it


@dataclass(frozen=True)
class LabelPrediction:
    file: str
    label: str
    probability: float
    class_names: Sequence[str] = field(repr=False)
    probabilities: np.ndarray = field(repr=False)  # float32 (classes,), their sum 1

    def top(self, count: int = 5) -> list[tuple[str, float]]:
        """The most probable classes, with their probabilities."""
        order = np.argsort(-self.probabilities, kind="stable")[:count]
        return [(self.class_names[i], float(self.probabilities[i])) for i in order]


@dataclass(frozen=True)
class MaskPrediction:
    file: str
    class_names: Sequence[str] = field(repr=False)
    mask: np.ndarray = field(repr=False)  # uint8 (H, W), as large as the image: numbers of classes, or UNSAID

    def shares(self) -> dict[str, float]:
        """Of each class that is there, the share of the image's pixels."""
        numbers, pixels = np.unique(self.mask, return_counts=True)
        pairs = zip(numbers.tolist(), pixels.tolist(), strict=True)
        return {self.class_names[number]: count / self.mask.size for number, count in pairs if number != UNSAID}


Prediction = LabelPrediction | MaskPrediction
