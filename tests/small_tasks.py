"""Tasks, models, batches and Trainers that are small enough for a test of one fit."""

import logging
from functools import partial

import pytorch_lightning as pl
import torch
from torch import nn

from litconv import optim
from litconv.tasks import Classification, Segmentation

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
sgd = partial(torch.optim.SGD, lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=True)
IGNORE = 255


def classification(model=None, num_classes=3, **options) -> Classification:
    fixed = {"seed": 0, "class_names": [f"class{i}" for i in range(num_classes)]}
    return Classification(model or nn.Identity(), num_classes, sgd, optim.cosine, **{**fixed, **options})


def segmentation(model=None, num_classes=4, ignore_index=IGNORE, **options) -> Segmentation:
    class_names = [f"class{i}" for i in range(num_classes)]
    fixed = {"seed": 0, "ignore_index": ignore_index, "class_names": class_names}
    return Segmentation(model or nn.Identity(), num_classes, sgd, optim.cosine, **{**fixed, **options})


def classifier(num_classes: int = 3, dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 16, 3, stride=2), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, num_classes))


def segmenter(num_classes: int = 4) -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(32, num_classes, 1))


def labelled(n: int, num_classes: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, 12, 12, generator=generator), torch.arange(n) % num_classes


def masked(n: int, num_classes: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(num_classes, (n, 3, 3), generator=generator).repeat_interleave(4, 1).repeat_interleave(4, 2)
    x = nn.functional.one_hot(y, num_classes).movedim(-1, 1)[:, :3] + torch.randn(n, 3, 12, 12, generator=generator)
    y[:, 0] = IGNORE
    return x.float(), y


def trainer(folder, max_epochs=2, **options) -> pl.Trainer:
    found = options.pop("callbacks", [])
    fixed = {
        "accelerator": "cpu",
        "devices": 1,
        "logger": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
    }
    if not found:
        fixed |= {"enable_checkpointing": False, "enable_progress_bar": False}
    return pl.Trainer(default_root_dir=folder, max_epochs=max_epochs, callbacks=found, **{**fixed, **options})


class Loader:
    """Lightning takes a plain list for several loaders."""

    def __init__(self, *batches):
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        return iter(self.batches)
