"""What is learnt: loss, metrics and optimiser. Nothing about operators."""

from litconv.tasks.classification import Classification
from litconv.tasks.segmentation import Segmentation

__all__ = ["Classification", "Segmentation"]
