"""What a kernel that is separable channel by channel can be: its rank decides (Eckart & Young 1936)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from scipy import ndimage
from torch import Tensor

from litconv.claims.finding import COMPUTED, Finding, Line, all_of
from litconv.claims.hypothesis import Say
from litconv.conv.depthwise import Depthwise
from litconv.conv.separable import Separable
from litconv.cost import count

EXACT = 1e-12  # of float64, relative


@dataclass(frozen=True)
class RankOne:
    """conv=separable conv.depthwise=true with the best weights there are, beside a depthwise convolution with random kernels of
    each rank: its output is the same for rank 1 and misses σ₂² + … of the kernels' energy for any other."""

    says: str
    kernel_sizes: Sequence[int] = (3, 5)
    channels: int = 16
    size: int = 24

    def find(self, say: Say) -> Finding:
        lines = [self.line(k, rank) for k in self.kernel_sizes for rank in range(1, k + 1)]
        right = sum(line.word == "supported" for line in lines)
        return Finding(
            self.says, COMPUTED, all_of(line.word for line in lines),
            f"{right} of {len(lines)} ranks behave so", lines,
            rule=f"float64, white noise as input; exact: a relative error below {EXACT:g}",
        )  # fmt: skip

    def line(self, k: int, rank: int) -> Line:
        random = torch.Generator().manual_seed(0)
        parts = [
            torch.randn(self.channels, a, b, generator=random, dtype=torch.float64) for a, b in ((k, rank), (rank, k))
        ]
        kernels = parts[0] @ parts[1]  # (channels, k, k) of this rank
        x = torch.randn(4, self.channels, self.size, self.size, generator=random, dtype=torch.float64)
        whole = Depthwise(self.channels, self.channels, k).double()
        with torch.no_grad():
            whole.weight.copy_(kernels[:, None])
            expected, got = whole(x), fitted(kernels)(x)
        error = float((expected - got).norm() / expected.norm())
        spectrum = torch.linalg.svdvals(kernels).square()
        missed = float(spectrum[:, 1:].sum() / spectrum.sum()) ** 0.5
        right = (error < EXACT) == (rank == 1)
        text = f"relative error of the output {error:.2g}; share of the kernels' norm beyond rank 1 {missed:.2g}"
        return Line(f"{k}×{k} kernels of rank {rank}", text, "supported" if right else "refuted")


@dataclass(frozen=True)
class Sobel:
    """Sobel's kernels as a column times a row, beside scipy's."""

    says: str
    size: int = 64

    def find(self, say: Say) -> Finding:
        random = torch.Generator().manual_seed(0)
        image = torch.randn(self.size, self.size, generator=random, dtype=torch.float64)
        smooth, slope = (torch.tensor(v, dtype=torch.float64) for v in ([1.0, 2.0, 1.0], [-1.0, 0.0, 1.0]))
        lines = []
        for name, axis, kernel in (
            ("horizontal", 1, torch.outer(smooth, slope)),
            ("vertical", 0, torch.outer(slope, smooth)),
        ):
            conv = fitted(kernel[None])
            with torch.no_grad():
                got = conv(image[None, None])[0, 0]
            error = float((got - torch.from_numpy(ndimage.sobel(image.numpy(), axis, mode="constant"))).abs().max())
            macs = count(conv.float(), 1, (self.size, self.size)).macs / self.size**2
            rank = int(torch.linalg.matrix_rank(kernel))
            text = f"rank {rank}; largest difference to scipy.ndimage.sobel {error:.1g}; {macs:g} MACs a pixel in place of 9"
            right = rank == 1 and error < EXACT * float(image.abs().max()) * 8 and macs == 6
            lines.append(Line(f"{name} kernel", text, "supported" if right else "refuted"))
        word = all_of(line.word for line in lines)
        return Finding(self.says, COMPUTED, word, "computed on an image of noise", lines, rule="float64, to rounding")


def fitted(kernels: Tensor) -> Separable:
    """The separable convolution nearest to these (channels, K, K): the first singular vectors of each."""
    channels, k, _ = kernels.shape
    u, s, v = torch.linalg.svd(kernels)
    conv = Separable(channels, channels, k, depthwise=True).double()
    with torch.no_grad():
        conv.vertical.weight.copy_((u[:, :, 0] * s[:, :1].sqrt())[:, None, :, None])
        conv.horizontal.weight.copy_((v[:, 0] * s[:, :1].sqrt())[:, None, None, :])
    return conv
