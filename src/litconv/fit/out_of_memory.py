"""After a training ran out of memory: which batch size would fit, found by whole training steps on halved batches."""

import gc
from typing import Any

import pytorch_lightning as pl
import torch

from litconv.optim import optimizer_for
from litconv.tasks.base import Task


def is_out_of_memory(error: BaseException) -> bool:
    """Of the GPU, or of the main memory, for which torch has no class of its own."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator: can't alloc" in str(error)


def advice(trainer: pl.Trainer, task: Task, data: Any) -> str:
    """The line to end with."""
    device = trainer.strategy.root_device
    size = data.batch_size
    said = f"out of memory on {device} with data.batch_size={size}"
    if trainer.world_size > 1:  # a step of one process alone would wait for the others
        return f"{said} in each of {trainer.world_size} processes; try data.batch_size={max(size // 2, 1)}"
    if fits := halved_until_it_fits(trainer, task, data, device):
        return f"{said}; data.batch_size={fits} would likely fit: a training step of that size went through"
    return f"{said}, and not even a batch of 2 fits; use a smaller model (width), image (data.image_size) or precision"


def halved_until_it_fits(trainer: pl.Trainer, task: Task, data: Any, device: torch.device) -> int | None:
    """Forward, backward and optimiser step, so that gradients and the optimiser's state are counted too.

    The weights are spoilt by it: the run has failed.
    """
    release()
    try:
        task.to(device).train()
        x, y = (part.to(device) for part in next(iter(data.train_dataloader())))
    except Exception as error:
        if is_out_of_memory(error):
            return None
        raise
    size = len(x) // 2
    while size >= 2:
        if step_fits(trainer, task, x[:size], y[:size]):
            return size
        release()
        size //= 2
    return None


def step_fits(trainer: pl.Trainer, task: Task, x: torch.Tensor, y: torch.Tensor) -> bool:
    task.zero_grad(set_to_none=True)
    try:
        with torch.enable_grad(), trainer.precision_plugin.forward_context():
            task.train_batch(x, y)["loss"].backward()
        optimizer_for(task.model, task.optim).step()
    except Exception as error:
        if is_out_of_memory(error):
            return False
        raise
    return True


def release() -> None:
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
