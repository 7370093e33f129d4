"""Which convolutions a model has, which of them are ordinary, and why the others stay."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import is_parametrized

from litconv.conv.slot import HasFormula
from litconv.cost.replica import wrapped_by
from litconv.errors import ConfigError
from litconv.surgery.dense import Dense, adapter_of
from litconv.surgery.placed import Placed
from litconv.surgery.probing import Seen
from litconv.surgery.report import Row
from litconv.surgery.where import Layer

UNCALLED = "the forward does not call it"
FIRST = "the first convolution"
ELSEWHERE = "not among those of where="
COMPUTED = "its weight is computed before every use (weight_norm, spectral_norm, pruning); remove that first"
OTHER = (nn.Conv1d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class Candidate(NamedTuple):
    name: str
    layer: nn.Conv2d
    dense: Dense


def require_module(model: object) -> None:
    if not isinstance(model, nn.Module):
        what = f"the class {model.__name__}" if isinstance(model, type) else f"a {type(model).__name__}"
        raise ConfigError(f"model is {what}; give the nn.Module itself, such as timm.create_model('resnet18')")


def require_open(model: nn.Module) -> None:
    """Whose layers can be taken out and put in."""
    if isinstance(model, nn.Conv2d):
        raise ConfigError(
            "the model is itself one convolution, which has no place of its own; put it into nn.Sequential"
        )
    for name, module in model.named_modules():
        if wrapped_by(module) is not None:
            raise ConfigError(
                f"{name or 'the model'} is wrapped by {type(module).__name__}; swap first, wrap afterwards"
            )
        if isinstance(module, torch.jit.ScriptModule):
            raise ConfigError(f"{name or 'the model'} is TorchScript, which is closed; swap first, script afterwards")
    if any(map(is_lazy, model.parameters())):
        raise ConfigError("the model has lazy layers, whose channels its first forward decides; run it once, then swap")


def surveyed(model: nn.Module) -> tuple[dict[str, Row], dict[str, Candidate]]:
    """Every convolution by its first name: what is settled at once, and the ordinary ones."""
    rows: dict[str, Row] = {}
    candidates: dict[str, Candidate] = {}
    inner = set(inside_operators(model))
    uses = Counter(id(p) for m in model.modules() for p in m.parameters(recurse=False))
    for name, module in model.named_modules():
        if module in inner:
            continue
        if isinstance(module, OTHER):
            rows[name] = Row(
                name, type(module).__name__, "kept", "", f"a {type(module).__name__}, no two-dimensional convolution"
            )
        elif isinstance(module, nn.Conv2d):
            fate = settled(module, uses)
            if fate is None:
                candidates[name] = Candidate(name, module, adapter_of(module)(module))
            else:
                rows[name] = Row(
                    name, sizes(module.kernel_size, module.in_channels, module.out_channels, module.stride), *fate
                )
    return rows, candidates


def inside_operators(model: nn.Module) -> Iterator[nn.Module]:
    """Layers of operators that are there already."""
    for module in model.modules():
        if (isinstance(module, HasFormula) and adapter_of(module) is None) or isinstance(module, Placed):
            yield from module.modules()


def settled(layer: nn.Conv2d, uses: Counter[int]) -> tuple[str, str, str] | None:
    """Fate, operator and reason of what no image is needed for."""
    if tuple(layer.kernel_size) == (1, 1):
        return "kept", "", "1×1"
    why = ""
    if is_parametrized(layer):
        why = COMPUTED
    elif adapter_of(layer) is None:
        why = f"{type(layer).__name__} is a subclass of nn.Conv2d with a forward of its own, and has no adapter"
    elif "weight" not in dict(layer.named_parameters(recurse=False)):
        why = COMPUTED
    elif uses[id(layer.weight)] > 1:
        why = "its weight is shared with another layer"
    if why and layer.groups > 1:
        return "kept", "", already(layer)
    return ("refused", "", why) if why else None


def already(layer: nn.Conv2d) -> str:
    is_depthwise = layer.groups in (layer.in_channels, layer.out_channels)
    return "depthwise already" if is_depthwise else f"grouped already ({layer.groups} groups)"


def as_met(candidates: dict[str, Candidate], seen: Seen) -> Iterator[Layer]:
    """In the order of the forward."""
    order = list(seen.calls)
    areas = sorted({-shape[-1] * shape[-2] for name in order[1:] for shape in seen.calls[name]})
    for name in order:
        if name in candidates:
            _, module, dense = candidates[name]
            area = -seen.calls[name][0][-1] * seen.calls[name][0][-2]
            yield Layer(
                name,
                module,
                dense.geometry.kernel,
                dense.groups,
                areas.index(area) + 1 if area in areas else 1,
                name == order[0],
            )


def unfit(
    candidate: Candidate, layer: Layer | None, seen: Seen, is_meant: Callable[[Layer], bool]
) -> tuple[str, str, str] | None:
    """Fate, operator and reason of a layer that stays."""
    if layer is None:
        reader = seen.readers.get(candidate.name)
        return ("refused", "", f"{reader} reads its weight without calling it") if reader else ("kept", "", UNCALLED)
    if not is_meant(layer):
        if layer.is_first:
            return "kept", "", FIRST
        return "kept", "", already(candidate.layer) if layer.groups > 1 else ELSEWHERE
    if reader := seen.readers.get(candidate.name):
        return "refused", "", f"{reader} reads its weight without calling it"
    return None


def shown(dense: Dense) -> str:
    return sizes(dense.geometry.kernel, *dense.channels, dense.geometry.stride)


def sizes(kernel: Sequence[int], ins: int, outs: int, stride: Sequence[int]) -> str:
    strided = f", stride {'×'.join(map(str, dict.fromkeys(stride)))}" if tuple(stride) != (1, 1) else ""
    return f"{'×'.join(map(str, kernel))}, {ins} → {outs}{strided}"
