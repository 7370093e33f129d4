"""The nearest product of two small matrices to a large one: how an operator of two layers starts from a dense one.

Least squares, by the singular value decomposition: Eckart & Young, https://doi.org/10.1007/BF02288367; of convolutions:
Jaderberg et al., https://arxiv.org/abs/1405.3866
"""

import torch
from torch import Tensor


def factors(matrix: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """(…, rows, columns) → (…, rows, rank) and (…, rank, columns), both of one norm.

    A rank beyond that of the matrix adds columns of zeros on the left and directions of their own on the right, so that what
    is not needed can be learned.
    """
    more = rank > min(matrix.shape[-2:])
    u, s, v = torch.linalg.svd(matrix.float(), full_matrices=more)
    root = s[..., :rank].sqrt()
    there = root.shape[-1]
    left = torch.zeros((*matrix.shape[:-1], rank), device=matrix.device)
    left[..., :there] = u[..., :there] * root[..., None, :]
    right = torch.zeros((*matrix.shape[:-2], rank, matrix.shape[-1]), device=matrix.device)
    right[..., :there, :] = root[..., None] * v[..., :there, :]
    rest = v[..., there:rank, :]
    right[..., there : there + rest.shape[-2], :] = root.mean() * rest
    return left, right
