"""Batch norm over the batches of all processes, so that a run on n devices is the run of one device with n times the batch.

On GPUs torch's own SyncBatchNorm. It refuses CPUs; there mean and variance are reduced by hand:
μ = Σᵣ Σ x / Σᵣ m,  σ² = Σᵣ Σ (x − μ)² / Σᵣ m  over the processes r.
"""

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.layer_sync import TorchSyncBatchNorm
from torch import Tensor, nn

from litconv.distributed import summed


class CpuSyncBatchNorm2d(nn.BatchNorm2d):
    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W)
        if not self.training:
            return super().forward(x)
        count = summed(torch.tensor([x.numel() / x.shape[1]], device=x.device))
        mean = summed(x.sum((0, 2, 3))) / count  # (C,); its gradient is reduced in turn
        centred = x - mean[:, None, None]
        variance = summed(centred.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            momentum = self.momentum if self.momentum is not None else 1 / self.num_batches_tracked.item()
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance * count / (count - 1), momentum)
        scale = (variance + self.eps).rsqrt() * self.weight
        return centred * scale[:, None, None] + self.bias[:, None, None]


class SyncNorm(TorchSyncBatchNorm):
    """Lightning applies it before a distributed training and reverts it afterwards; on one device it does nothing."""

    def apply(self, model: pl.LightningModule) -> nn.Module:
        return self.apply_for(model.trainer.strategy.root_device, model)

    def apply_for(self, device: torch.device, model: nn.Module) -> nn.Module:
        """`device`: where the training runs. The parameters are still on the CPU; Lightning moves them afterwards."""
        if device.type != "cpu":
            return super().apply(model)
        for module in model.modules():
            if type(module) is nn.BatchNorm2d:
                module.__class__ = CpuSyncBatchNorm2d
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        mine = [module for module in model.modules() if type(module) is CpuSyncBatchNorm2d]
        for module in mine:
            module.__class__ = nn.BatchNorm2d
        return model if mine else super().revert(model)
