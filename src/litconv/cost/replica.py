"""The copy of a model that is counted, and the fence around the counting: the model itself is never run or changed.

The copy lies on the meta device (shapes without memory) where the model can run there, else on the CPU; it is in eval
mode, not compiled and not spread over devices. Weights are replaced while copying, so that a large model is never held
twice.
"""

import copy
import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from litconv.cost.folding import in_deployed_form

CPU = torch.device("cpu")


def replica(model: nn.Module, device: str | torch.device, deployed: bool = True) -> nn.Module:
    """A float32 copy in eval mode; where the model holds a wrapper, the copy holds what is wrapped. `deployed`: in the
    form in which it is used after training."""
    memo: dict[int, object] = {}
    modules = list(model.modules())
    for module in modules:
        for value in (*module.parameters(recurse=False), *module.buffers(recurse=False), *vars(module).values()):
            if isinstance(value, Tensor):
                memo.setdefault(id(value), moved(value, device))
    for module in reversed(modules):  # a wrapper may wrap a wrapper: the inner one first
        if (inner := wrapped_by(module)) is not None:
            memo[id(module)] = copy.deepcopy(inner, memo)
    copied = copy.deepcopy(model, memo).eval()
    return in_deployed_form(copied) if deployed else copied


def wrapped_by(module: nn.Module) -> nn.Module | None:
    """Of what only says where or how a module runs; its own forward costs nothing."""
    if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return module.module
    return module._orig_mod if hasattr(module, "_orig_mod") else None  # of torch.compile


def moved(value: Tensor, device: str | torch.device) -> Tensor:
    dtype = torch.float32 if value.is_floating_point() else value.dtype
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
