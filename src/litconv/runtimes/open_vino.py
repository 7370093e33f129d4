"""OpenVINO on the CPU, for one request at a time, with `threads` threads.

Products are computed in float32: by itself it takes bfloat16 where the processor has it, and then float32's latency and accuracy
would be those of another precision. The library is imported where it is needed: it is an extra.
"""

from os import PathLike
from pathlib import Path

import numpy as np

SETTINGS = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}


class Session:
    """`path`: an .xml of `file_of`, or an ONNX file."""

    def __init__(self, path: str | PathLike[str], threads: int, batch: int | None = None) -> None:
        import openvino

        core = openvino.Core()
        model = read(core, Path(path))
        if batch is not None:
            _, *rest = model.input(0).get_partial_shape()
            model.reshape(openvino.PartialShape([batch, *rest]))
        self.compiled = core.compile_model(model, "CPU", {**SETTINGS, "INFERENCE_NUM_THREADS": threads})
        self.request = self.compiled.create_infer_request()

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return self.request.infer([images], share_inputs=True)[0]

    def executed(self) -> list[tuple[str, str]]:
        """Each layer as it is computed: its type, and the precision of what it reads (f32, u8, i8)."""
        layers = self.compiled.get_runtime_model().get_ordered_ops()
        facts = [[layer.rt_info[key] for key in ("layerType", "runtimePrecision")] for layer in layers]
        return [tuple(str(getattr(fact, "value", fact)) for fact in pair) for pair in facts]


def read(core: object, path: Path) -> object:
    if path.suffix == ".xml":
        return core.read_model(str(path))
    from litconv.export.openvino import read_onnx  # and torch

    return read_onnx(path)


def file_of(onnx_path: Path) -> Path:
    """What this runtime opens: its own form, in which deformable convolutions are its own operation."""
    from litconv.export.openvino import to_openvino

    path = onnx_path.with_suffix(".xml")
    to_openvino(onnx_path, path)
    return path


def size_of(path: Path) -> int:
    """Bytes of the graph and of the weights beside it."""
    return path.stat().st_size + path.with_suffix(".bin").stat().st_size
