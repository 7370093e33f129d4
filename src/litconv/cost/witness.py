"""One forward, watched: what FlopCounterMode counts in every module, the shapes that go in and out of it, and the
receptive field of what comes out."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from litconv.cost.products import torch_formulas
from litconv.cost.receptive_field import FieldsFollowed, size
from litconv.cost.tracing import ShapesAlone

Shape = tuple[int, ...]


@dataclass
class Witness:
    macs: dict[str, int]  # of every module with its children, by FlopCounterMode; "" is the model
    calls: dict[str, list[tuple[Shape, Shape]]] = field(default_factory=dict)  # in and out, for every call
    receptive_field: int | str | None = None


def watch(model: nn.Module, x: Tensor) -> Witness:
    """`model` is a copy; where its forward raises, it is of no more use."""
    witness = Witness({})
    seen = FieldsFollowed(x)
    names = {module: name for name, module in model.named_modules()}

    def note(module: nn.Module, inputs: tuple, output: Any) -> None:
        shapes = [tuple(leaf.shape) for value in (inputs, output) for leaf in tensors(value)[:1]]
        if len(shapes) == 2:
            witness.calls.setdefault(names[module], []).append((shapes[0], shapes[1]))

    def note_field(module: nn.Module, inputs: tuple, output: Any) -> None:
        maps = [leaf for leaf in tensors(output) if leaf.ndim == 4]
        witness.receptive_field = size(seen[maps[-1]]) if maps else None

    hooks = [module.register_forward_hook(note) for module in names]
    hooks.append(getattr(model, "backbone", model).register_forward_hook(note_field))
    with ShapesAlone(), FlopCounterMode(display=False, custom_mapping=torch_formulas()) as counter, seen:
        model(x)
    for hook in hooks:
        hook.remove()
    root = type(model).__name__
    for name, by_operation in counter.get_flop_counts().items():
        flops = sum(by_operation.values())
        if name == "Global":
            witness.macs[""] = flops // 2
        elif name.startswith(f"{root}."):
            witness.macs[name.removeprefix(f"{root}.")] = flops // 2
    return witness


def tensors(value: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
