"""MACs and activations of the operations that PyTorch dispatches, by FlopCounterMode's formulas and the declared costs.

FlopCounterMode itself keeps a tree of modules beside every operation, which takes longer than the formulas do.
"""

from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

from torch import Tensor
from torch.utils.flop_counter import flop_registry, shape_wrapper

from litconv.conv.slot import DECLARED_COSTS
from litconv.cost.products import torch_formulas


def formulas() -> dict[Any, Callable[..., int]]:
    return formulas_with(tuple(DECLARED_COSTS))


@cache
def formulas_with(declared: tuple[str, ...]) -> dict[Any, Callable[..., int]]:
    """An operator that is imported later declares more."""
    registered = {packet: by_shapes(f) if is_wrapped(f) else f for packet, f in flop_registry.items()}
    return registered | {packet: by_shapes(shape_wrapper(formula)) for packet, formula in torch_formulas().items()}


def is_wrapped(formula: Callable[..., int]) -> bool:
    """By PyTorch, so that it takes tensors for the shapes that it is written in."""
    return getattr(formula, "__code__", None) is shape_wrapper(len).__code__


def by_shapes(wrapped: Callable[..., int]) -> Callable[..., int]:
    """The same, without a tree of all arguments for every operation."""
    formula = wrapped.__wrapped__

    def counted(*args: Any, out_val: Any, **kwargs: Any) -> int:
        named = {name: shape_of(value) for name, value in kwargs.items()}
        return formula(*map(shape_of, args), out_shape=shape_of(out_val), **named)

    return counted


def shape_of(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.shape
    return type(value)(map(shape_of, value)) if type(value) in (list, tuple) else value


class Products:
    """An observer of `Observed`. `running` names the modules that run, the outermost first."""

    def __init__(self) -> None:
        self.macs = self.activations = 0
        self.macs_of: Counter = Counter()
        self.running: list[str] = []
        self.formulas = formulas()

    def __call__(self, func: Any, args: tuple, kwargs: dict[str, Any], out: Any) -> None:
        formula = self.formulas.get(func.overloadpacket)
        if formula is None:
            return
        macs = formula(*args, **kwargs, out_val=out) // 2
        self.macs += macs
        self.activations += (out[0] if isinstance(out, tuple) else out).numel()
        for name in set(self.running):
            self.macs_of[name] += macs
