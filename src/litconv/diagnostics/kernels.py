"""Learned K×K kernels: how far each is a column times a row, and those of the first layer."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from litconv.conv.deformable import Deformable


def kernels(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """(module's name, weight (A, B, K, K)) with K > 1 on both axes; those that find a deformable convolution's offsets find
    places, not features."""
    finds_places = {module.offset for module in model.modules() if isinstance(module, Deformable)}
    for name, module in model.named_modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and weight.ndim == 4 and min(weight.shape[2:]) > 1 and module not in finds_places:
            yield name, weight.detach()


def separability(weight: Tensor) -> Tensor:
    """σ₁² / Σσ² of every kernel that is not zero: 1 for a kernel of rank 1, at least 1/K."""
    energies = torch.linalg.svdvals(weight.flatten(0, 1).double().cpu()).square()  # (A·B, K)
    energies = energies[energies.sum(1) > 0]
    return energies[:, 0] / energies.sum(1)


def first_kernels(model: nn.Module) -> Tensor | None:
    """(out, in, K, K) on the CPU; None where the network has no K×K kernel."""
    return next((weight.float().cpu() for _, weight in kernels(model)), None)
