"""Convolutions computed once more and naively, in float64 numpy: what operators are held against."""

from itertools import product

import numpy as np
import torch

Array = np.ndarray


def pad(x: Array, kernel: tuple[int, int], dilation: tuple[int, int]) -> Array:
    """⌊d(K−1)/2⌋ before, the rest after."""
    total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    return np.pad(x, ((0, 0), (0, 0), *((t // 2, t - t // 2) for t in total)))


def correlate(x: Array, w: Array, stride=(1, 1), dilation=(1, 1), groups: int = 1) -> Array:
    """y[o](p) = Σ_c Σ_k w[o, c, k] · x[c](s·p + d·k)."""
    n, _, h, width = x.shape
    c_out, c_in, *kernel = w.shape
    x = pad(x, kernel, dilation)
    ho, wo = -(-h // stride[0]), -(-width // stride[1])
    y = np.zeros((n, c_out, ho, wo))
    for group, i, j in product(range(groups), range(kernel[0]), range(kernel[1])):
        into, out_of = (slice(group * c, (group + 1) * c) for c in (c_in, c_out // groups))
        rows = i * dilation[0] + stride[0] * np.arange(ho)[:, None]
        columns = j * dilation[1] + stride[1] * np.arange(wo)
        y[:, out_of] += np.einsum("nchw,oc->nohw", x[:, into, rows, columns], w[out_of, :, i, j])
    return y


def bilinear(x: Array, rows: Array, columns: Array) -> Array:
    """x (C, H, W) at (P,) fractional places → (C, P); zero outside."""
    _, h, w = x.shape
    y = np.zeros((x.shape[0], len(rows)))
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    for r, c in product((top, top + 1), (left, left + 1)):
        share = (1 - abs(rows - r)) * (1 - abs(columns - c))
        inside = (r >= 0) & (r < h) & (c >= 0) & (c < w)
        y += share * np.where(inside, x[:, r.clip(0, h - 1), c.clip(0, w - 1)], 0)
    return y


def deform(x: Array, w: Array, offset: Array, mask: Array | None, s: int, d: int, groups: int) -> Array:
    """y[o](p) = Σ_c Σ_k w[o, c, k] · m_k(p) · x[c](s·p + d·k − before + Δ_k(p)), sampled group by group."""
    n, c = x.shape[:2]
    k = w.shape[-1]
    ho, wo = offset.shape[-2:]
    offset, before = offset.reshape(n, groups, k * k, 2, ho, wo), d * (k - 1) // 2
    y = np.zeros((n, w.shape[0], ho, wo))
    for image, group, tap in product(range(n), range(groups), range(k * k)):
        rows = s * np.arange(ho)[:, None] + d * (tap // k) - before + offset[image, group, tap, 0]
        columns = s * np.arange(wo) + d * (tap % k) - before + offset[image, group, tap, 1]
        mine = slice(group * c // groups, (group + 1) * c // groups)
        samples = bilinear(x[image, mine], rows.ravel(), columns.ravel()).reshape(-1, ho, wo)
        if mask is not None:
            samples = samples * mask.reshape(n, groups, k * k, ho, wo)[image, group, tap]
        y[image] += np.einsum("chw,oc->ohw", samples, w[:, mine, tap // k, tap % k])
    return y


def array(tensor: torch.Tensor) -> Array:
    return tensor.detach().numpy()
