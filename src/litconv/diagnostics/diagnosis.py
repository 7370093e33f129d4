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
from litconv.diagnostics.channel_sums import ChannelSums
from litconv.diagnostics.field import Field, field_of
from litconv.diagnostics.kernels import first_kernels, kernels, separability
from litconv.diagnostics.layers import Groups, LayersWatched
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
    "groups",
    "correlation_within",
    "correlation_between",
)


@dataclass(frozen=True)
class Diagnosis:
    images: int
    seconds: float
    activations: dict[str, ChannelSums]
    grouped: dict[str, Groups]
    kernels: dict[str, Tensor]  # the separability of each kernel of a layer
    offsets: dict[str, Offsets]
    field: Field | None
    first_kernels: Tensor | None = field(repr=False)
    shown: Tensor = field(repr=False)  # the first images, (SHOWN, C, H, W)

    @cached_property
    def of_layers(self) -> dict[str, tuple[float, float]]:
        """Layer → correlation and effective rank of its channels."""
        covariances = {name: sums.covariance for name, sums in self.activations.items()}
        return {name: (found.correlation(), found.effective_rank()) for name, found in covariances.items()}

    @cached_property
    def of_groups(self) -> dict[str, tuple[float, float]]:
        """Grouped layer → correlation within its groups and between them."""
        return {name: own.covariance.correlation_in_groups(own.groups) for name, own in self.grouped.items()}

    def summary(self) -> dict[str, Any]:
        """The keys of summary.json; what the network has nothing of is absent."""
        sums = list(self.activations.values())
        channels = sum(s.channels for s in sums)
        found: dict[str, Any] = {"images": self.images, "seconds": self.seconds}
        if sums:
            found["dead_channels"] = sum(s.dead for s in sums) / channels
            found["nearly_dead_channels"] = sum(s.nearly_dead for s in sums) / channels
            found["correlation"] = mean_of_known([value for value, _ in self.of_layers.values()])
            found["effective_rank"] = mean(
                [rank / self.activations[name].channels for name, (_, rank) in self.of_layers.items()]
            )
        if self.grouped:
            found["correlation_within"] = mean_of_known([within for within, _ in self.of_groups.values()])
            found["correlation_between"] = mean_of_known([between for _, between in self.of_groups.values()])
        if self.kernels:
            found["separability"] = float(torch.cat(list(self.kernels.values())).mean())
        if self.offsets:
            found["offset"] = mean([offsets.mean_length for offsets in self.offsets.values()])
        if self.field is not None:
            found["effective_field"] = self.field.effective
            found["receptive_field"] = self.field.theoretical
        return {f"diagnostics/{key}": value for key, value in found.items()}

    def rows(self) -> list[list[Any]]:
        """Of diagnostics.csv, under COLUMNS; what does not hold of a layer is None."""
        rows: list[dict[str, Any]] = []
        for name, s in self.activations.items():
            correlation, rank = self.of_layers[name]
            of_channels = {"dead": s.dead / s.channels, "nearly_dead": s.nearly_dead / s.channels}
            of_channels |= {"correlation": correlation, "effective_rank": rank}
            rows.append({"layer": name, "kind": "activation", "channels": s.channels, **of_channels})
        for name, g in self.grouped.items():
            within, between = self.of_groups[name]
            of_pairs = {"correlation_within": within, "correlation_between": between}
            rows.append({"layer": name, "kind": "groups", "channels": g.channels, "groups": g.groups, **of_pairs})
        for name, shares in self.kernels.items():
            separable = float(shares.mean())
            rows.append({"layer": name, "kind": "kernels", "channels": len(shares), "separability": separable})
        for name, offsets in self.offsets.items():
            points = offsets.layer.samples
            rows.append({"layer": name, "kind": "offsets", "channels": points, "offset": offsets.mean_length})
        return [[row.get(column) for column in COLUMNS] for row in rows]

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
        with LayersWatched(copied) as layers:
            for batch in batches:
                x = (batch if isinstance(batch, Tensor) else batch[0]).to(device, torch.float32)
                if images < SHOWN:
                    shown.append(x[: SHOWN - images].cpu())
                images += len(x)
                layers.start()
                copied(x)
        if not images:
            raise DataError("there is no image to diagnose the network by: the batches are empty")
        weights = {name: shares for name, weight in kernels(copied) if len(shares := separability(weight))}
        seen = field_of(model, x.shape[1], tuple(x.shape[2:]), device)
        first = first_kernels(copied)
    seconds = time.perf_counter() - started
    return Diagnosis(
        images, seconds, layers.activations, layers.grouped, weights, offsets.layers, seen, first, torch.cat(shown)
    )


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def mean_of_known(values: list[float]) -> float:
    return mean([value for value in values if not math.isnan(value)])
