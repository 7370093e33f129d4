"""What a training step holds at least: weights, the optimiser's state, and the larger of what forward keeps for backward and
the gradients. Counted on the meta device, where tensors have no memory. Kernels' own memory and what the allocator keeps come
on top.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.optim import Optimizer

from litconv.device import DTYPES, in_precision


def training_bytes(
    model: nn.Module,  # on the meta device, float32
    optim: Callable[[list[dict]], Optimizer],
    shape: tuple[int, int, int, int],  # of a batch
    precision: str,  # as Lightning writes it
) -> int:
    weights, _ = in_precision(precision, torch.device("cpu"))
    computes = DTYPES[precision.partition("-")[0]]  # in a mixed precision, the maps have fewer bits than the weights
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad) * weights.itemsize
    fixed = sum(t.numel() for t in (*model.parameters(), *model.buffers())) * weights.itemsize
    images = torch.empty(shape, dtype=computes, device="meta").contiguous(memory_format=torch.channels_last)
    return fixed + states(optim) * trained + max(kept_bytes(model.to(computes).train(), images), trained)


def kept_bytes(model: nn.Module, images: Tensor) -> int:
    """The images and what forward keeps of them; a map that several operations keep lies in memory once."""
    kept = {key(images): images}

    def keep(tensor: Tensor) -> Tensor:
        kept.setdefault(key(tensor), tensor)
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(images).float().square().mean()
    own = {key(t) for t in (*model.parameters(), *model.buffers())}
    del loss
    return sum(tensor.untyped_storage().nbytes() for k, tensor in kept.items() if k not in own)


def key(tensor: Tensor) -> StorageWeakRef:
    return StorageWeakRef(tensor.untyped_storage())


def states(optim: Callable[[list[dict]], Optimizer]) -> int:
    """How many values the optimiser keeps for each weight, found by a step."""
    weight = nn.Parameter(torch.zeros(2, 3))
    weight.grad = torch.ones(2, 3)
    optimizer = optim([{"params": [weight]}])
    optimizer.step()
    return sum(isinstance(value, Tensor) and value.shape == weight.shape for value in optimizer.state[weight].values())
