"""Devices by name, and how exactly they compute: precisions as Lightning names them (`trainer.precision`), and float32's own
products (`matmul_precision`)."""

import platform
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch

from litconv.errors import ConfigError

CPU_INFO = Path("/proc/cpuinfo")
DTYPES = {"64": torch.float64, "32": torch.float32, "16": torch.float16, "bf16": torch.bfloat16}


def check_precision(asked: str, trains_in: str, device: torch.device) -> None:
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


def describe(device: torch.device) -> str:
    """Its name, and on a CPU how many threads took part."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return str(device)
    threads = torch.get_num_threads()
    return f"{cpu_fact('model name') or platform.processor() or 'CPU'}, {threads} thread{'s' * (threads > 1)}"


def cpu_fact(name: str) -> str:
    """Of the first core; empty where the system has no such file."""
    if not CPU_INFO.exists():
        return ""
    lines = (line.partition(":") for line in CPU_INFO.read_text().splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == name), "")


def device_named(name: str, key: str) -> torch.device:
    """`cpu`, `cuda`, `cuda:1`, `mps`: refused where this machine has no such device; `key` is where the name stands."""
    here = ["cpu"]
    if torch.accelerator.is_available():
        kind = torch.accelerator.current_accelerator().type
        here += [kind, *(f"{kind}:{index}" for index in range(torch.accelerator.device_count()))]
    if name not in here:
        raise ConfigError(f"{key}={name} is not there; this machine has {', '.join(here)}")
    return torch.device(name)
