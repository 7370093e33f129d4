"""Params, MACs and activations alone, from one forward: on the meta device quick enough to search with.

It counts what FlopCounterMode knows and the declared operations, as `count` has them for its second opinion; a final
answer is for `count` itself, which says what nobody could count.
"""

from dataclasses import dataclass

import torch
from torch import nn

from litconv.cost.dispatched import Products
from litconv.cost.observed import Observed


@dataclass(frozen=True)
class Tally:
    params: int
    macs: int
    activations: int


def tally(model: nn.Module, in_channels: int, image_size: tuple[int, int]) -> Tally:
    """Of a model in its deployed form, in eval mode, on the device where it lies."""
    x = torch.zeros(1, in_channels, *image_size, device=next(model.parameters()).device)
    products = Products()
    with torch.no_grad(), Observed(products):
        model(x)
    return Tally(sum(p.numel() for p in model.parameters()), products.macs, products.activations)
