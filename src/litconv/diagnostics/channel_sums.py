"""Running sums over the channels of one layer's activation: its covariance, and which channels are dead."""

import torch
from torch import Tensor

from litconv.diagnostics.covariance import Covariance

NEARLY_DEAD = 0.01  # active at less than this share of all positions


class ChannelSums:
    """Activity is counted exactly, at all positions."""

    def __init__(self, channels: int, device: torch.device) -> None:
        self.channels = channels
        self.positions = 0
        self.active = torch.zeros(channels, dtype=torch.float64, device=device)
        self.covariance = Covariance(channels, device)

    def add(self, x: Tensor) -> None:
        """(N, C, H, W)"""
        self.positions += x.numel() // x.shape[1]
        # Comparing and counting bools takes ten times as long; a float32 sum of one image's ones is exact.
        self.active += x.sign().abs_().sum((2, 3)).double().sum(0)
        self.covariance.add(x)

    @property
    def dead(self) -> int:
        """Channels that are zero at every position of every image."""
        return int((self.active == 0).sum())

    @property
    def nearly_dead(self) -> int:
        """Those that are not dead, and active at less than NEARLY_DEAD of the positions."""
        return int(((self.active > 0) & (self.active < NEARLY_DEAD * self.positions)).sum())
