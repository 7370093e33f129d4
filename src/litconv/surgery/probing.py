"""A probe image, or whatever else the forward takes, through a copy of the model: which convolutions run, in which order, at
which sizes, and who reads their weights.

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


Probe = Tensor | Sequence[int] | Sequence[Tensor] | None
Inputs = tuple[Tensor, ...]  # of a forward; on the meta device where their values do not matter


@dataclass
class Seen:
    outputs: list[Shape] = field(default_factory=list)  # of the model
    calls: dict[str, list[Shape]] = field(default_factory=dict)  # of each module that was asked after, what it put out
    readers: dict[str, str] = field(default_factory=dict)  # module → who reads its weight without calling it


class ForwardError(Exception):
    """A model's forward has raised something; `seen` is what happened until then."""

    def __init__(self, reason: str, seen: Seen) -> None:
        super().__init__(reason)
        self.seen = seen


def inputs_of(model: nn.Module, probe: Probe) -> Inputs:
    if isinstance(probe, Tensor):
        return (probe,)
    parts = tuple(probe) if isinstance(probe, Sequence) else usual_shape(model) if probe is None else ()
    if parts and all(isinstance(part, Tensor) for part in parts):
        return parts
    if not parts or not all(isinstance(part, int) for part in parts):
        raise ConfigError(
            f"probe={probe!r} must be an image, its shape, such as (1, 3, 224, 224), or all that the forward takes"
        )
    return (torch.empty(parts, device="meta"),)


def usual_shape(model: nn.Module) -> Shape:
    """One image, as large as the model says or 224×224."""
    said = getattr(model, "pretrained_cfg", None)  # of timm's; transformers say for which size they were built
    size = built_for(model) or (said.get("input_size", ())[1:] if isinstance(said, Mapping) else ())
    first = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    channels = first.in_channels if first is not None else 3
    return (1, channels, *(size or (USUAL_SIZE, USUAL_SIZE)))


def built_for(model: nn.Module) -> tuple[int, int] | None:
    """As timm's and torchvision's transformers say it."""
    said = (getattr(module, name, None) for module in model.modules() for name in ("img_size", "image_size"))
    sizes = ((size, size) if isinstance(size, int) else size for size in said)
    return next((size for size in sizes if isinstance(size, tuple) and len(size) == 2), None)


def see(model: nn.Module, names: Sequence[str], inputs: Inputs, watch_reads: bool = True) -> Seen:
    """What happens to the modules of these names. Raises a ForwardError."""
    on_meta = any(parameter.is_meta for parameter in model.parameters())
    with untouched(), ordinary_algorithms():
        for device in ("meta",) if on_meta else ("meta", "cpu"):
            seen = Seen()
            try:
                copied = replica(model, device, deployed=False)
                for name in names:
                    watch(copied.get_submodule(name), name, seen, watch_reads)
                with Observed():
                    outputs = tree_leaves(copied(*(moved(x, device) for x in inputs)))
            except Exception as error:  # a model's forward can raise anything
                failure = error
                continue
            seen.outputs = [tuple(leaf.shape) for leaf in outputs if isinstance(leaf, Tensor)]
            return seen
    raise ForwardError(" ".join(f"{type(failure).__name__}: {failure}".split())[:300], seen) from failure


def moved(x: Tensor, device: str) -> Tensor:
    """Floating-point values as the copy's."""
    dtype = torch.float32 if x.is_floating_point() else x.dtype
    return torch.zeros(x.shape, dtype=dtype, device=device) if x.is_meta else x.detach().to(device, dtype)


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
            seen.readers.setdefault(
                name, type(owner).__name__ if isinstance(owner, nn.Module) else "a hook or a function"
            )
        return nn.Module.__getattr__(self, attribute)

    # The last before the layer, and the first behind it: hooks that are there read, too.
    module.register_forward_pre_hook(enter)
    module.register_forward_hook(leave, prepend=True)
    if watch_reads:
        kind = type(module)
        module.__class__ = type(kind.__name__, (kind,), {"__getattr__": read, "__module__": kind.__module__})
