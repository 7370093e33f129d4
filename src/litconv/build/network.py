"""A backbone and a head: images (N, C, H, W) to logits (N, classes) or (N, classes, H, W)."""

from torch import Tensor, nn

from litconv.backbones import Backbone
from litconv.errors import ConfigError


class Model(nn.Module):
    def __init__(self, backbone: Backbone, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.backbone(x), x.shape[-2:])


def check_size(model: nn.Module, image_size: tuple[int, int]) -> None:
    stride = max(getattr(getattr(model, "backbone", None), "strides", [1]))
    if min(image_size) < stride:
        height, width = image_size
        raise ConfigError(
            f"data.image_size={height}x{width} is smaller than the backbone's stride of {stride}, which leaves less "
            f"than one value of it; use at least {stride}, or backbone.output_stride={largest_power(min(image_size))}"
        )


def largest_power(size: int) -> int:
    return 1 << (size.bit_length() - 1)
