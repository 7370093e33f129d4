"""`include_preprocessing`: the file takes images as Pillow and numpy hold them, and normalises them itself."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Preprocessing(nn.Module):
    """uint8 (or uint16) RGB or grey images (N, H, W, C), of the network's size, to the logits of `model`."""

    def __init__(self, model: nn.Module, mean: Sequence[float], std: Sequence[float], largest: int = 255) -> None:
        """`mean`, `std`: of each channel, of values in 0..1; `largest`: what 1 is in the images."""
        super().__init__()
        self.model = model
        means, stds = (torch.tensor(values).view(1, -1, 1, 1) for values in (mean, std))
        self.register_buffer("scale", 1 / (largest * stds))
        self.register_buffer("shift", means / stds)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images.permute(0, 3, 1, 2).float() * self.scale - self.shift)

    def undone(self, images: Tensor) -> Tensor:
        """(N, C, H, W), normalised → (N, H, W, C) as they were, still of float32."""
        return ((images + self.shift) / self.scale).round().permute(0, 2, 3, 1).contiguous()
