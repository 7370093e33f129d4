"""Whether two networks are the same but for their weights: what a device has measured of one holds for the other."""

import hashlib

from torch import nn

SIMPLE = (bool, int, float, str, tuple)


def architecture_hash(model: nn.Module) -> str:
    """Of its modules with their options, and of the names and shapes of its weights; of no value in them, and so of no seed.

    Of a run's network as it is built, before branches or norms are folded; on the meta device it is the same.
    """
    lines = [f"{name}: {type(module).__qualname__}({options(module)})" for name, module in model.named_modules()]
    lines += [f"{name} {tuple(tensor.shape)}" for name, tensor in model.state_dict().items()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def options(module: nn.Module) -> str:
    """What it was built with, as far as it keeps that in plain attributes: stride=(2, 2)"""
    plain = {key: value for key, value in vars(module).items() if not key.startswith("_") and key != "training"}
    return ", ".join(f"{key}={value}" for key, value in sorted(plain.items()) if isinstance(value, SIMPLE))
