"""The network of a configuration: a backbone and a head, their slots filled with the operators that were chosen."""

from collections.abc import Callable

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from litconv.backbones import Backbone
from litconv.build.objects import part
from litconv.config.composed import STAGES, brings_own_head, takes
from litconv.conv.initial import initialise
from litconv.heads.own import Own


class Model(nn.Module):
    """Images (N, C, H, W) to logits (N, classes) or (N, classes, H, W)."""

    def __init__(self, backbone: Backbone | nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.backbone(x), x.shape[-2:])


def assemble(config: DictConfig, in_channels: int, num_classes: int) -> Model:
    """With PyTorch's own weights, on the current device; on the meta device it takes no memory."""
    conv = part(config.conv)
    stages = {n: part(node) for n in STAGES if (node := config.get(f"conv_stage{n}")) is not None}
    if brings_own_head(config):
        facts = {"in_channels": in_channels, "num_classes": num_classes, "stage_convs": stages}
        return Model(part(config.backbone, conv=conv, **facts), Own())
    backbone = part(config.backbone, conv=conv, in_channels=in_channels, stage_convs=stages)
    slots = {"conv": conv} if takes(config.head, "conv") else {}
    if takes(config.head, "upsample"):
        slots["upsample"] = part(config.upsample)
    head = part(config.head, channels=backbone.channels, strides=backbone.strides, num_classes=num_classes, **slots)
    return Model(backbone, head)


def on_meta(config: DictConfig, in_channels: int, num_classes: int) -> Model:
    """Shapes without memory."""
    with torch.device("meta"):
        return assemble(config, in_channels, num_classes)


def model(config: DictConfig, in_channels: int, num_classes: int) -> Model:
    """Initialised from the seed, in the memory format that the configuration asks for."""
    built = assemble(config, in_channels, num_classes)
    initialise(built, config.seed)
    return built.to(memory_format=memory_format(config))


def operators(config: DictConfig) -> list[Callable]:
    """The one of `conv=` and those of single stages, with their options bound."""
    return [
        part(node) for key in ("conv", *(f"conv_stage{n}" for n in STAGES)) if (node := config.get(key)) is not None
    ]


def memory_format(config: DictConfig) -> torch.memory_format:
    """Of `auto`, where nothing is measured, channels_last."""
    return torch.contiguous_format if config.memory_format == "contiguous" else torch.channels_last
