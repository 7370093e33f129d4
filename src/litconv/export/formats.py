"""The formats, each with what writes a file of it and what runs one, to see whether it computes what the model does."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from litconv.export.extra import require_packages
from litconv.export.onnx import IMAGES, OPSET, to_onnx
from litconv.export.openvino import to_openvino
from litconv.export.parity import Runner
from litconv.export.torch_export import to_torch_export
from litconv.export.torchscript import to_torchscript


@dataclass(frozen=True, kw_only=True)
class Options:
    opset: int = OPSET
    dynamic_size: bool = False
    fused: bool = True


@dataclass(frozen=True)
class Format:
    write: Callable[[nn.Module, Tensor, Path, Options, Mapping[str, str]], None]
    runner: Callable[[Path], Runner]


def write_onnx(model: nn.Module, images: Tensor, path: Path, options: Options, metadata: Mapping[str, str]) -> None:
    sizes = {"opset": options.opset, "dynamic_size": options.dynamic_size, "fused": options.fused}
    to_onnx(model, images, path, **sizes, metadata={**metadata, "opset": str(options.opset)})


def write_openvino(model: nn.Module, images: Tensor, path: Path, options: Options, metadata: Mapping[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        between = Path(folder, "model.onnx")
        write_onnx(model, images, between, options, metadata)
        to_openvino(between, path, metadata={**metadata, "opset": str(options.opset)})


def write_torchscript(
    model: nn.Module, images: Tensor, path: Path, options: Options, metadata: Mapping[str, str]
) -> None:
    to_torchscript(model, images, path, metadata=metadata)


def write_torch_export(
    model: nn.Module, images: Tensor, path: Path, options: Options, metadata: Mapping[str, str]
) -> None:
    to_torch_export(model, images, path, dynamic_size=options.dynamic_size, metadata=metadata)


def in_onnxruntime(path: Path) -> Runner:
    (onnxruntime,) = require_packages("to=onnx", "onnxruntime")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {IMAGES: images})[0]


def in_openvino(path: Path) -> Runner:
    """In float32: where a processor has bfloat16, OpenVINO takes that."""
    (openvino,) = require_packages("to=openvino", "openvino")
    compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda images: compiled([images])[0]


def in_torchscript(path: Path) -> Runner:
    return in_pytorch(torch.jit.load(str(path)))


def in_torch_export(path: Path) -> Runner:
    return in_pytorch(torch.export.load(path).module())


def in_pytorch(module: nn.Module) -> Runner:
    def run(images: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return module(torch.from_numpy(images)).numpy()

    return run


FORMATS = {
    "onnx": Format(write_onnx, in_onnxruntime),
    "torchscript": Format(write_torchscript, in_torchscript),
    "torch_export": Format(write_torch_export, in_torch_export),
    "openvino": Format(write_openvino, in_openvino),
}
