"""Operations that are no MACs: the explicit list of them, and how many element-wise operations each is.

| operation | element-wise operations |
| --- | --- |
| moving values: views, concatenation, padding, splits, dropout in eval mode | 0 |
| arithmetic of two tensors, activation functions (a GELU is one) | 1 per output value |
| softmax: exponential, sum, division | 3 per value |
| BatchNorm in eval mode | 2 per value (1 without weights), a norm with its own statistics 5 (4), RMSNorm 4 (3) |
| max and average pooling | the window's size per output value |
| adaptive pooling, means, sums, folding | 1 per input value |
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
    Int ScalarImplicit adjoint alias alpha_dropout arange as_strided atleast_1d atleast_2d atleast_3d block_diag broadcast_tensors
    broadcast_to cat channel_shuffle chunk clone column_stack concat concatenate constant_pad_nd contiguous copy detach
    diag diag_embed diagonal dropout dsplit dstack empty empty_like expand expand_as eye feature_alpha_dropout
    feature_dropout fill flatten flip fliplr flipud full full_like gather hsplit hstack im2col index index_copy index_fill
    index_put index_select lift_fresh linspace masked_scatter matrix_H mH mT meshgrid moveaxis movedim narrow numel
    new_empty new_full new_ones new_zeros nonzero numpy_T one_hot ones ones_like pad permute pixel_shuffle pixel_unshuffle ravel
    real reflection_pad1d reflection_pad2d reflection_pad3d repeat repeat_interleave replication_pad1d replication_pad2d
    replication_pad3d reshape reshape_as resolve_conj resolve_neg roll rot90 row_stack scatter select select_scatter size slice
    slice_scatter split split_with_sizes squeeze stack swapaxes swapdims t take take_along_dim tensor_split tile to
    transpose type_as unbind unflatten unfold unsafe_chunk unsafe_split unsafe_split_with_sizes unsqueeze view view_as
    view_as_complex view_as_real vsplit vstack zero zeros zeros_like
""".split()  # noqa: SIM905  a list would take a line for each
MARKS = (
    "profiler::_record_function_enter_new",
    "profiler::_record_function_exit",
)  # no operations: names for a profiler
PER_OUTPUT = """
    __and__ __or__ __xor__ abs absolute acos add addcdiv addcmul asin atan atan2 bitwise_and bitwise_not bitwise_or
    bitwise_xor ceil celu clamp clamp_max clamp_min clip cos cosh div divide elu eq erf erfc exp exp2 expm1 floor
    floor_divide fmod ge gelu glu greater gt hardshrink hardsigmoid hardswish hardtanh hypot isfinite isinf isnan le
    leaky_relu lerp less log log10 log1p log2 log_sigmoid logaddexp logical_and logical_not logical_or logical_xor logit
    logsigmoid lt masked_fill maximum minimum mish mul multiply nan_to_num ne neg negative pow prelu reciprocal relu relu6
    remainder round rrelu rsqrt rsub selu sigmoid sign silu sin sinc sinh softplus softshrink sqrt square sub subtract tan
    tanh threshold tril triu true_divide trunc upsample_nearest1d upsample_nearest2d upsample_nearest3d where
    _upsample_nearest_exact1d _upsample_nearest_exact2d
""".split()  # noqa: SIM905
PER_INPUT = """
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d
    adaptive_max_pool3d all amax amin any argmax argmin col2im cumprod cumsum frobenius_norm linalg_vector_norm logsumexp max
    mean min norm prod std std_mean sum var var_mean
""".split()  # noqa: SIM905
SCALED = {
    **{"softmax": 3, "log_softmax": 3},
    **{"upsample_bilinear2d": 4, "upsample_bicubic2d": 16, "grid_sampler": 4},
    **{"_upsample_bilinear2d_aa": 4, "_upsample_bicubic2d_aa": 16},
}
POOLS = (
    *("avg_pool1d", "avg_pool2d", "avg_pool3d", "max_pool1d", "max_pool2d", "max_pool3d"),
    *("max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool3d_with_indices"),
)
NORMS = {
    "rms_norm": lambda inputs, outputs: (3 + (shape(inputs[2]) is not None)) * numel(inputs[0]),
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


def free(inputs: list[Any], outputs: list[Any]) -> Counter:
    return Counter()


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
    handles |= dict.fromkeys(FREE, free)
    of_aten = {f"aten::{name}{suffix}": handle for name, handle in handles.items() for suffix in ("", "_")}
    return of_aten | dict.fromkeys(MARKS, free)
