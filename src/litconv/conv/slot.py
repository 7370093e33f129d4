"""The conv slot: what every operator is to its backbone, and what it says about its own cost.

An operator is built by `conv(in_channels, out_channels, kernel_size=3, stride=1, dilation=1)`. It maps
(N, in_channels, H, W) to (N, out_channels, ⌈H/stride⌉, ⌈W/stride⌉) with "same" padding and no bias. `dilation` is what
the backbone asks for; an operator's own rate multiplies it. Options of its own are keyword-only and bound by its yaml.

Beside `forward`, an operator and every layer inside it may have these powers, and nothing else is ever looked for:

    formula(height, width) -> Formula       its cost in closed form, for one image
    gain: float                             of its initial weights
    lr_scale: float                         its learning rate, relative to that of all others
    deployed() -> nn.Module                 the form in which it is used after training, if that is another
    implementation_on(device) -> str        which of several implementations computes it there
    unordered_on(device) -> str             why two equal runs can differ there, and what to choose; "" where they cannot
    take_dense(weight) -> Likeness          becomes as like the standard convolution of this weight (Cout, Cin, Kh, Kw) as it can
    confounds: dict[str, str]               of its class: what a comparison with the standard convolution changes besides the
                                            operator, under the option for which it holds ("norm_between=true"; "": always).
                                            It is read from the source, so both are literals

`litconv.swap` also asks for kernels of unlike sides, `kernel_size=(Kh, Kw)`, and for a stride of each side; an operator that has
no such form raises a TypeError or a ValueError.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import nn

# A weight whose output meets a ReLU is drawn with this gain (He et al., https://arxiv.org/abs/1502.01852); one whose
# output meets another linear layer with 1, so that every operator by itself has the output variance of the standard one.
RELU_GAIN = 2**0.5
LINEAR_GAIN = 1.0


CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class ConvFactory(Protocol):
    """An operator with its options bound; backbones and heads call it and know nothing else of it."""

    def __call__(self, in_channels: int, out_channels: int, *, stride: int = 1, dilation: int = 1) -> nn.Module: ...


class Formula(NamedTuple):
    """An operator's closed-form cost for one image: the third opinion beside two counters."""

    params: int
    macs: int

    def __add__(self, other: "Formula") -> "Formula":
        return Formula(self.params + other.params, self.macs + other.macs)


class Window(NamedTuple):
    """What one output value of an operation reads of a map, along both axes."""

    taps: Sequence[int]
    stride: Sequence[int]
    dilation: Sequence[int]
    padding: Sequence[int]


class Likeness(NamedTuple):
    """How near an operator has come to a standard convolution."""

    how: str  # in words
    error: float  # of its kernel, as a share of the standard one's norm: √(Σ(w − ŵ)² / Σw²)


class DeclaredCost(NamedTuple):
    """The cost of a custom operation that counters cannot see into, from its inputs' shapes and its output's; and, for the
    receptive field, what it reads of its first input, from its arguments."""

    macs: Callable[[Sequence[Sequence[int] | None], Sequence[int]], int]
    elementwise_ops: Callable[[Sequence[Sequence[int] | None], Sequence[int]], int]
    window: Callable[..., Window] | None = None  # nobody knows it


@runtime_checkable
class HasFormula(Protocol):
    def formula(self, height: int, width: int) -> Formula: ...


@runtime_checkable
class HasDeployedForm(Protocol):
    def deployed(self) -> nn.Module: ...


@runtime_checkable
class HasImplementations(Protocol):
    def implementation_on(self, device: torch.device) -> str: ...


@runtime_checkable
class MayBeUnordered(Protocol):
    def unordered_on(self, device: torch.device) -> str: ...


@runtime_checkable
class TakesDense(Protocol):
    def take_dense(self, weight: torch.Tensor) -> Likeness: ...


def likeness(how: str, weight: torch.Tensor, nearest: torch.Tensor) -> Likeness:
    """Of the kernel that an operator now has, written as a standard convolution's."""
    missed, whole = (weight - nearest).square().sum(), weight.square().sum()
    return Likeness(how, float((missed / whole).sqrt()) if whole > 0 else 0.0)


def gain_of(module: nn.Module) -> float:
    """Its own, else that of a layer which a ReLU follows; a linear layer ends a network."""
    return getattr(module, "gain", LINEAR_GAIN if isinstance(module, nn.Linear) else RELU_GAIN)


def lr_scale_of(module: nn.Module) -> float:
    return getattr(module, "lr_scale", 1.0)


# "namespace::name" of a torch.library operation → its cost. An operator's file adds its own line.
DECLARED_COSTS: dict[str, DeclaredCost] = {}

# "namespace::name" of a torch.library operation → the same of operations that PyTorch and torchvision have: what a file that is
# to run without litconv holds in its place. It takes the operation's arguments; an operation's file adds its own line.
PLAIN_FORMS: dict[str, Callable[..., torch.Tensor]] = {}


def at_least_one(**values: int) -> None:
    """Refuse sizes below one, naming the argument."""
    for name, value in values.items():
        if value < 1:
            raise ValueError(f"{name}={value} must be at least 1")


def require_divisors(name: str, value: int, in_channels: int, out_channels: int) -> None:
    """Refuse a number of groups that does not divide both channel counts, naming those that do."""
    at_least_one(**{name: value})
    if in_channels % value or out_channels % value:
        works = [d for d in range(1, min(in_channels, out_channels) + 1) if not (in_channels % d or out_channels % d)]
        shown = ", ".join(map(str, works if len(works) <= 12 else [*works[:11], f"… {works[-1]}"]))
        channels = (
            f"in_channels={in_channels}"
            if in_channels == out_channels
            else f"in_channels={in_channels} and out_channels={out_channels}"
        )
        raise ValueError(f"{name}={value} must divide {channels}; try {shown}")


def out_size(size: int, stride: int) -> int:
    """⌈size / stride⌉, the slot's output size."""
    return -(-size // stride)
