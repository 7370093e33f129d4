"""TorchScript, for programs that run it already (C++, LibTorch). PyTorch develops it no further; it is a trace."""

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor, nn

from litconv.cost.replica import untouched
from litconv.errors import ExportError
from litconv.export.graph import InOrdinaryOperations, check_mode, first_line

METADATA = "metadata.json"  # among the extra files


def to_torchscript(
    model: nn.Module, images: Tensor, path: str | PathLike[str], *, metadata: Mapping[str, str] | None = None
) -> None:
    """Of any batch; of any size, too, where the model computes nothing from it."""
    check_mode(model)
    with untouched(), InOrdinaryOperations():
        try:
            traced = torch.jit.trace(model, images, check_trace=False)
        except Exception as error:  # whatever the model's own code does
            raise ExportError(f"{type(model).__name__} cannot be traced: {first_line(error)}") from error
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    traced.save(str(path), _extra_files={METADATA: json.dumps(dict(metadata or {}), ensure_ascii=False)})
