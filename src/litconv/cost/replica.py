"""The copy of a model that is counted, and the fence around the counting: the model itself is never run or changed.

The copy lies on the meta device (shapes without memory) where the model can run there, else on the CPU; it is in eval
mode and not compiled. Weights are replaced while copying, so that a large model is never held twice.
"""

import copy
import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from litconv.conv.slot import HasDeployedForm

CPU = torch.device("cpu")


def replica(model: nn.Module, device: str | torch.device, deployed: bool = True) -> nn.Module:
    """A float32 copy in eval mode; where the model holds a compiled module, the copy holds what was compiled.

    A module that is trained in another form than it is used in has a method `deployed() -> nn.Module`; the copy holds
    what that returns.
    """
    memo: dict[int, object] = {}
    for module in model.modules():
        for value in (*module.parameters(recurse=False), *module.buffers(recurse=False), *vars(module).values()):
            if isinstance(value, Tensor):
                memo.setdefault(id(value), moved(value, device))
        for child in module.children():
            if hasattr(child, "_orig_mod"):
                memo[id(child)] = replica(child._orig_mod, device, deployed=False)
    copied = copy.deepcopy(getattr(model, "_orig_mod", model), memo).eval()
    return in_deployed_form(copied) if deployed else copied


def in_deployed_form(model: nn.Module) -> nn.Module:
    if isinstance(model, HasDeployedForm):
        return model.deployed().eval()
    for name, child in model.named_children():
        if (form := in_deployed_form(child)) is not child:
            setattr(model, name, form)
    return model


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
