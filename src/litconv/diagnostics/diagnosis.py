"""One pass over batches, watched; then what the weights alone say."""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from litconv.cost.replica import replica, untouched
from litconv.diagnostics import pictures
from litconv.diagnostics.activations import ActivationsWatched
from litconv.diagnostics.channel_sums import ChannelSums
from litconv.diagnostics.field import Field, field_of
from litconv.diagnostics.kernels import first_kernels, kernels, separability
from litconv.diagnostics.sampling import SHOWN, Offsets, OffsetsWatched
from litconv.errors import DataError

COLUMNS = (
    "layer",
    "kind",
    "channels",
    "dead",
    "nearly_dead",
    "correlation",
    "effective_rank",
    "separability",
    "offset",
)


@dataclass(frozen=True)
class Diagnosis:
    images: int
    seconds: float
    activations: dict[str, ChannelSums]
    kernels: dict[str, Tensor]  # the separability of each kernel of a layer
    offsets: dict[str, Offsets]
    field: Field | None
    first_kernels: Tensor | None = field(repr=False)
    shown: Tensor = field(repr=False)  # the first images, (SHOWN, C, H, W)

    @cached_property
    def of_layers(self) -> dict[str, tuple[float, float]]:
        """Layer → correlation and effective rank of its channels."""
        return {name: (sums.correlation(), sums.effective_rank()) for name, sums in self.activations.items()}

    def summary(self) -> dict[str, Any]:
        """The keys of summary.json; what the network has nothing of is absent."""
        sums = list(self.activations.values())
        channels = sum(s.channels for s in sums)
        found: dict[str, Any] = {"images": self.images, "seconds": self.seconds}
        if sums:
            correlations = [value for value, _ in self.of_layers.values() if not math.isnan(value)]
            found["dead_channels"] = sum(s.dead for s in sums) / channels
            found["nearly_dead_channels"] = sum(s.nearly_dead for s in sums) / channels
            found["correlation"] = mean(correlations)
            found["effective_rank"] = mean(
                [rank / self.activations[name].channels for name, (_, rank) in self.of_layers.items()]
            )
        if self.kernels:
            found["separability"] = float(torch.cat(list(self.kernels.values())).mean())
        if self.offsets:
            found["offset"] = mean([offsets.mean_length for offsets in self.offsets.values()])
        if self.field is not None:
            found["effective_field"] = self.field.effective
            found["receptive_field"] = self.field.theoretical
        return {f"diagnostics/{key}": value for key, value in found.items()}

    def rows(self) -> list[list[Any]]:
        """Of diagnostics.csv, under COLUMNS; what does not hold of a layer is empty."""
        rows = []
        for name, s in self.activations.items():
            dead = (s.dead / s.channels, s.nearly_dead / s.channels)
            rows.append([name, "activation", s.channels, *dead, *self.of_layers[name], "", ""])
        for name, shares in self.kernels.items():
            rows.append([name, "kernels", len(shares), "", "", "", "", float(shares.mean()), ""])
        for name, offsets in self.offsets.items():
            rows.append([name, "offsets", offsets.layer.samples, "", "", "", "", "", offsets.mean_length])
        return rows

    def pictures(self) -> dict[str, tuple[np.ndarray, str]]:
        """Name → (uint8 (H, W, 3), caption)"""
        drawn = {}
        if self.field is not None:
            drawn["receptive_field"] = pictures.receptive_field(self.field)
        if self.first_kernels is not None:
            drawn["first_kernels"] = pictures.first_kernels(self.first_kernels)
        if self.offsets:
            drawn["sampling_points"] = pictures.sampling_points(list(self.offsets.values()), self.shown)
        return drawn


def diagnose(model: nn.Module, batches: Iterable[Tensor | tuple[Tensor, ...]]) -> Diagnosis:
    """A float32 copy in eval mode is watched, on the model's device; the model stays as it is. A batch is images (N, C, H, W),
    or begins with them."""
    started = time.perf_counter()
    device = next(model.parameters()).device
    images, shown = 0, []
    with untouched(device):
        copied = replica(model, device, deployed=False)
        offsets = OffsetsWatched(copied)
        with ActivationsWatched(copied) as activations:
            for batch in batches:
                x = (batch if isinstance(batch, Tensor) else batch[0]).to(device, torch.float32)
                if images < SHOWN:
                    shown.append(x[: SHOWN - images].cpu())
                images += len(x)
                activations.start()
                copied(x)
        if not images:
            raise DataError("there is no image to diagnose the network by: the batches are empty")
        weights = {name: shares for name, weight in kernels(copied) if len(shares := separability(weight))}
        seen = field_of(model, x.shape[1], tuple(x.shape[2:]), device)
        first = first_kernels(copied)
    seconds = time.perf_counter() - started
    return Diagnosis(images, seconds, activations.sums, weights, offsets.layers, seen, first, torch.cat(shown))


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan
