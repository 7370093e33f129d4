"""The operators beyond the core set: naive references, the table of formulas, options that take another way."""

import numpy as np

from naive import Array, array, correlate

VARIANTS = {
    "ghost": [{"norm_between": True}],
    "involution": [{"group_channels": 3, "reduction": 2}],
    "large_kernel": [{"small_kernel": 3}],
    "octave": [{"alpha": 0.25}],
    "reparam": [{"branches": 3}],
    "wavelet": [{"levels": 3}],
}


def depthwise(x: Array, conv, s: int = 1, d: int = 1) -> Array:
    return correlate(x, array(conv.weight), (s, s), (d, d), x.shape[1])


def pointwise(x: Array, conv) -> Array:
    return np.einsum("nchw,oc->nohw", x, array(conv.weight)[..., 0, 0])


def norm(x: Array, layer) -> Array:
    """With the statistics it starts with, 0 and 1."""
    scale, shift = array(layer.weight), array(layer.bias)
    return x / np.sqrt(1 + layer.eps) * scale[:, None, None] + shift[:, None, None]


def bsconv_u(m, x, s, d):
    return depthwise(pointwise(x, m.pointwise), m.depthwise, s, d)


def bsconv_s(m, x, s, d):
    return depthwise(pointwise(pointwise(x, m.reduce), m.expand), m.depthwise, s, d)


def partial(m, x, s, d):
    part = x.shape[1] // 4
    convolved = correlate(x[:, :part], array(m.spatial.weight), (1, 1), (d, d))  # at stride 1, as in the paper
    return pointwise(np.concatenate([convolved, x[:, part:]], axis=1), m.pointwise)[..., ::s, ::s]


def ghost(m, x, s, d, norm_between=False):
    primary = correlate(x, array(m.primary.weight), (s, s), (d, d))
    into = np.maximum(norm(primary, m.between[0]), 0) if norm_between else primary
    return np.concatenate([primary, depthwise(into, m.cheap, 1, d)], axis=1)[:, : m.out_channels]


def reparam(m, x, s, d, branches=1):
    kinds = [branch.conv for branch in m.branches]
    total = 0
    for branch, conv in zip(m.branches, kinds, strict=True):
        y = correlate(x, array(conv.weight), (s, s), (d, d)) if hasattr(conv, "weight") else x
        total = total + norm(y, branch.norm)
    return total


def inception_depthwise(m, x, s, d):
    part = max(1, x.shape[1] // 8)
    first = x.shape[1] - 3 * part
    y = [x[:, :first, ::s, ::s]]
    for i, name in enumerate(("square", "across", "down")):
        y.append(depthwise(x[:, first + i * part : first + (i + 1) * part], m.bands[name], s, d))
    return pointwise(np.concatenate(y, axis=1), m.pointwise)


def large_kernel(m, x, s, d, small_kernel=5):
    """The small kernel is a branch of its own, of zeros around it."""
    large, small = array(m.large.weight), array(m.small.weight)
    around = np.zeros_like(large)
    first = (large.shape[-1] - small.shape[-1]) // 2
    for i in range(small.shape[-1]):
        for j in range(small.shape[-1]):
            around[..., first + i, first + j] = small[..., i, j]
    y = sum(correlate(x, w, (s, s), (d, d), x.shape[1]) for w in (large, around))
    return pointwise(y, m.pointwise)


def strip(m, x, s, d):
    square = depthwise(x, m.square, s, d)
    return pointwise(square + depthwise(depthwise(square, m.across, 1, d), m.down, 1, d), m.pointwise)


def mixed(m, x, s, d):
    """Of 8 channels 4, 2, 2; of 16 channels 6, 5, 5."""
    third = x.shape[1] // 3
    edges = [0, x.shape[1] - 2 * third, x.shape[1] - third, x.shape[1]]
    parts = [depthwise(x[:, a:b], conv, s, d) for a, b, conv in zip(edges, edges[1:], m.depthwise, strict=False)]
    return pointwise(np.concatenate(parts, axis=1), m.pointwise)


def condconv(m, x, s, d):
    images = []
    for image in x:
        logits = array(m.routing.weight) @ image.mean((1, 2)) + array(m.routing.bias)
        shares = 1 / (1 + np.exp(-logits))
        experts = np.split(array(m.experts.weight), len(shares))
        kernel = sum(share * expert for share, expert in zip(shares, experts, strict=True))
        images.append(correlate(image[None], kernel, (s, s), (d, d)))
    return np.concatenate(images)


def pooled(x: Array, size: int) -> Array:
    """Means of windows; those at the edge of what there is."""
    if size == 1:
        return x
    ho, wo = -(-x.shape[2] // size), -(-x.shape[3] // size)
    y = np.zeros((*x.shape[:2], ho, wo))
    for i in range(ho):
        for j in range(wo):
            y[..., i, j] = x[..., size * i : size * (i + 1), size * j : size * (j + 1)].mean((2, 3))
    return y


def octave(m, x, s, d, alpha=0.5):
    x = pooled(x, s)
    first = x.shape[1] - round(alpha * x.shape[1])
    high, low = x[:, :first], pooled(x[:, first:], 2)

    def through(conv, into):
        return correlate(into, array(conv.weight), (1, 1), (d, d))

    def enlarged(y):
        return y.repeat(2, axis=2).repeat(2, axis=3)[..., : x.shape[2], : x.shape[3]]

    y_high = through(m.high_to_high, high) + enlarged(through(m.low_to_high, low))
    y_low = through(m.low_to_low, low) + through(m.high_to_low, pooled(high, 2))
    return np.concatenate([y_high, enlarged(y_low)], axis=1)


HAAR = np.array([[[1, 1], [1, 1]], [[1, -1], [1, -1]], [[1, 1], [-1, -1]], [[1, -1], [-1, 1]]]) / 2


def bands(x: Array) -> Array:
    """(N, C, H, W) → (N, C, 4, ⌈H/2⌉, ⌈W/2⌉)"""
    x = np.pad(x, ((0, 0), (0, 0), (0, x.shape[2] % 2), (0, x.shape[3] % 2)))
    y = np.zeros((*x.shape[:2], 4, x.shape[2] // 2, x.shape[3] // 2))
    for i in range(y.shape[3]):
        for j in range(y.shape[4]):
            y[..., i, j] = np.einsum("bij,ncij->ncb", HAAR, x[..., 2 * i : 2 * i + 2, 2 * j : 2 * j + 2])
    return y


def merged(y: Array) -> Array:
    """The way back."""
    x = np.zeros((*y.shape[:2], 2 * y.shape[3], 2 * y.shape[4]))
    for i in range(y.shape[3]):
        for j in range(y.shape[4]):
            x[..., 2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = np.einsum("ncb,bij->ncij", y[..., i, j], HAAR)
    return x


def wavelet(m, x, s, d, levels=2):
    def through(into, level):
        y = bands(into)
        mean = y[:, :, 0]
        moved = depthwise(y.reshape(y.shape[0], -1, *y.shape[3:]), m.bands[level], 1, d).reshape(y.shape)
        if level + 1 < levels:
            moved[:, :, 0] += through(mean, level + 1)
        return merged(moved)[..., : into.shape[2], : into.shape[3]]

    return pointwise(depthwise(x, m.spatial, s, d) + through(x, 0)[..., ::s, ::s], m.pointwise)


def image_norm(x: Array, layer) -> Array:
    """Over all channels and places of each image, with the scales it starts with, 1 and 0."""
    mean, variance = x.mean((1, 2, 3), keepdims=True), x.var((1, 2, 3), keepdims=True)
    return (x - mean) / np.sqrt(variance + layer.eps)


def involution(m, x, s, d, group_channels=16, reduction=4):
    hidden = np.maximum(image_norm(pointwise(pooled(x, s), m.reduce), m.between[0]), 0)
    kernels = pointwise(hidden, m.span)  # (N, G·K², Ho, Wo)
    k, groups = m.kernel_size, m.groups
    size, ho, wo = x.shape[1] // groups, *kernels.shape[2:]
    before, total = d * (k - 1) // 2, d * (k - 1)
    padded = np.pad(x, ((0, 0), (0, 0), (before, total - before), (before, total - before)))
    y = np.zeros((x.shape[0], x.shape[1], ho, wo))
    for c in range(x.shape[1]):
        for i in range(k):
            for j in range(k):
                tap = padded[:, c, i * d : i * d + s * ho : s, j * d : j * d + s * wo : s][:, :ho, :wo]
                y[:, c] += kernels[:, (c // size) * k * k + i * k + j] * tap
    return pointwise(y, m.pointwise) if hasattr(m.pointwise, "weight") else y


REFERENCES = {
    "bsconv_s": bsconv_s,
    "bsconv_u": bsconv_u,
    "condconv": condconv,
    "ghost": ghost,
    "inception_depthwise": inception_depthwise,
    "involution": involution,
    "large_kernel": large_kernel,
    "mixed": mixed,
    "octave": octave,
    "partial": partial,
    "reparam": reparam,
    "strip": strip,
    "wavelet": wavelet,
}


# (K, Cin, Cout, H, W, Ho, Wo, …) → (params, MACs)


def once(params: int, ho: int, wo: int) -> tuple[int, int]:
    return params, params * ho * wo


def ghost_cost(k, c, o, h, w, ho, wo, norm_between=False):
    half = -(-o // 2)
    params, macs = once(k * k * c * half + 9 * half, ho, wo)
    return params + 2 * half * norm_between, macs


def reparam_cost(k, c, o, h, w, ho, wo, branches=1):
    return k * k * c * o + o, k * k * c * o * ho * wo


def mixed_cost(k, c, o, h, w, ho, wo):
    shares = [c - 2 * (c // 3), c // 3, c // 3]
    return once(sum((k + 2 * i) ** 2 * share for i, share in enumerate(shares)) + c * o, ho, wo)


def condconv_cost(k, c, o, h, w, ho, wo):
    experts, routing = 4 * k * k * c * o, 4 * c
    return experts + routing + 4, k * k * c * o * ho * wo + experts + routing


def octave_cost(k, c, o, h, w, ho, wo, alpha=0.5):
    high = k * k * (c - round(alpha * c)) * (o - round(alpha * o))
    whole = k * k * c * o
    return whole, high * ho * wo + (whole - high) * -(-ho // 2) * -(-wo // 2)


def wavelet_cost(k, c, o, h, w, ho, wo, levels=2):
    params, macs = k * k * c + c * o, (k * k * c + c * o) * ho * wo
    for level in range(1, levels + 1):
        params += 4 * k * k * c
        macs += 4 * k * k * c * -(-h // 2**level) * -(-w // 2**level)
    return params, macs


def involution_cost(k, c, o, h, w, ho, wo, group_channels=16, reduction=4):
    groups, hidden, after = c // {16: min(c, 16), 3: 2}[group_channels], c // reduction, c * o * (c != o)
    params = c * hidden + 2 * hidden + hidden * k * k * groups + after
    return params, (c * hidden + hidden * k * k * groups + k * k * c + after) * ho * wo


TABLE = {
    "bsconv_s": lambda k, c, o, h, w, ho, wo: (
        c // 4 * (c + o) + k * k * o,
        c // 4 * (c + o) * h * w + k * k * o * ho * wo,
    ),
    "bsconv_u": lambda k, c, o, h, w, ho, wo: (c * o + k * k * o, c * o * h * w + k * k * o * ho * wo),
    "condconv": condconv_cost,
    "ghost": ghost_cost,
    "inception_depthwise": lambda k, c, o, h, w, ho, wo: once((k * k + 2 * 11) * (c // 8) + c * o, ho, wo),
    "involution": involution_cost,
    "large_kernel": lambda k, c, o, h, w, ho, wo, small_kernel=5: once(k * k * c + c * o, ho, wo),
    "mixed": mixed_cost,
    "octave": octave_cost,
    "partial": lambda k, c, o, h, w, ho, wo: once(k * k * (c // 4) ** 2 + c * o, ho, wo),
    "reparam": reparam_cost,
    "strip": lambda k, c, o, h, w, ho, wo: once((k * k + 22) * c + c * o, ho, wo),
    "wavelet": wavelet_cost,
}
