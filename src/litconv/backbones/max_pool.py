"""2×2 max-pooling by the ceil rule: out = ⌈H/stride⌉, the last window cut off where the size is odd.

At stride 1 (`output_stride` has taken the stride away) the window is dilated and the size stays.
"""

from math import inf

from torch import Tensor, nn
from torch.nn import functional as F

from litconv.backbones.stages import Geometry


class MaxPool(nn.Module):
    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.stride, self.dilation = geometry.stride, geometry.first_dilation

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 2 and self.dilation == 1:
            return F.max_pool2d(x, 2, ceil_mode=True)
        x = F.pad(x, (0, self.dilation, 0, self.dilation), value=-inf)
        return F.max_pool2d(x, 2, stride=1, dilation=self.dilation)
