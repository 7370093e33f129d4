"""Second and third opinion on a count: FlopCounterMode, and the closed forms of slots, convolutions and linear layers.

Two counters can agree on a wrong answer: a sum of products that is written as a multiplication and a sum is invisible to
both. The closed forms see it; so a model that has slots (modules with a `formula`) is held to them as well.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache

from torch import nn

from litconv.conv.slot import CONVOLUTIONS, TRANSPOSED, HasFormula
from litconv.cost.products import MACS
from litconv.cost.witness import Shape, Witness

SHOWN = 8


@cache
def has_formula(kind: type[nn.Module]) -> bool:
    return issubclass(kind, HasFormula)


def slots(model: nn.Module) -> list[str]:
    """The outermost modules with a `formula`."""
    outermost: list[str] = []
    for name, module in model.named_modules():
        if has_formula(type(module)) and not any(inside(name, slot) for slot in outermost):
            outermost.append(name)
    return outermost


def inside(name: str, ancestor: str) -> bool:
    return ancestor == "" or name == ancestor or name.startswith(f"{ancestor}.")


def closed_form(module: nn.Module, calls: list[tuple[Shape, Shape]]) -> int | None:
    """MACs of all calls of one module; None for a module that has no closed form."""
    if has_formula(type(module)):
        return sum(shape[0] * module.formula(*shape[-2:]).macs for shape, _ in calls)
    if isinstance(module, TRANSPOSED):
        return sum(module.weight.numel() * shape[0] * math.prod(shape[2:]) for shape, _ in calls)
    if isinstance(module, CONVOLUTIONS):
        return sum(module.weight.numel() * shape[0] * math.prod(shape[2:]) for _, shape in calls)
    if isinstance(module, nn.Linear):
        return sum(module.weight.numel() * math.prod(shape[:-1]) for _, shape in calls)
    return None


def own(macs: Mapping[str, int], model: nn.Module) -> dict[str, int]:
    """What each module computes itself, its children left out."""
    macs_of = {}
    for name, module in model.named_modules():
        children = (f"{name}.{child}" if name else child for child, _ in module.named_children())
        macs_of[name] = macs.get(name, 0) - sum(macs.get(child, 0) for child in children)
    return macs_of


def second_opinion(model: nn.Module, counts: Mapping[str, Counter], witness: Witness) -> tuple[bool, str]:
    """Whether all agree, and a line that says so or names the layers that differ."""
    fvcore = {name: int(counter[MACS]) for name, counter in counts.items()}
    held_to_formulas = bool(slots(model))
    opinions = "fvcore, FlopCounterMode" + (f", closed forms{formless(model, fvcore)}" if held_to_formulas else "")
    differing = list(two_counters(model, fvcore, witness.macs))
    if held_to_formulas:
        differing += closed_forms(model, fvcore, witness)
    if not differing and fvcore[""] != witness.macs.get("", 0):
        differing = [f"the whole model (fvcore {fvcore['']:,}, FlopCounterMode {witness.macs.get('', 0):,})"]
    if not differing:
        return True, f"agrees: {opinions}"
    more = f"; and {len(differing) - SHOWN} more" if len(differing) > SHOWN else ""
    return False, f"differs: {'; '.join(differing[:SHOWN])}{more}"


def two_counters(model: nn.Module, fvcore: Mapping[str, int], torch: Mapping[str, int]) -> Iterator[str]:
    if fvcore[""] == torch.get("", 0):
        return  # a module that is used twice has one name here and another there
    mine, theirs = own(fvcore, model), own(torch, model)
    for name, macs in mine.items():
        if macs != theirs[name]:
            yield f"{name or 'the model itself'} (fvcore {macs:,}, FlopCounterMode {theirs[name]:,})"


def formless(model: nn.Module, fvcore: Mapping[str, int]) -> str:
    """The kinds of modules that multiply by themselves and have no closed form, such as attention: two counters know them."""
    outermost, itself = slots(model), own(fvcore, model)
    kinds = Counter(
        type(module).__name__
        for name, module in model.named_modules()
        if itself[name] and closed_form(module, []) is None and not any(inside(name, slot) for slot in outermost)
    )
    return f" (but of {', '.join(f'{kind} ×{times}' for kind, times in kinds.items())})" if kinds else ""


def closed_forms(model: nn.Module, fvcore: Mapping[str, int], witness: Witness) -> Iterator[str]:
    outermost = slots(model)
    itself = own(fvcore, model)
    for name, module in model.named_modules():
        slot = name in outermost
        if not slot and any(inside(name, other) for other in outermost):
            continue
        expected = closed_form(module, witness.calls.get(name, []))
        counted = fvcore.get(name, 0) if slot else itself[name]
        if expected is not None and expected != counted:
            yield f"{name or 'the model itself'} (fvcore {counted:,}, closed form {expected:,})"
        if slot and (params := sum(p.numel() for p in module.parameters())) != module.formula(1, 1).params:
            yield f"{name} ({params:,} params, closed form {module.formula(1, 1).params:,})"
