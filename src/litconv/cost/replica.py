"""The copy of a model that is counted, and the fence around the counting: the model itself is never run or changed.

The copy lies on the meta device (shapes without memory) where the model can run there, else on the CPU; it is in eval
mode, not compiled and not spread over devices. Weights are replaced while copying, so that a large model is never held
twice.
"""

import copy
import random
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from litconv.cost.folding import in_deployed_form

CPU = torch.device("cpu")
ATOMS = frozenset((bool, int, float, str, bytes, type(None), torch.dtype, torch.device))
OF_EVERY_MODULE = frozenset(vars(nn.Module()))  # mostly empty dictionaries of hooks, which no two modules share
COMPILED = "_compiled_call_impl"  # what Module.compile() leaves: it calls the module that it was made of, not a copy


def replica(model: nn.Module, device: str | torch.device, deployed: bool = True) -> nn.Module:
    """A float32 copy in eval mode; where the model holds a wrapper, the copy holds what is wrapped. `deployed`: in the
    form in which it is used after training."""
    memo: dict[int, Any] = {}
    modules = list(model.modules())
    for module in modules:
        for value in vars(module).values():
            for part in value.values() if type(value) is dict else (value,):
                if isinstance(part, Tensor) and id(part) not in memo:
                    memo[id(part)] = moved(part, device)
    ordinary = [m for m in modules if wrapped_by(m) is None and is_copied_by_its_attributes(type(m))]
    memo |= {id(module): object.__new__(type(module)) for module in ordinary}
    for module in reversed(modules):  # what a module holds comes before it
        if (inner := wrapped_by(module)) is not None:
            memo[id(module)] = duplicate(inner, memo)
    for module in reversed(ordinary):
        attributes = vars(memo[id(module)])
        for name, value in vars(module).items():
            if name == COMPILED:
                continue
            if type(value) in ATOMS:
                attributes[name] = value
            elif name in OF_EVERY_MODULE and not value:
                attributes[name] = type(value)()
            else:
                attributes[name] = duplicate(value, memo)
    copied = duplicate(model, memo).eval()
    return in_deployed_form(copied) if deployed else copied


@cache
def is_copied_by_its_attributes(kind: type[nn.Module]) -> bool:
    """As modules are, unless they say otherwise."""
    ways = ("__deepcopy__", "__reduce__", "__reduce_ex__", "__getstate__")
    return all(getattr(kind, way, None) is getattr(nn.Module, way, None) for way in ways) and not hasattr(
        kind, "__slots__"
    )


def duplicate(value: Any, memo: dict[int, Any]) -> Any:
    """copy.deepcopy, which asks eight questions of every number and every empty dictionary of hooks."""
    kind = type(value)
    if kind in ATOMS:
        return value
    if kind is tuple and ATOMS.issuperset(map(type, value)):
        return value
    if id(value) in memo:
        return memo[id(value)]
    if kind is set and not value:
        return memo.setdefault(id(value), set())
    if kind is dict or kind is OrderedDict:
        copied = memo[id(value)] = kind()
        for key, part in value.items():
            copied[duplicate(key, memo)] = part if type(part) in ATOMS else duplicate(part, memo)
        return copied
    if kind is list:
        copied = memo[id(value)] = []
        copied.extend(duplicate(part, memo) for part in value)
        return copied
    return copy.deepcopy(value, memo)


def wrapped_by(module: nn.Module) -> nn.Module | None:
    """Of what only says where or how a module runs; its own forward costs nothing."""
    if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return module.module
    return module._orig_mod if hasattr(module, "_orig_mod") else None  # of torch.compile


def moved(value: Tensor, device: str | torch.device) -> Tensor:
    dtype = torch.float32 if value.is_floating_point() else value.dtype
    if str(device) == "meta" and value.layout == torch.strided:
        copied = torch.empty_strided(value.shape, value.stride(), dtype=dtype, device=device)
    else:
        copied = value.detach().to(device, dtype, copy=True)
    return nn.Parameter(copied, requires_grad=False) if isinstance(value, nn.Parameter) else copied


@contextmanager
def untouched(device: torch.device = CPU) -> Iterator[None]:
    """Whatever runs inside, random numbers go on afterwards as if it had not; warnings and gradients are off."""
    python, numpy, fast_attention = random.getstate(), np.random.get_state(), torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # one operation for a whole layer: nobody could count it
    try:
        with (
            torch.random.fork_rng([device] if device.type == "cuda" else []),
            warnings.catch_warnings(),
            torch.no_grad(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.backends.mha.set_fastpath_enabled(fast_attention)


@contextmanager
def ordinary_algorithms() -> Iterator[None]:
    """Deterministic ones are made of other operations (bilinear interpolation of gathers), which a counter does not know."""
    if not torch.are_deterministic_algorithms_enabled():
        yield
        return
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(False)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(True, warn_only=warns)
