"""What the layers of a network put out, wherever it is computed (as a module, as a function or in place): every activation,
and every grouped convolution."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from litconv.diagnostics.channel_sums import ChannelSums
from litconv.diagnostics.covariance import Covariance

# Those that follow a convolution. A sigmoid is a gate or a probability, no activation of channels.
NONLINEARITIES = frozenset(
    f"aten::{name}{suffix}"
    for name in ("relu", "hardtanh", "leaky_relu", "gelu", "silu", "hardswish", "elu", "mish", "_prelu_kernel")
    for suffix in ("", "_")
)


@dataclass(frozen=True)
class Groups:
    """Of a grouped convolution's own output, whose channels lie group after group: before any shuffle, residual or
    nonlinearity. A norm that follows it scales and shifts each channel, which no |ρ| sees."""

    groups: int
    covariance: Covariance

    @property
    def channels(self) -> int:
        return len(self.covariance.sum)


class LayersWatched(TorchDispatchMode):
    """Inside, `activations[layer]` grows with every map (N, C, H, W) that leaves a nonlinearity, `grouped[layer]` with every
    one that leaves a convolution whose groups have several channels each, of its input and of its output.

    A layer has the name of the innermost module that computes it; the second one of the same module ends in #2.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.activations: dict[str, ChannelSums] = {}
        self.grouped: dict[str, Groups] = {}
        self.inside: list[str] = []
        self.calls: Counter[tuple[str, str]] = Counter()
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
        if isinstance(out, Tensor) and out.ndim == 4:  # the mode is off in here
            operation = func.name().partition(".")[0]
            if operation in NONLINEARITIES:
                self.note_activation(out)
            elif operation == "aten::convolution":
                groups = args[8]
                if 1 < groups < min(args[0].shape[1], out.shape[1]):
                    self.note_grouped(out, groups)
        return out

    def note_activation(self, activation: Tensor) -> None:
        layer = self.layer("activation")
        if layer not in self.activations:
            self.activations[layer] = ChannelSums(activation.shape[1], activation.device)
        self.activations[layer].add(activation)

    def note_grouped(self, out: Tensor, groups: int) -> None:
        layer = self.layer("grouped")
        if layer not in self.grouped:
            self.grouped[layer] = Groups(groups, Covariance(out.shape[1], out.device))
        self.grouped[layer].covariance.add(out)

    def layer(self, kind: str) -> str:
        name = self.inside[-1]
        self.calls[kind, name] += 1
        call = self.calls[kind, name]
        return name if call == 1 else f"{name}#{call}"
