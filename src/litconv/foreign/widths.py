"""The width of somebody else's model, where its constructor has one: channels that litconv can choose.

timm's ResNets take the channels of their stages (`channels`, before any expansion; the stem stays), its ConvNeXts theirs
(`dims`), torchvision's MobileNets a factor (`width_mult`), said here as the channels of their last block.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from litconv.backbones.stages import choose_channels
from litconv.errors import ConfigError

MULTIPLE = 8
LAST_BLOCK = {"mobilenet_v2": 320, "mobilenet_v3_large": 160, "mobilenet_v3_small": 96}


@dataclass(frozen=True)
class Width:
    published: tuple[int, ...]
    options: Callable[[list[int]], dict[str, Any]]  # channels → arguments of the constructor

    def chosen(self, width: float, given: Sequence[int]) -> list[int]:
        return choose_channels(self.published, width, MULTIPLE, given)


def of_timm(timm: Any, name: str) -> Width | None:
    family = timm.models.model_entrypoint(name.partition(".")[0]).__module__.rpartition(".")[2]
    if family == "resnet":
        return Width((64, 128, 256, 512), lambda channels: {"channels": tuple(channels)})
    if family == "convnext":
        with torch.device("meta"):
            stages = timm.create_model(name).feature_info
        return Width(tuple(stage["num_chs"] for stage in stages), lambda channels: {"dims": tuple(channels)})
    return None


def of_torchvision(name: str) -> Width | None:
    last = LAST_BLOCK.get(name)
    return None if last is None else Width((last,), lambda channels: {"width_mult": channels[0] / last})


def settle(
    width_of: Width | None, width: float, base_channels: Sequence[int], name: str, options: Mapping[str, Any]
) -> tuple[list[int], Mapping[str, Any]]:
    """The channels of the model of this name (none where it has no width of its own), and the arguments of its constructor."""
    if width_of is None:
        refuse(width, base_channels, f"backbone.name={name}", "choose another backbone.name")
        return [], options
    base = width_of.chosen(width, base_channels)
    return base, options if base == list(width_of.published) else {**options, **width_of.options(base)}


class Varied:
    """Of a backbone with `name` and `base`, its channels."""

    name: str
    base: list[int]

    @property
    def base_channels(self) -> list[int]:
        """What `match=` varies."""
        if not self.base:
            raise nothing_to_vary(f"backbone.name={self.name}")
        return self.base


def refuse(width: float, base_channels: Sequence[int], what: str, instead: str) -> None:
    """Of a model that is as wide as its name says."""
    if width != 1:
        raise ConfigError(f"width={width} has no effect: {what} has no width of its own; {instead}")
    if base_channels:
        raise ConfigError(f"backbone.base_channels={list(base_channels)} has no effect: {what} has none; {instead}")


def nothing_to_vary(what: str) -> ConfigError:
    return ConfigError(
        f"match= has nothing to vary: {what} has no width of its own; remove match, or choose a model that has"
    )
