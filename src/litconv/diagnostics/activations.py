"""Every activation of a network, wherever it is computed: as a module, as a function or in place."""

from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from litconv.diagnostics.channel_sums import ChannelSums

# Those that follow a convolution. A sigmoid is a gate or a probability, no activation of channels.
NONLINEARITIES = frozenset(
    f"aten::{name}{suffix}"
    for name in ("relu", "hardtanh", "leaky_relu", "gelu", "silu", "hardswish", "elu", "mish", "_prelu_kernel")
    for suffix in ("", "_")
)


class ActivationsWatched(TorchDispatchMode):
    """Inside, `sums[layer]` grows with every map (N, C, H, W) that leaves a nonlinearity.

    A layer has the name of the innermost module that computes it; the second one of the same module ends in #2.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.sums: dict[str, ChannelSums] = {}
        self.inside: list[str] = []
        self.calls: dict[str, int] = {}
        for name, module in model.named_modules():
            module.register_forward_pre_hook(lambda module, inputs, name=name: self.inside.append(name))
            module.register_forward_hook(self.leave)

    def start(self) -> None:
        """Another batch: calls are counted anew."""
        self.calls.clear()

    def leave(self, *unused: Any) -> None:
        self.inside.pop()

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func.name().partition(".")[0] in NONLINEARITIES and isinstance(out, Tensor) and out.ndim == 4:
            self.note(out)  # the mode is off in here
        return out

    def note(self, activation: Tensor) -> None:
        name = self.inside[-1]
        self.calls[name] = call = self.calls.get(name, 0) + 1
        layer = name if call == 1 else f"{name}#{call}"
        if layer not in self.sums:
            self.sums[layer] = ChannelSums(activation.shape[1], activation.device)
        self.sums[layer].add(activation)
