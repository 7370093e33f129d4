"""Precisions as Lightning names them (`trainer.precision`), and how exact float32's own products are (`matmul_precision`)."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch

from litconv.errors import ConfigError

DTYPES = {"64": torch.float64, "32": torch.float32, "16": torch.float16, "bf16": torch.bfloat16}


def check(asked: str, trains_in: str, device: torch.device) -> None:
    """Refuse what Lightning would replace by another precision, with a warning."""
    if trains_in != asked:
        raise ConfigError(
            f"trainer.precision={asked} is not for {device.type}, where Lightning would train in {trains_in}; "
            f"choose trainer.precision={trains_in}"
        )


def in_precision(precision: str, device: torch.device) -> tuple[torch.dtype, Callable[[], AbstractContextManager]]:
    """The weights' dtype and the context of a forward, for Lightning's name of a precision."""
    bits, _, kind = str(precision).partition("-")
    if bits not in DTYPES:
        raise ConfigError(
            f"trainer.precision={precision} cannot be measured; choose one of {', '.join(DTYPES)}, or set "
            "cost.latency.enabled=false"
        )
    if bits in ("16", "bf16") and kind != "true":
        return torch.float32, lambda: torch.autocast(device.type, DTYPES[bits])
    return DTYPES[bits], nullcontext


def set_matmul_precision(name: str) -> None:
    """Of float32 matrix products and convolutions. `default`: PyTorch's own, exact products and TF32 in cuDNN."""
    torch.set_float32_matmul_precision("highest" if name == "default" else name)
    torch.backends.cudnn.allow_tf32 = name != "highest"
