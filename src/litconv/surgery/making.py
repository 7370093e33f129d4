"""One operator for one layer: built for its sizes, started from its weights, made like it in all else."""

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from litconv.conv.initial import initialise
from litconv.conv.slot import RELU_GAIN, ConvFactory, TakesDense, gain_of
from litconv.errors import ConfigError
from litconv.surgery.operators import bound, label
from litconv.surgery.survey import Candidate

# Parents and scripts ask a layer for them.
SIZES = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation")
Start = Literal["copy", "from_dense"]


def built(made: ConvFactory, candidate: Candidate, fit_groups: bool) -> tuple[nn.Module, str]:
    """The operator, and a word where its groups were fitted. On the device and in the type of the layer."""
    (ins, outs), geometry, weight = candidate.dense.channels, candidate.dense.geometry, candidate.dense.weight
    kernel, stride, dilation = map(one_or_pair, (geometry.kernel, geometry.stride, geometry.dilation))
    asked = bound(made, "groups")

    def construct(make: ConvFactory) -> nn.Module:
        with torch.random.fork_rng([]), torch.device(weight.device):
            return make(ins, outs, kernel_size=kernel, stride=stride, dilation=dilation)

    try:
        operator = construct(made)
    except ValueError as error:
        refusal = error
    else:
        if not isinstance(operator, nn.Module):
            made_of = type(operator).__name__
            raise ConfigError(f"conv={label(made)} makes a {made_of} of {candidate.name}; it must return an nn.Module")
        return operator, ""
    fitting = [g for g in range(asked, 0, -1) if ins % g == 0] if fit_groups and isinstance(asked, int) else []
    for groups in fitting:
        try:
            return construct(partial(made, groups=groups)), f"groups={groups} for {asked}"
        except ValueError:
            continue
    remedy = "fit_groups=true takes the largest that does, or " if asked else ""
    raise ConfigError(
        f"{refusal} (in {candidate.name}); {remedy}leave it out by where.name=!{candidate.name}"
    ) from refusal


def started(operator: nn.Module, candidate: Candidate, init: Start, seed: int) -> str:
    """Give the operator its first weights; how, in words."""
    weight = candidate.dense.full_weight.detach()
    if weight.is_meta:
        return "without values"
    operator.to(torch.promote_types(weight.dtype, torch.float32))  # at first: half precision has no SVD
    initialise(operator, seed, candidate.name)
    as_large_as(operator, weight)
    same_shape = (
        isinstance(getattr(operator, "weight", None), Tensor) and operator.weight.shape == candidate.dense.weight.shape
    )
    if isinstance(operator, TakesDense) and (same_shape or init == "from_dense"):
        how, error = operator.take_dense(weight.to(operator_dtype(operator)))
        return f"{how} (off by {error:.0%})" if error > 0 else how
    return "drawn" if init == "copy" else "drawn: it has no approximation of a standard convolution"


def operator_dtype(operator: nn.Module) -> torch.dtype:
    return next(operator.parameters()).dtype


@torch.no_grad()
def as_large_as(operator: nn.Module, weight: Tensor) -> None:
    """`initialise` gives every operator an output variance of RELU_GAIN² for white noise of 1; the layer's is Σw²/Cout. So the
    last layers, which have that gain, are scaled."""
    factor = (weight.float().square().sum() / weight.shape[0]).sqrt() / RELU_GAIN
    for module in operator.modules():
        for parameter in module.parameters(recurse=False):
            if parameter.ndim >= 2 and gain_of(module) == RELU_GAIN:
                parameter.mul_(factor)


def like(new: nn.Module, candidate: Candidate) -> nn.Module:
    """In the layer's mode, type, device, memory format and with its hooks; frozen where it was; asked for its sizes it says the
    layer's."""
    old = candidate.layer
    new.to(old.weight.device, old.weight.dtype).train(old.training)
    if old.weight.stride(1) == 1:  # of a depthwise layer's weight both formats are said to be contiguous
        new.to(memory_format=torch.channels_last)
    if not old.weight.requires_grad:
        new.requires_grad_(False)
    vars(new).update({key: value for key, value in vars(old).items() if "_hook" in key})
    for fact in SIZES:
        if not hasattr(new, fact):
            setattr(new, fact, getattr(old, fact))
    return new


def one_or_pair(sizes: tuple[int, int]) -> int | tuple[int, int]:
    return sizes[0] if sizes[0] == sizes[1] else sizes
