"""Sums over the processes of a distributed run through which gradients flow."""

import torch
from torch import Tensor


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        total = x.clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return _Sum.forward(ctx, gradient)


def summed(x: Tensor) -> Tensor:
    """Over all processes; in a run of one process x itself."""
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    return _Sum.apply(x) if distributed and torch.distributed.get_world_size() > 1 else x
