"""The table of layers: every slot, and outside the slots every module that holds parameters or computes MACs itself."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields

from torch import nn

from litconv.cost.opinions import inside, own, slots
from litconv.cost.products import MACS
from litconv.cost.witness import Shape, Witness


@dataclass(frozen=True)
class Layer:
    name: str
    operator: str
    shape_in: str  # of the first call, without the batch
    shape_out: str
    params: int
    macs: int  # of all calls
    share: float  # of the model's MACs

    @classmethod
    def columns(cls) -> list[str]:
        return [field.name for field in fields(cls)]

    def row(self) -> list[str | int | float]:
        return list(astuple(self))


def layers(model: nn.Module, counts: Mapping[str, Counter], witness: Witness) -> list[Layer]:
    """In the order of the forward; params and MACs add up to the model's."""
    macs = {name: int(counter[MACS]) for name, counter in counts.items()}
    itself, outermost, total = own(macs, model), slots(model), macs[""]
    seen: set[int] = set()
    rows = {}
    for name, module in model.named_modules():
        slot = name in outermost
        if not slot and any(inside(name, other) for other in outermost):
            continue
        parameters = [p for p in module.parameters(recurse=slot) if id(p) not in seen]
        seen.update(map(id, parameters))
        params, counted = sum(p.numel() for p in parameters), macs.get(name, 0) if slot else itself[name]
        if params or counted:
            shapes = witness.calls.get(name, [((), ())])[0]
            rows[name] = Layer(name, type(module).__name__, *map(by, shapes), params, counted, counted / max(total, 1))
    order = [name for name in witness.calls if name in rows]
    return [rows[name] for name in (*order, *(name for name in rows if name not in witness.calls))]


def by(shape: Shape) -> str:
    """(1, 64, 32, 32) → 64×32×32"""
    return "×".join(map(str, shape[1:]))
