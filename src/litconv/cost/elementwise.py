"""Operations that are no MACs: the explicit list of them, and how many element-wise operations each is.

| operation | element-wise operations |
| --- | --- |
| moving values: views, concatenation, padding, splits, looking up (embeddings, masks), unpooling, dropout in eval mode | 0 |
| arithmetic of two tensors, activation functions (a GELU is one), drawing at random | 1 per output value |
| softmax: exponential, sum, division | 3 per value |
| BatchNorm in eval mode | 2 per value (1 without weights), a norm with its own statistics 5 (4), RMSNorm 4 (3) |
| max and average pooling | the window's size per output value |
| adaptive pooling, means, sums, folding; sorting and the largest k | 1 per input value |
| adding into given places (scatter_add, index_add) | 1 per value that is added |
| interpolation: nearest, linear, bilinear, trilinear, bicubic; grid sampling | 1, 2, 4, 8, 16; 4 per output value |
| recurrent layers | 1 per value that their matrices put out |
| cosine similarity, pairwise distance | 6, 3 per value of the first input |
| sampling of deformable convolution | N·Ho·Wo·Cin·K²·(4 + mask): `DECLARED_COSTS` |

A bias is part of its convolution and counted nowhere. The figures for norms and interpolation are fvcore's.
"""

import math
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

from fvcore.nn.jit_handles import batchnorm_flop_jit, norm_flop_counter

from litconv.cost.shapes import numel, shape

ELEMENTWISE = "elementwise_ops"

FREE = """
    adjoint alias alpha_dropout arange argwhere as_strided atleast_1d atleast_2d atleast_3d block_diag broadcast_tensors
    broadcast_to cartesian_prod cat channel_shuffle chunk clone column_stack combinations complex concat concatenate
    constant_pad_nd contiguous copy detach diag diag_embed diagonal dropout dsplit dstack embedding empty empty_like
    empty_strided expand expand_as eye feature_alpha_dropout feature_dropout fill flatten flip fliplr flipud full full_like
    gather hsplit hstack im2col imag index index_copy index_fill index_put index_select Int lift_fresh linspace logspace
    masked_scatter masked_select matrix_H max_unpool1d max_unpool2d max_unpool3d meshgrid mH moveaxis movedim mT narrow
    narrow_copy new_empty new_empty_strided new_full new_ones new_zeros nonzero numel numpy_T one_hot ones ones_like pad
    permute pixel_shuffle pixel_unshuffle positive ravel real reflection_pad1d reflection_pad2d reflection_pad3d repeat
    repeat_interleave replication_pad1d replication_pad2d replication_pad3d reshape reshape_as resolve_conj resolve_neg roll
    rot90 row_stack scalar_tensor ScalarImplicit scatter select select_scatter size slice slice_scatter split
    split_with_sizes squeeze stack swapaxes swapdims t take take_along_dim tensor_split tile to transpose tril_indices
    triu_indices type_as unbind unflatten unfold unsafe_chunk unsafe_split unsafe_split_with_sizes unsqueeze view view_as
    view_as_complex view_as_real view_copy vsplit vstack zero zeros zeros_like
""".split()  # noqa: SIM905  a list would take a line for each
MARKS = (
    "profiler::_record_function_enter_new",
    "profiler::_record_function_exit",
)  # no operations: names for a profiler
PER_OUTPUT = """
    __and__ __or__ __xor__ abs absolute acos acosh add addcdiv addcmul asin asinh atan atan2 atanh bernoulli bitwise_and
    bitwise_not bitwise_or bitwise_xor bucketize ceil celu clamp clamp_max clamp_min clip copysign cos cosh cross deg2rad
    diff digamma div divide elu eq erf erfc erfinv exp exp2 expm1 exponential fix float_power floor floor_divide fmax fmin
    fmod frac frexp ge gelu geometric glu greater gt hardshrink hardsigmoid hardswish hardtanh heaviside hypot i0 isfinite
    isin isinf isnan isneginf isposinf isreal kron ldexp le leaky_relu lerp less lgamma log log10 log1p log2 log_normal
    log_sigmoid logaddexp logaddexp2 logical_and logical_not logical_or logical_xor logit logsigmoid lt masked_fill maximum
    minimum mish mul multinomial multiply nan_to_num ne neg negative nextafter normal outer polar pow prelu rad2deg rand
    rand_like randint randint_like randn randn_like random randperm reciprocal relu relu6 remainder round rrelu rsqrt rsub
    searchsorted selu sgn sigmoid sign signbit silu sin sinc sinh softplus softshrink sqrt square sub subtract tan tanh
    threshold tril triu true_divide trunc uniform upsample_nearest1d upsample_nearest2d upsample_nearest3d where xlogy
    _upsample_nearest_exact1d _upsample_nearest_exact2d
""".split()  # noqa: SIM905
PER_INPUT = """
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d
    all amax amin aminmax any argmax argmin argsort col2im count_nonzero cummax cummin cumprod cumsum frobenius_norm kthvalue
    linalg_norm linalg_vector_norm logcumsumexp logsumexp max mean median min mode msort nanmean nanmedian nanquantile nansum
    norm prod quantile sort std std_mean sum topk trace unique_consecutive unique_dim var var_mean _unique2
""".split()  # noqa: SIM905
ADDED = ["index_add", "index_reduce", "scatter_add", "scatter_reduce"]  # the values to add are their fourth argument
PER_FIRST = {"cosine_similarity": 6, "pairwise_distance": 3}
SCALED = {
    **{"softmax": 3, "log_softmax": 3},
    **{
        "upsample_linear1d": 2,
        "upsample_bilinear2d": 4,
        "upsample_trilinear3d": 8,
        "upsample_bicubic2d": 16,
        "grid_sampler": 4,
    },
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


@cache
def elementwise_handles() -> dict[str, Handle]:
    rules: dict[str, Callable[[list[Any], list[Any]], float]] = {
        **dict.fromkeys(PER_OUTPUT, lambda inputs, outputs: numel(outputs[0])),
        **dict.fromkeys(PER_INPUT, lambda inputs, outputs: numel(inputs[0])),
        **dict.fromkeys(ADDED, lambda inputs, outputs: numel(inputs[3])),
        **dict.fromkeys(POOLS, pooled),
        **{name: lambda inputs, outputs, k=k: k * numel(outputs[0]) for name, k in SCALED.items()},
        **{name: lambda inputs, outputs, k=k: k * numel(inputs[0]) for name, k in PER_FIRST.items()},
        **NORMS,
    }
    handles = {name: elementwise(rule) for name, rule in rules.items()}
    handles |= dict.fromkeys(FREE, free)
    of_aten = {f"aten::{name}{suffix}": handle for name, handle in handles.items() for suffix in ("", "_")}
    return of_aten | dict.fromkeys(MARKS, free)
