"""Operations that are no MACs: the explicit list of them, and how many element-wise operations each is.

| operation | element-wise operations |
| --- | --- |
| moving values: views, concatenation, padding, splits, dropout in eval mode | 0 |
| arithmetic of two tensors, activation functions (a GELU is one) | 1 per output value |
| softmax: exponential, sum, division | 3 per value |
| BatchNorm in eval mode | 2 per value (1 without weights), a norm with its own statistics 5 (4) |
| max and average pooling | the window's size per output value |
| adaptive pooling, means, sums | 1 per input value |
| interpolation: nearest, bilinear, bicubic; grid sampling | 1, 4, 16; 4 per output value |
| sampling of deformable convolution | N·Ho·Wo·Cin·K²·(4 + mask): `DECLARED_COSTS` |

A bias is part of its convolution and counted nowhere. The figures for norms and interpolation are fvcore's.
"""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

from fvcore.nn.jit_handles import batchnorm_flop_jit, norm_flop_counter

from litconv.cost.shapes import numel, shape

ELEMENTWISE = "elementwise_ops"

FREE = """
    alias arange broadcast_tensors cat channel_shuffle chunk clone constant_pad_nd contiguous copy detach dropout empty
    empty_like expand expand_as feature_dropout fill flatten flip full full_like gather im2col index index_select
    lift_fresh movedim narrow numel new_empty new_full new_ones new_zeros numpy_T one_hot ones ones_like pad permute
    pixel_shuffle pixel_unshuffle reflection_pad2d repeat repeat_interleave replication_pad2d reshape roll select slice
    split split_with_sizes squeeze stack swapaxes t tensor_split to transpose type_as unbind unflatten unfold unsqueeze
    view view_as zero zeros zeros_like
""".split()  # noqa: SIM905  a list would take a line for each
PER_OUTPUT = """
    abs add addcmul bitwise_and bitwise_not bitwise_or celu clamp clamp_max clamp_min cos div elu eq erf exp exp2
    floor floor_divide ge gelu glu gt hardsigmoid hardswish hardtanh le leaky_relu lerp log log1p logical_and
    logical_not logical_or logsigmoid lt masked_fill maximum minimum mish mul ne neg pow prelu reciprocal relu relu6
    remainder round rsqrt rsub selu sigmoid sign silu sin softplus sqrt square sub tanh tril triu upsample_nearest1d
    upsample_nearest2d where
""".split()  # noqa: SIM905
PER_INPUT = """
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool1d adaptive_max_pool2d amax amin argmax argmin cumsum
    frobenius_norm linalg_vector_norm logsumexp max mean min norm prod std sum var
""".split()  # noqa: SIM905
SCALED = {
    **{"softmax": 3, "log_softmax": 3},
    **{"upsample_bilinear2d": 4, "upsample_bicubic2d": 16, "_upsample_bilinear2d_aa": 4, "grid_sampler": 4},
}
POOLS = ("avg_pool1d", "avg_pool2d", "max_pool1d", "max_pool2d", "max_pool2d_with_indices")
NORMS = {
    "batch_norm": batchnorm_flop_jit,
    "group_norm": norm_flop_counter(2),
    "instance_norm": norm_flop_counter(1),
    "layer_norm": norm_flop_counter(2),
}

Handle = Callable[[list[Any], list[Any]], Counter]


def elementwise(operations: Callable[[list[Any], list[Any]], float]) -> Handle:
    """A handle of fvcore's. A result without axes is a size that the forward computes with, not a value."""
    return lambda inputs, outputs: Counter(
        {ELEMENTWISE: 0 if shape(outputs[0]) == [] else int(operations(inputs, outputs))}
    )


def pooled(inputs: list[Any], outputs: list[Any]) -> int:
    window = [size.toIValue() for size in inputs[1].node().inputs()]
    if not window or not all(isinstance(size, int) for size in window):  # the forward computes it from the input
        return numel(inputs[0])
    return numel(outputs[0]) * math.prod(window)


def elementwise_handles() -> dict[str, Handle]:
    rules: dict[str, Callable[[list[Any], list[Any]], float]] = {
        **dict.fromkeys(PER_OUTPUT, lambda inputs, outputs: numel(outputs[0])),
        **dict.fromkeys(PER_INPUT, lambda inputs, outputs: numel(inputs[0])),
        **dict.fromkeys(POOLS, pooled),
        **{name: lambda inputs, outputs, k=k: k * numel(outputs[0]) for name, k in SCALED.items()},
        **NORMS,
    }
    handles = {name: elementwise(rule) for name, rule in rules.items()}
    handles |= dict.fromkeys(FREE, lambda inputs, outputs: Counter())
    return {f"aten::{name}{suffix}": handle for name, handle in handles.items() for suffix in ("", "_")}
