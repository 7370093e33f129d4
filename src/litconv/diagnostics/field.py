"""The receptive field of a network's features: the pixels that they can depend on, and those that they do listen to."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from litconv.cost.effective_field import effective_size, sensitivity
from litconv.cost.observed import Observed
from litconv.cost.receptive_field import Axis, FieldsFollowed, size
from litconv.cost.replica import replica
from litconv.cost.witness import tensors


@dataclass(frozen=True)
class Field:
    heat: Tensor  # (H, W), on the CPU
    effective: float  # pixels
    theoretical: int | str | None  # pixels, "global", or None where it is not known
    frame: list[tuple[float, float]] | None  # the first and last row, and column, that the central value can depend on


def field_of(model: nn.Module, in_channels: int, image_size: tuple[int, int], device: torch.device) -> Field | None:
    """Of the last map of the model's `backbone`, or of the model itself; None where that puts out no map."""
    features = replica(getattr(model, "backbone", model), device)
    image = torch.zeros(1, in_channels, *image_size, device=device)
    seen = FieldsFollowed(image)
    with Observed(seen):
        feature = tensors(features(image))[-1]
    if feature.ndim != 4:
        return None
    heat = sensitivity(features, in_channels, image_size, device).cpu()
    possible = seen[feature]
    frame = None if isinstance(possible, str) else list(map(reached, possible, feature.shape[2:]))
    return Field(heat, effective_size(heat), size(possible), frame)


def reached(axis: Axis, values: int) -> tuple[float, float]:
    """By the central one of so many values."""
    at = values // 2 * axis.jump
    return float(at - axis.before), float(at + axis.after)
