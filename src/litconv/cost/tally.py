"""Params, MACs and activations alone, from one forward: on the meta device quick enough to search with.

It counts what FlopCounterMode knows and the declared operations, as `count` has them for its second opinion; a final
answer is for `count` itself, which says what nobody could count.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, shape_wrapper

from litconv.conv.slot import DECLARED_COSTS
from litconv.cost.products import torch_formulas
from litconv.cost.tracing import ShapesAlone


@dataclass(frozen=True)
class Tally:
    params: int
    macs: int
    activations: int


def formulas() -> dict[Any, Callable[..., int]]:
    return formulas_with(tuple(DECLARED_COSTS))


@cache
def formulas_with(declared: tuple[str, ...]) -> dict[Any, Callable[..., int]]:
    """An operator that is imported later declares more."""
    return {**flop_registry, **{packet: shape_wrapper(formula) for packet, formula in torch_formulas().items()}}


class _Products(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.macs = self.activations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if formula := formulas().get(func.overloadpacket):
            self.macs += formula(*args, **kwargs, out_val=out) // 2
            self.activations += out.numel()
        return out


def tally(model: nn.Module, in_channels: int, image_size: tuple[int, int]) -> Tally:
    """Of a model in its deployed form, in eval mode, on the device where it lies."""
    x = torch.zeros(1, in_channels, *image_size, device=next(model.parameters()).device)
    with torch.no_grad(), ShapesAlone(), _Products() as products:
        model(x)
    return Tally(sum(p.numel() for p in model.parameters()), products.macs, products.activations)
