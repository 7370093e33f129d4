"""What a foreign backbone is: somebody else's network, its convolutions swapped for the run's operator.

Its weights are its own: drawn as its library draws them, from a generator of the run's seed, or loaded. Nothing draws them anew
(`keeps_weights`), so that arms differ in the layers that are swapped alone. Those are drawn by seed and name, or begin as `init`
says.

A class says: `tasks`, for which it serves; `own_head`, those for which it is the whole network, logits included;
`own_head_option`, an option of its own that is null where litconv's head is wanted all the same.
"""

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from litconv.conv.slot import ConvFactory
from litconv.errors import ConfigError, did_you_mean
from litconv.surgery.operators import kind_of, label
from litconv.surgery.probing import inputs_of, usual_shape
from litconv.surgery.swapping import operate
from litconv.surgery.where import Layer, chooser

Start = Literal["copy", "from_dense"]


def library(name: str) -> ModuleType:
    """Imported when it is needed; it need not be installed."""
    if find_spec(name) is None:
        raise ConfigError(f"backbone needs the library {name}, which is not installed: pip install 'litconv[models]'")
    return import_module(name)


def constructed(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    """With its library's own weights, drawn from this seed; the global generator goes on as before."""
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)
        device = torch.get_default_device()
        try:
            return make()
        except (NotImplementedError, RuntimeError):  # some constructors read values, which the meta device has not
            if device.type != "meta":
                raise
        with torch.device("cpu"):
            return make().to(device)


def has_values() -> bool:
    """Whether what is built now will hold weights; on the meta device only shapes are of interest."""
    return torch.get_default_device().type != "meta"


def known(name: str, names: Iterable[str], what: str) -> str:
    """The name, or a refusal with those that are near."""
    names = list(names)
    if name in names:
        return name
    raise ConfigError(
        f"{what}={name}: unknown{did_you_mean(name, names, most=3)}; there are {len(names)}: {', '.join(names[:5])}, …"
    )


def swapped(
    network: nn.Module,
    conv: ConvFactory,
    stage_convs: Mapping[int, ConvFactory],
    in_channels: int,
    where: Mapping[str, Any],
    init: Start,
    fit_groups: bool,
    seed: int,
) -> "Swapped":
    """In place."""
    stages: set[int] = set()

    def operator_at(layer: Layer) -> ConvFactory:
        stages.add(layer.stage)
        return stage_convs.get(layer.stage, conv)

    _, _, *size = usual_shape(network)
    inputs = inputs_of(network, (1, in_channels, *size))
    try:
        report = operate(network, operator_at, chooser(where or None), init, fit_groups, inputs, seed, label(conv))
    except ConfigError as error:  # which names the arguments of `litconv.swap`
        raise ConfigError(f"{error} (in a run: backbone.where.…, backbone.fit_groups)") from error
    for number in sorted(set(stage_convs) - stages):
        there = ", ".join(map(str, sorted(stages))) or "none"
        raise ConfigError(f"conv_stage{number} has no effect: this model's stages with a layer to swap are {there}")
    names = {row.operator for row in report.swapped}
    kinds = {kind_of(made) for made in (conv, *stage_convs.values()) if label(made) in names}
    return Swapped(report, frozenset(kinds))


class Swapped:
    """What was done to a network, and which operators' classes stand in it."""

    def __init__(self, report: Any, operators: frozenset[Any]) -> None:
        self.report, self.operators = report, operators


def to_multiple(x: Tensor, stride: int) -> Tensor:
    """Zeros below and to the right until both sides are multiples: maps of all strides then fit each other."""
    below, right = (-side % stride for side in x.shape[-2:])
    return F.pad(x, (0, right, 0, below)) if below or right else x
