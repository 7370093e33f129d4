"""One forward, watched: what FlopCounterMode's formulas count in every module, the shapes that go in and out of it, the
receptive field of what comes out, how many bytes of activations are alive at once, and what is slow elsewhere."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from litconv.cost.dispatched import Products
from litconv.cost.hazards import Hazard, Hazards
from litconv.cost.live import Buffers, Peak
from litconv.cost.observed import Observed
from litconv.cost.receptive_field import FieldsFollowed, size

Shape = tuple[int, ...]


@dataclass
class Witness:
    macs: dict[str, int]  # of every module with its children; "" is the model
    calls: dict[str, list[tuple[Shape, Shape]]] = field(default_factory=dict)  # in and out, for every call
    receptive_field: int | str | None = None
    peak: Peak | None = None  # None: it cannot be derived
    hazards: list[Hazard] = field(default_factory=list)
    output: Shape | None = None  # of the model; None: it puts out something else than one tensor


def watch(model: nn.Module, x: Tensor) -> Witness:
    """`model` is a copy; where its forward raises, it is of no more use."""
    witness = Witness({})
    seen, products, buffers = FieldsFollowed(x), Products(), Buffers(x)
    hazards = Hazards(products.running)
    names = {module: name for name, module in model.named_modules()}

    def enter(module: nn.Module, inputs: tuple) -> None:
        products.running.append(names[module])

    def leave(module: nn.Module, inputs: tuple, output: Any) -> None:
        products.running.pop()
        shapes = [tuple(leaf.shape) for value in (inputs, output) for leaf in tensors(value)[:1]]
        if len(shapes) == 2:
            witness.calls.setdefault(names[module], []).append((shapes[0], shapes[1]))

    def note_field(module: nn.Module, inputs: tuple, output: Any) -> None:
        maps = [leaf for leaf in tensors(output) if leaf.ndim == 4]
        witness.receptive_field = size(seen[maps[-1]]) if maps else None

    hooks = [module.register_forward_pre_hook(enter) for module in names]
    hooks += [module.register_forward_hook(leave) for module in names]
    hooks.append(getattr(model, "backbone", model).register_forward_hook(note_field))
    with Observed(products, seen, buffers, hazards):
        out = model(x)
    for hook in hooks:
        hook.remove()
    witness.macs = {**products.macs_of, "": products.macs}
    witness.output = tuple(out.shape) if isinstance(out, Tensor) else None
    witness.peak, witness.hazards = buffers.peak(tensors(out)), hazards.found()
    return witness


def tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
