"""Cross-entropy with a weight for each class, and focal loss.

weighted   Σ w_y · CE(x, y) / Σ w_y, the mean of torch.nn.functional.cross_entropy
focal      CE(x, y) · (1 − p_y)^γ, p the softmax: the softmax form of https://arxiv.org/abs/1708.02002, eq. 4;
           with weights, which are its α (eq. 5), the same weighted mean. γ = 0 is cross-entropy.
"""

from math import log

import torch.nn.functional as F
from torch import Tensor

from litconv.distributed import summed

LEAST = 1e-6  # of 1 − p: the power's slope at 0 is infinite where γ < 1


def weighted_mean(
    logits: Tensor,
    y: Tensor,
    weights: Tensor | None,
    *,
    focal: float = 0.0,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    everywhere: bool = False,
) -> Tensor:
    """Of this batch, or `everywhere`: of the batches that all processes train on in this step. 0 where all is ignored.

    Summed apart: on CUDA cross_entropy's own sum over pixels is by atomics, in no fixed order.
    """
    each = F.cross_entropy(
        logits, y, weights, ignore_index=ignore_index, label_smoothing=label_smoothing, reduction="none"
    )
    shares = labelled = y != ignore_index
    if focal or weights is not None:
        known = y.masked_fill(~labelled, 0)
    if focal:
        p = logits.softmax(1).gather(1, known.unsqueeze(1)).squeeze(1)
        each = each * (1 - p).clamp(min=LEAST) ** focal
    if weights is not None:
        shares = weights[known] * labelled
    total, share = each.sum(), shares.sum()
    if everywhere:
        total, share = summed(total), summed(share)
    return total / (share.clamp(min=1) if weights is None else share.clamp(min=weights.min()))


def guessing(classes: int, focal: float = 0.0) -> float:
    """The loss of a network that gives all classes the same probability."""
    return log(classes) * (1 - 1 / classes) ** focal
