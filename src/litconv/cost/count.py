"""Params, MACs and activations of one image, by fvcore, without a trace left in the model.

One MAC is one multiply-accumulate: fvcore calls it a flop, we say FLOPs = 2 × MACs. Only products of a weight (or of
two activations) count; norms, activations, pooling, interpolation and bilinear sampling never do. An operation that is
in neither list is reported by name, never silently zero.
https://github.com/facebookresearch/fvcore/blob/main/docs/flop_count.md
"""

import copy
import logging
import math
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from fvcore.nn import ActivationCountAnalysis, FlopCountAnalysis
from fvcore.nn.jit_handles import get_shape
from torch import nn

from litconv.conv.slot import DECLARED_COSTS

# No products of weights, so no MACs: fvcore counts some of these, and lists the rest as unsupported.
ELEMENTWISE = """
    abs adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool2d add add_ avg_pool2d batch_norm cat channel_shuffle
    chunk clamp clone constant_pad_nd contiguous div dropout dropout_ exp expand feature_dropout flatten gelu gelu_
    group_norm hardsigmoid hardsigmoid_ hardswish hardswish_ hardtanh hardtanh_ layer_norm leaky_relu leaky_relu_
    log_softmax max_pool2d mean mul mul_ neg native_batch_norm native_layer_norm pad permute pixel_shuffle
    pixel_unshuffle pow prelu relu relu6 relu6_ relu_ repeat reshape rsqrt rsub select sigmoid sigmoid_ silu silu_ slice
    softmax split split_with_sizes sqrt squeeze stack sub sub_ sum t tanh to transpose unbind unflatten unsqueeze
    upsample_bicubic2d upsample_bilinear2d upsample_nearest2d view zeros_like
""".split()  # noqa: SIM905  a list would take a line for each


@dataclass(frozen=True)
class Count:
    """The cost of one image, in eval mode."""

    params: int
    trainable_params: int
    macs: int
    activations: int  # values that convolutions, linear layers and matrix products put out (fvcore's definition)
    uncounted_ops: dict[str, int]  # operation → how often

    @property
    def flops(self) -> int:
        return 2 * self.macs

    def summary(self) -> dict[str, Any]:
        """The flat keys of summary.json."""
        return {
            "cost/params": self.params,
            "cost/macs": self.macs,
            "cost/flops": self.flops,
            "cost/activations": self.activations,
            "cost/uncounted_ops": [f"{name} ×{times}" for name, times in sorted(self.uncounted_ops.items())],
        }


def count(model: nn.Module, in_channels: int, image_size: tuple[int, int]) -> Count:
    """Count a deep copy on the CPU: weights, statistics, mode, hooks, gradients and every RNG stay as they were."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        replica = copy.deepcopy(model).cpu().float().eval()
        x = torch.zeros(1, in_channels, *image_size)
        macs = FlopCountAnalysis(replica, x).set_op_handle(**handles())
        activations = ActivationCountAnalysis(replica, x).set_op_handle(**activation_handles())
        for analysis in (macs, activations):
            analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
        level = logging.getLogger("fvcore").level
        total, uncounted = int(macs.total()), Counter(macs.unsupported_ops())
        logging.getLogger("fvcore").setLevel(level)
        parameters = list(model.parameters())
        return Count(
            params=sum(p.numel() for p in parameters),
            trainable_params=sum(p.numel() for p in parameters if p.requires_grad),
            macs=total,
            activations=int(activations.total()),
            uncounted_ops=dict(uncounted),
        )


def handles() -> dict[str, Any]:
    """Operation → MACs from the traced inputs and outputs."""
    nothing = {f"aten::{name}": lambda inputs, outputs: 0 for name in ELEMENTWISE}
    return {**nothing, **{name: declared(name) for name in DECLARED_COSTS}}


def declared(name: str):
    def handle(inputs: list[Any], outputs: list[Any]) -> Counter:
        shapes = [shape_or_none(i) for i in inputs]
        return Counter({name: DECLARED_COSTS[name].macs(shapes, get_shape(outputs[0]))})

    return handle


def shape_or_none(value: Any) -> list[int] | None:
    return get_shape(value) if value.isCompleteTensor() else None


def activation_handles() -> dict[str, Any]:
    return {name: lambda inputs, outputs: math.prod(get_shape(outputs[0])) for name in DECLARED_COSTS}
