"""PyTorch's own format: a graph of torch.export, `torch.export.load(path).module()`."""

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor, nn

from litconv.cost.replica import untouched
from litconv.export.graph import recorded
from litconv.export.torchscript import METADATA


def to_torch_export(
    model: nn.Module,
    images: Tensor,
    path: str | PathLike[str],
    *,
    dynamic_batch: bool = True,
    dynamic_size: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> None:
    program = recorded(model, images, dynamic_batch=dynamic_batch, dynamic_size=dynamic_size)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = {METADATA: json.dumps(dict(metadata or {}), ensure_ascii=False)}
    with untouched():  # it warns of its own storage of weights
        torch.export.save(program, path, extra_files=texts)
