"""An ordinary convolution of somebody else's model, in numbers: its kernel, its padding, its weight.

Exactly `nn.Conv2d` is one, and so is what an adapter below speaks for. A subclass may do anything in its forward; one without an
adapter is refused, by name.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from litconv.conv.same import SameConv2d, same_padding


class Padding(NamedTuple):
    """Rows before and after one axis."""

    before: int
    after: int


@dataclass(frozen=True)
class Geometry:
    """Of height and width each."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[Padding, Padding] | None  # None: as TensorFlow pads "same", by the size of the image
    mode: str  # of the padding: zeros, reflect, replicate, circular

    @property
    def reach(self) -> tuple[int, int]:
        """Pixels from the first tap to the last: d(K−1)."""
        return tuple(d * (k - 1) for k, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def is_a_slots(self) -> bool:
        """Whether an operator's own "same" padding and ⌈H/s⌉ outputs are these, for images of every size."""
        if self.padding is None:
            return self.stride == (1, 1)
        return self.mode == "zeros" and self.padding == tuple(
            same_padding(k, d) for k, d in zip(self.kernel, self.dilation, strict=True)
        )

    def paddings(self, size: Sequence[int]) -> tuple[Padding, Padding]:
        """For an image of this height and width."""
        if self.padding is not None:
            return self.padding
        totals = (
            max((ceil(length / s) - 1) * s + reach + 1 - length, 0)
            for length, s, reach in zip(size, self.stride, self.reach, strict=True)
        )
        return tuple(Padding(total // 2, total - total // 2) for total in totals)


@dataclass(frozen=True)
class Dense:
    geometry: Geometry
    weight: Tensor  # (Cout, Cin/groups, Kh, Kw), as it is multiplied
    bias: Tensor | None
    groups: int
    note: str = ""  # what is lost with the layer

    @property
    def channels(self) -> tuple[int, int]:
        """In, out."""
        return self.weight.shape[1] * self.groups, self.weight.shape[0]

    @property
    def full_weight(self) -> Tensor:
        """(Cout, Cin, Kh, Kw): of a layer in groups with zeros between them."""
        if self.groups == 1:
            return self.weight
        ins, blocks = self.weight.shape[1], self.weight.chunk(self.groups)
        zeros = [(0, 0, 0, 0, g * ins, (self.groups - 1 - g) * ins) for g in range(self.groups)]
        return torch.cat([F.pad(block, pads) for block, pads in zip(blocks, zeros, strict=True)])


def plain(layer: nn.Conv2d) -> Dense:
    pads = layer.padding
    if pads == "same":  # torch puts the odd row behind, as a slot does
        pads = [same_padding(k, d) for k, d in zip(layer.kernel_size, layer.dilation, strict=True)]
    elif pads == "valid":
        pads = [(0, 0), (0, 0)]
    else:
        pads = [(p, p) for p in pads]
    return described(layer, tuple(Padding(*p) for p in pads), layer.weight)


def described(layer: nn.Conv2d, padding: tuple[Padding, Padding] | None, weight: Tensor, note: str = "") -> Dense:
    sizes = tuple(layer.kernel_size), tuple(layer.stride), tuple(layer.dilation)
    return Dense(Geometry(*sizes, padding, layer.padding_mode), weight, layer.bias, layer.groups, note)


def own(layer: SameConv2d) -> Dense:
    """litconv's; an even kernel is padded by the layer itself."""
    pads = tuple(Padding(*same_padding(k, d)) for k, d in zip(layer.kernel_size, layer.dilation, strict=True))
    return described(layer, pads, layer.weight)


def padded_by_size(layer: nn.Conv2d) -> Dense:
    """timm's Conv2dSame."""
    return described(layer, None, layer.weight)


STANDARDISED = "no longer standardised"


def standardised(layer: nn.Conv2d) -> Dense:
    """timm's StdConv2d: every output's weights have mean 0 and variance 1."""
    weight = of_unit_variance(layer.weight, None, layer.eps)
    return described(layer, plain(layer).geometry.padding, weight, STANDARDISED)


def scaled(layer: nn.Conv2d) -> Dense:
    """timm's ScaledStdConv2d: the same, times a gain that is learned."""
    weight = of_unit_variance(layer.weight, (layer.gain * layer.scale).view(-1), layer.eps)
    return described(layer, plain(layer).geometry.padding, weight, STANDARDISED)


def by_size(adapter: Callable[[nn.Conv2d], Dense]) -> Callable[[nn.Conv2d], Dense]:
    """The same layer where it pads by the size of the image (`same_pad`)."""

    def adapt(layer: nn.Conv2d) -> Dense:
        dense = adapter(layer)
        return described(layer, None if layer.same_pad else dense.geometry.padding, dense.weight, dense.note)

    return adapt


def of_unit_variance(weight: Tensor, gain: Tensor | None, eps: float) -> Tensor:
    flat = weight.reshape(1, weight.shape[0], -1)
    return F.batch_norm(flat, None, None, weight=gain, training=True, momentum=0.0, eps=eps).reshape_as(weight)


# By name: timm need not be installed.
ADAPTERS: dict[str, Callable[[nn.Conv2d], Dense]] = {
    "torch.nn.modules.conv.Conv2d": plain,
    "litconv.conv.same.SameConv2d": own,
    "litconv.conv.standard.Standard": own,
    "timm.layers.conv2d_same.Conv2dSame": padded_by_size,
    "timm.layers.std_conv.StdConv2d": standardised,
    "timm.layers.std_conv.StdConv2dSame": by_size(standardised),
    "timm.layers.std_conv.ScaledStdConv2d": scaled,
    "timm.layers.std_conv.ScaledStdConv2dSame": by_size(scaled),
}


def adapter_of(layer: nn.Module) -> Callable[[nn.Conv2d], Dense] | None:
    return ADAPTERS.get(f"{type(layer).__module__}.{type(layer).__qualname__}")
