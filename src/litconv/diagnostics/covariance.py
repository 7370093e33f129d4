"""The covariance of the channels of one layer's output, and what it says: correlation and effective rank."""

import math

import torch
from torch import Tensor

GRID = 4  # covariances are of at most this many rows and columns of positions of a map, evenly spaced
CONSTANT = 1e-10  # variance, relative to the mean square, below which rounding is all there is


class Covariance:
    """Running sums in float64, over a grid that the map's size alone decides, so that the batches change nothing."""

    def __init__(self, channels: int, device: torch.device) -> None:
        self.sampled = 0
        self.sum = torch.zeros(channels, dtype=torch.float64, device=device)
        self.products = torch.zeros(channels, channels, dtype=torch.float64, device=device)

    def add(self, x: Tensor) -> None:
        """(N, C, H, W)"""
        rows, columns = (every(size) for size in x.shape[2:])
        picked = x[:, :, rows, columns].permute(0, 2, 3, 1).reshape(-1, x.shape[1]).double()  # (N·h·w, C)
        self.sampled += len(picked)
        self.sum += picked.sum(0)
        self.products += picked.T @ picked

    def matrix(self) -> Tensor:
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
        return self.correlation_in_groups(1)[0]

    def correlation_in_groups(self, groups: int) -> tuple[float, float]:
        """The mean |ρ| of the pairs of channels that change: of one group, and of different groups, where the channels lie
        in so many groups, one after another. NaN where there is no such pair."""
        covariance = self.matrix()
        variance = covariance.diagonal()
        deviation = variance.where(variance > 0, 1).sqrt()
        correlations = (covariance / deviation.outer(deviation)).abs()
        pairs = (variance > 0).outer(variance > 0).fill_diagonal_(False)
        group = torch.arange(len(variance)) // (len(variance) // groups)
        same = group[:, None] == group
        within, between = correlations[pairs & same], correlations[pairs & ~same]
        return tuple(float(found.mean()) if len(found) else math.nan for found in (within, between))

    def effective_rank(self) -> float:
        """exp(−Σ p ln p) of the covariance's singular values as shares p of their sum; 0 where no channel changes.

        Roy & Vetterli, The effective rank, EUSIPCO 2007
        """
        values = torch.linalg.svdvals(self.matrix())
        if not values.sum() > 0:
            return 0.0
        shares = values / values.sum()
        return float(torch.special.entr(shares).sum().exp())


def every(size: int) -> slice:
    """Of at most GRID equal parts the middles: a slice, which copies nothing."""
    step = math.ceil(size / GRID)
    return slice((size - 1) % step // 2, None, step)
