"""An operator in the place of a convolution that has a bias, or a padding that is not the operator's own.

An operator pads so that output o is centred at input s·o. The layer that it replaces had t rows before the first input and its
centre at s·o + P − t, P = ⌊d(K−1)/2⌋. So rows are put before the image until the two centres meet at a whole output m, outputs
before m are cut off, and so are those behind the layer's last. What is read and what is zero is the layer's own.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from litconv.conv.same import same_padding
from litconv.surgery.dense import Dense, Geometry, Padding


class Place(NamedTuple):
    """Of one axis."""

    before: int  # rows of zeros to put there
    after: int
    first: int  # output to keep
    count: int


def place(length: int, kernel: int, stride: int, dilation: int, padding: Padding) -> Place:
    reach = dilation * (kernel - 1)
    count = (length + padding.before + padding.after - reach - 1) // stride + 1
    centre = same_padding(kernel, dilation)[0] - padding.before
    before = -centre if centre <= 0 else -centre % stride
    first = (centre + before) // stride
    after = max(0, (first + count - 1) * stride + 1 - length - before)
    return Place(before, after, first, count)


class Placed(nn.Module):
    """Centres, output size and bias of the layer that was there; the operator's kernel."""

    def __init__(self, operator: nn.Module, geometry: Geometry, bias: Tensor | None) -> None:
        super().__init__()
        self.operator = operator
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone(), bias.requires_grad)
        self.geometry = geometry

    def forward(self, x: Tensor) -> Tensor:
        paddings = self.geometry.paddings([int(length) for length in x.shape[-2:]])
        if self.geometry.mode != "zeros":
            (top, bottom), (left, right) = paddings
            x, paddings = F.pad(x, (left, right, top, bottom), self.geometry.mode), (Padding(0, 0), Padding(0, 0))
        rows, columns = self.places(x.shape[-2:], paddings)
        pads = (columns.before, columns.after, rows.before, rows.after)
        y = self.operator(F.pad(x, pads) if any(pads) else x)
        y = y[..., rows.first : rows.first + rows.count, columns.first : columns.first + columns.count]
        return y if self.bias is None else y + self.bias.view(-1, 1, 1)  # (N, Cout, Ho, Wo)

    def places(self, size: Sequence[int], paddings: tuple[Padding, Padding]) -> list[Place]:
        g = self.geometry
        axes = zip(size, g.kernel, g.stride, g.dilation, paddings, strict=True)
        return [place(int(length), *sizes, padding) for length, *sizes, padding in axes]

    def extra_repr(self) -> str:
        return "" if self.bias is None else f"bias of {len(self.bias)}"


def put(operator: nn.Module, dense: Dense) -> nn.Module:
    """The operator itself where it needs nothing around it."""
    alone = dense.bias is None and dense.geometry.is_a_slots
    return operator if alone else Placed(operator, dense.geometry, dense.bias)
