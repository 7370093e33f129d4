"""Running sums over the channels of one layer's activation, and what they say: dead channels, correlation, effective rank."""

import math

import torch
from torch import Tensor

NEARLY_DEAD = 0.01  # active at less than this share of all positions
GRID = 4  # covariances are of at most this many rows and columns of positions of a map, evenly spaced
CONSTANT = 1e-10  # variance, relative to the mean square, below which rounding is all there is


class ChannelSums:
    """Exact counts over all positions; sums for the covariance in float64, over a grid that the map's size alone decides, so
    that neither depends on the batches."""

    def __init__(self, channels: int, device: torch.device) -> None:
        self.images = 0
        self.positions = 0
        self.sampled = 0
        self.active = torch.zeros(channels, dtype=torch.float64, device=device)
        self.sum = torch.zeros(channels, dtype=torch.float64, device=device)
        self.products = torch.zeros(channels, channels, dtype=torch.float64, device=device)

    def add(self, x: Tensor) -> None:
        """(N, C, H, W)"""
        self.images += len(x)
        self.positions += x.numel() // x.shape[1]
        # Comparing and counting bools takes ten times as long; a float32 sum of one image's ones is exact.
        self.active += x.sign().abs_().sum((2, 3)).double().sum(0)
        rows, columns = (every(size) for size in x.shape[2:])
        picked = x[:, :, rows, columns].permute(0, 2, 3, 1).reshape(-1, x.shape[1]).double()  # (N·h·w, C)
        self.sampled += len(picked)
        self.sum += picked.sum(0)
        self.products += picked.T @ picked

    @property
    def channels(self) -> int:
        return len(self.active)

    @property
    def dead(self) -> int:
        """Channels that are zero at every position of every image."""
        return int((self.active == 0).sum())

    @property
    def nearly_dead(self) -> int:
        """Those that are not dead, and active at less than NEARLY_DEAD of the positions."""
        return int(((self.active > 0) & (self.active < NEARLY_DEAD * self.positions)).sum())

    def covariance(self) -> Tensor:
        """(C, C), on the CPU; the row of a channel that never changes is zero."""
        mean = self.sum.cpu() / self.sampled
        squares = self.products.cpu() / self.sampled
        covariance = squares - mean.outer(mean)
        constant = covariance.diagonal() <= CONSTANT * squares.diagonal()
        covariance[constant] = 0
        covariance[:, constant] = 0
        return covariance

    def correlation(self) -> float:
        """The mean |ρ| of all pairs of channels that change; NaN where fewer than two do."""
        covariance = self.covariance()
        changing = covariance.diagonal() > 0
        covariance = covariance[changing][:, changing]
        count = len(covariance)
        if count < 2:
            return math.nan
        deviation = covariance.diagonal().sqrt()
        correlations = (covariance / deviation.outer(deviation)).abs()
        return float((correlations.sum() - correlations.trace()) / (count * (count - 1)))

    def effective_rank(self) -> float:
        """exp(−Σ p ln p) of the covariance's singular values as shares p of their sum; 0 where no channel changes.

        Roy & Vetterli, The effective rank, EUSIPCO 2007
        """
        values = torch.linalg.svdvals(self.covariance())
        if not values.sum() > 0:
            return 0.0
        shares = values / values.sum()
        return float(torch.special.entr(shares).sum().exp())


def every(size: int) -> slice:
    """Of at most GRID equal parts the middles: a slice, which copies nothing."""
    step = math.ceil(size / GRID)
    return slice((size - 1) % step // 2, None, step)
