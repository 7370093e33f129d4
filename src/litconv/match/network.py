"""A configuration's network at other sizes: which there are, and the configuration that builds it."""

from math import lcm
from typing import Any

import torch

from litconv import build
from litconv.config import composed
from litconv.match.sizes import Candidate, Sizes, own_multiple


class Network:
    """`published` are the backbone's channels at width 1; `nominal` is followed by a head's hidden ones, which keep
    their proportion to the backbone's at the width that was asked for."""

    def __init__(self, config: Any, in_channels: int) -> None:
        self.config, self.part = config, composed.of_model(config)
        backbone = self.backbone(in_channels)
        self.published = self.backbone(in_channels, width=1).base_channels
        self.first_stage = len(self.published) - len(backbone.channels)  # 1 where the stem has channels of its own
        hidden = [config.head.hidden] if "hidden" in config.head else []
        self.nominal = [*self.published, *(channels / config.width for channels in hidden)]
        self.asked = Candidate(config.width, self.usual_multiple, (*backbone.base_channels, *hidden))

    def backbone(self, in_channels: int, **changed: Any) -> Any:
        """Of standard convolutions: the operator itself need not fit it."""
        twin = composed.with_standard(self.config)
        with torch.device("meta"):
            conv = build.part(twin.conv)
            return build.part(twin.backbone, conv=conv, in_channels=in_channels, **changed)

    @property
    def usual_multiple(self) -> int:
        return self.config.backbone.get("channel_multiple", 8)

    @property
    def own_multiple(self) -> int:
        return lcm(*map(own_multiple, build.operators(self.config)))

    def sized(self, sizes: Sizes) -> Any:
        """The configuration that builds it; as asked where nothing changes."""
        return self.config if sizes == self.asked.sizes else composed.with_values(self.config, self.values(sizes))

    def model(self, sizes: Sizes) -> Any:
        """The part of it that the model is built from."""
        return self.part if sizes == self.asked.sizes else composed.with_values(self.part, self.values(sizes))

    def values(self, sizes: Sizes) -> dict[str, Any]:
        base, hidden = self.split(sizes)
        values = {"backbone.base_channels": list(base), "backbone.width": 1.0}
        return values | ({"head.hidden": hidden[0]} if hidden else {})

    def split(self, sizes: Sizes) -> tuple[Sizes, Sizes]:
        """The backbone's, and the head's where it has any."""
        return sizes[: len(self.published)], sizes[len(self.published) :]

    def layer(self, index: int) -> str:
        number = index - self.first_stage + 1
        return f"stage {number}" if number else "the stem"
