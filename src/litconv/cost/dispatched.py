"""MACs and activations of the operations that PyTorch dispatches, by FlopCounterMode's formulas and the declared costs.

FlopCounterMode itself keeps a tree of modules beside every operation, which takes longer than the formulas do.
"""

from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

from torch.utils.flop_counter import flop_registry, shape_wrapper

from litconv.conv.slot import DECLARED_COSTS
from litconv.cost.products import torch_formulas


def formulas() -> dict[Any, Callable[..., int]]:
    return formulas_with(tuple(DECLARED_COSTS))


@cache
def formulas_with(declared: tuple[str, ...]) -> dict[Any, Callable[..., int]]:
    """An operator that is imported later declares more."""
    return {**flop_registry, **{packet: shape_wrapper(formula) for packet, formula in torch_formulas().items()}}


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
