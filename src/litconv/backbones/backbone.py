"""What every backbone is: a stem, then stages `stage1`, `stage2`, …, each giving one feature map.

Heads read `.channels` and `.strides` (one entry per stage, coarse last) and nothing else. `.base_channels` is what the
argument of that name sets: the published channels at the given width, a stem of its own first, before any expansion.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from litconv.backbones.stages import Geometry


class Backbone(nn.Module):
    def __init__(
        self,
        stem: nn.Module,
        stages: Sequence[nn.Module],
        channels: Sequence[int],
        plan: Sequence[Geometry],
        *,
        base_channels: Sequence[int],
    ) -> None:
        super().__init__()
        self.stem = stem
        for number, stage in enumerate(stages, start=1):
            self.add_module(f"stage{number}", stage)
        self.channels = list(channels)
        self.base_channels = list(base_channels)
        self.strides = [geometry.total_stride for geometry in plan]

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem(x)
        features = []
        for number in range(1, len(self.channels) + 1):
            x = getattr(self, f"stage{number}")(x)
            features.append(x)  # (N, channels[i], ⌈H/strides[i]⌉, ⌈W/strides[i]⌉)
        return features
