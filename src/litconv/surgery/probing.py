"""A probe image through a copy of the model: which convolutions run, in which order, at which sizes, and who reads their weights.

The model itself is not run. The copy lies on the meta device where its forward can run there, else on the CPU.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from litconv.cost.observed import Observed
from litconv.cost.replica import ordinary_algorithms, replica, untouched
from litconv.errors import ConfigError

USUAL_SIZE = 224
Shape = tuple[int, ...]


@dataclass
class Seen:
    outputs: list[Shape] = field(default_factory=list)  # of the model
    calls: dict[str, list[Shape]] = field(default_factory=dict)  # of each module that was asked after, what it put out
    readers: dict[str, str] = field(default_factory=dict)  # module → who reads its weight without calling it


def probe_image(model: nn.Module, probe: Tensor | Sequence[int] | None) -> Shape:
    """The shape that was given; else one image, as large as the model says (timm) or 224×224."""
    if isinstance(probe, Tensor):
        return tuple(probe.shape)
    if probe is not None:
        return tuple(probe)
    said = getattr(model, "pretrained_cfg", None)
    size = said.get("input_size") if isinstance(said, Mapping) else None
    first = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    channels = first.in_channels if first is not None else 3
    return (1, channels, *(size[1:] if size else (USUAL_SIZE, USUAL_SIZE)))


def see(model: nn.Module, names: Sequence[str], shape: Shape, watch_reads: bool = True) -> Seen:
    """What happens to the modules of these names."""
    failure = None
    on_meta = any(parameter.is_meta for parameter in model.parameters())
    with untouched(), ordinary_algorithms():
        for device in ("meta",) if on_meta else ("meta", "cpu"):
            try:
                return run(
                    replica(model, device, deployed=False), names, torch.zeros(shape, device=device), watch_reads
                )
            except Exception as error:  # a model's forward can raise anything
                failure = error
    reason = " ".join(f"{type(failure).__name__}: {failure}".split())[:300]
    raise ConfigError(
        f"the model's forward fails on a probe image of {'×'.join(map(str, shape))} ({reason}); give an image that it takes, as "
        "probe=(1, channels, height, width)"
    ) from failure


def run(copied: nn.Module, names: Sequence[str], x: Tensor, watch_reads: bool) -> Seen:
    seen = Seen()
    for name in names:
        watch(copied.get_submodule(name), name, seen, watch_reads)
    with Observed():
        seen.outputs = [tuple(leaf.shape) for leaf in tree_leaves(copied(x)) if isinstance(leaf, Tensor)]
    return seen


def watch(module: nn.Module, name: str, seen: Seen, watch_reads: bool) -> None:
    running: list[bool] = []

    def enter(*_: Any) -> None:
        running.append(True)

    def leave(_: nn.Module, inputs: tuple, output: Any) -> None:
        running.pop()
        seen.calls.setdefault(name, []).append(tuple(output.shape))

    def read(self: nn.Module, attribute: str) -> Any:
        if attribute in ("weight", "bias") and not running:
            owner = inspect.currentframe().f_back.f_locals.get("self")
            seen.readers.setdefault(name, type(owner).__name__ if isinstance(owner, nn.Module) else "another module")
        return nn.Module.__getattr__(self, attribute)

    module.register_forward_pre_hook(enter)
    module.register_forward_hook(leave)
    if watch_reads:
        kind = type(module)
        module.__class__ = type(kind.__name__, (kind,), {"__getattr__": read, "__module__": kind.__module__})
