"""Runtimes: a model's file, quantised, opened and measured where it is deployed. Knows no configuration.

>>> from litconv.runtimes import opened
>>> session = opened("onnxruntime", "model.onnx", threads=1)
>>> logits = session(images)  # float32 numpy (N, C, H, W)

A runtime is a module of this package with a class `Session`, `file_of` and `size_of`, and a line in HOMES. Nothing here imports
torch, so that the process whose memory is measured holds the runtime alone. docs/deploy.md is its page.
"""

from importlib import import_module
from os import PathLike
from types import ModuleType
from typing import Protocol

import numpy as np

HOMES = {"onnxruntime": "onnx_runtime", "openvino": "open_vino"}  # a runtime's name is that of its library


class Session(Protocol):
    """A file that was opened, on the CPU."""

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """float32 (N, C, H, W) → the logits."""


def home(runtime: str) -> ModuleType:
    return import_module(f"{__name__}.{HOMES[runtime]}")


def opened(runtime: str, path: str | PathLike[str], threads: int, batch: int | None = None) -> Session:
    """With so many threads. `batch`: of every call, which lets the runtime plan for it; None: any."""
    return home(runtime).Session(path, threads, batch)
