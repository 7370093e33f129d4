"""Params, MACs, activations and element-wise operations of one image, by fvcore, with a second and a third opinion.

One MAC is one multiply-accumulate: fvcore calls it a flop, we say FLOPs = 2 × MACs. Only products of a weight (or of
two activations) count; norms, activations, pooling, interpolation and bilinear sampling never do: they are element-wise
operations, counted apart. An operation without a rule is refused by name, never silently zero.
https://github.com/facebookresearch/fvcore/blob/main/docs/flop_count.md
"""

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from litconv.cost.effective_field import effective_receptive_field
from litconv.cost.elementwise import ELEMENTWISE
from litconv.cost.hazards import Hazard
from litconv.cost.layers import Layer, layers
from litconv.cost.live import Peak
from litconv.cost.opinions import inside, second_opinion
from litconv.cost.products import ACTIVATIONS, MACS
from litconv.cost.replica import ordinary_algorithms, replica, untouched
from litconv.cost.tracing import Analysis
from litconv.cost.witness import Witness, watch
from litconv.errors import ConfigError

log = logging.getLogger(__name__)


class UnfitImageError(ConfigError):
    """The model does not take such an image."""


@dataclass(frozen=True)
class Count:
    """The cost of one image, in eval mode."""

    params: int  # in the deployed form
    trainable_params: int  # as it is trained
    macs: int
    activations: int  # values that convolutions, linear layers and matrix products put out (fvcore's definition)
    elementwise_ops: int  # as `elementwise` defines them
    peak: (
        Peak | None
    )  # of the bytes of activations that live at once, as `live` defines them; None: it cannot be derived
    uncounted_ops: dict[str, int]  # operation → how often
    agrees: bool
    second_opinion: str
    receptive_field: int | str | None  # in pixels, of the backbone's last feature; or "global"; None: unknown
    effective_receptive_field: float | None
    output: tuple[int, ...] | None  # its shape, for one image; None: the model puts out something else than one tensor
    layers: list[Layer] = field(repr=False)
    hazards: list[Hazard] = field(default_factory=list, repr=False)  # what is known to be slow on runtimes

    @property
    def flops(self) -> int:
        return 2 * self.macs

    def summary(self) -> dict[str, Any]:
        """The flat keys of summary.json; what is not known is absent."""
        values = {
            "cost/params": self.params,
            "cost/trainable_params": self.trainable_params,
            "cost/macs": self.macs,
            "cost/flops": self.flops,
            "cost/activations": self.activations,
            "cost/elementwise_ops": self.elementwise_ops,
            "cost/peak_activation_bytes": self.peak and self.peak.float32,
            "cost/peak_activation_bytes_int8": self.peak and self.peak.int8,
            "cost/uncounted_ops": [f"{name} ×{times}" for name, times in sorted(self.uncounted_ops.items())],
            "cost/second_opinion": self.second_opinion,
            "cost/receptive_field": self.receptive_field,
            "cost/effective_receptive_field": self.effective_receptive_field,
        }
        return {key: value for key, value in values.items() if value is not None}


def count(
    model: nn.Module,
    in_channels: int,
    image_size: tuple[int, int],
    *,
    allow_uncounted: bool = False,
    effective_field: bool = False,
) -> Count:
    """Count a copy: weights, statistics, mode, hooks, gradients and every RNG of the model stay as they were."""
    with untouched(), ordinary_algorithms():
        copied, x, witness = run(model, (1, in_channels, *image_size))
        analysis = Analysis(copied, x)
        counts = analysis.counts
        agrees, opinion = second_opinion(copied, counts, witness)
        table = layers(copied, counts, witness)
        effective = effective_receptive_field(model, in_channels, image_size) if effective_field else None
    uncounted = analysis.uncounted[""]
    if uncounted:
        report_uncounted(uncounted, places(analysis.uncounted), allow_uncounted)
    if not agrees:
        log.warning("cost: the counts of this model differ, trust none of them: %s", opinion)
    return Count(
        params=sum(p.numel() for p in copied.parameters()),
        trainable_params=sum(p.numel() for p in model.parameters() if p.requires_grad),
        macs=int(counts[""][MACS]),
        activations=int(counts[""][ACTIVATIONS]),
        elementwise_ops=int(counts[""][ELEMENTWISE]),
        peak=witness.peak,
        uncounted_ops=dict(uncounted),
        agrees=agrees,
        second_opinion=opinion,
        receptive_field=witness.receptive_field,
        effective_receptive_field=effective,
        output=witness.output,
        layers=table,
        hazards=witness.hazards,
    )


def run(model: nn.Module, shape: tuple[int, ...]) -> tuple[nn.Module, Tensor, Witness]:
    """A copy that runs, its input, what was seen: on the meta device, or on the CPU where the forward reads values."""
    on_meta = any(parameter.is_meta for parameter in model.parameters())
    for device in ("meta",) if on_meta else ("meta", "cpu"):
        try:
            copied, x = replica(model, device), torch.zeros(shape, device=device, dtype=torch.float32)
            return copied, x, watch(copied, x)
        except Exception as error:  # a model's forward can raise anything
            failure = error
    _, *size = shape
    reason = " ".join(f"{type(failure).__name__}: {failure}".split())[:300]
    raise UnfitImageError(
        f"the model's forward fails on one image of {'×'.join(map(str, size))}: {reason}"
    ) from failure


def places(uncounted: dict[str, Counter]) -> list[str]:
    """The innermost modules that have any."""
    names = [name for name, operations in uncounted.items() if operations]
    return [name for name in names if not any(other != name and inside(other, name) for other in names)]


def report_uncounted(uncounted: Counter, where: list[str], allowed: bool) -> None:
    names = ", ".join(f"{name} ×{times}" for name, times in sorted(uncounted.items()))
    message = f"no MAC rule for {names} (in {', '.join(place or 'the model itself' for place in where[:8])})"
    if not allowed:
        raise ConfigError(
            f"{message}: the cost would be wrong; declare it in DECLARED_COSTS (litconv.conv.slot), "
            "or accept a cost without it by cost.allow_uncounted=true"
        )
    log.warning("cost: %s: the cost is without it", message)
