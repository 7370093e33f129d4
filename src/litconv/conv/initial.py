"""Initialisation that depends on nothing but the seed and a parameter's own name and shape.

Layers of equal name and shape thus start equal whatever operator fills the slots. A weight is drawn from N(0, 1) by a
generator seeded with (seed, name), then scaled so that its mean square is exactly gain²/fan-in (He et al.,
https://arxiv.org/abs/1502.01852): with `gain` 1 for a layer that another linear layer follows, every operator by itself, of
white noise, has the output variance of the standard convolution; inside a network it has not (docs/fair.md). All-zero
weights (the offsets of a deformable convolution) stay zero.
Biases start at zero: PyTorch draws them from the global generator, whose state depends on the operators built before.
"""

import hashlib

import torch
from torch import nn

from litconv.conv.slot import CONVOLUTIONS, TRANSPOSED, gain_of


def seed_from(*parts: object) -> int:
    """A 63-bit seed from any values: independent streams for (seed, name), (seed, epoch), …"""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8]) >> 1


def fan_in(module: nn.Module, weight: torch.Tensor) -> float:
    """How many products one output value sums."""
    if isinstance(module, nn.ConvTranspose2d):  # (Cin, Cout/g, Kh, Kw); a stride of s leaves K²/s² taps to an output
        taps = weight[0, 0].numel() / (module.stride[0] * module.stride[1])
        return weight.shape[0] // module.groups * taps
    return weight[0].numel()


@torch.no_grad()
def initialise(model: nn.Module, seed: int, at: str = "") -> None:
    """Draw every weight of two or more dimensions anew, in place; biases become zero, norms keep their constants. `at`: the
    name of `model` in a larger one. What `keeps_weights`, with all inside, has been given its own."""
    kept = {
        inner for module in model.modules() if getattr(module, "keeps_weights", False) for inner in module.modules()
    }
    for module_name, module in model.named_modules(prefix=at):
        if module in kept:
            continue
        if isinstance(module, (nn.Linear, *CONVOLUTIONS, *TRANSPOSED)) and module.bias is not None:
            module.bias.zero_()
        for name, parameter in module.named_parameters(module_name, recurse=False):
            if parameter.ndim < 2 or not parameter.any():
                continue
            generator = torch.Generator().manual_seed(seed_from(seed, name))
            draw = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(draw * (gain_of(module) / (fan_in(module, parameter) ** 0.5 * draw.square().mean().sqrt())))
