"""A backbone and a head: images (N, C, H, W) to logits (N, classes) or (N, classes, H, W)."""

from torch import Tensor, nn

from litconv.backbones import Backbone


class Model(nn.Module):
    def __init__(self, backbone: Backbone, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.backbone(x), x.shape[-2:])
