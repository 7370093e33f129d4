"""int8: static quantisation of an ONNX file, into one that both runtimes execute in integers.

    q = clip(round(x / s) + z)      s, z: of a tensor, of a weight's every output channel

`QuantizeLinear` and `DequantizeLinear` stand around every operation (QDQ); the runtimes replace them by integer kernels. Ranges
of activations are found on calibration images. In float stay deformable convolution, which has no integer kernel; norms that no
convolution took up; the logits.
Method: https://arxiv.org/abs/1712.05877 (scales, per channel), https://arxiv.org/abs/2004.09602 (max, entropy, percentile).
"""

import contextlib
import io
import logging
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from litconv.cost.deployed_keys import FEWEST_CALIBRATION_IMAGES as FEWEST
from litconv.errors import ExportError
from litconv.files import write_whole
from litconv.runtimes.scheme import Scheme

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

Method = Literal["minmax", "entropy", "percentile"]
METHODS = get_args(Method)
IN_FLOAT = {"DeformConv", "BatchNormalization", "InstanceNormalization", "LayerNormalization", "Softmax"}
MULTIPLIES = ("Conv", "ConvTranspose", "Gemm", "MatMul", "DeformConv")
PIXELS_AT_ONCE = 2**18
BINS = 512  # of entropy's histograms; the tools' own 128 are as many as int8 has, which leaves nothing to choose from


@dataclass(frozen=True)
class Calibration:
    images: np.ndarray  # float32 (N, C, H, W), as the network gets them
    method: Method = "minmax"


@dataclass(frozen=True)
class Quantised:
    """What became of the file."""

    scheme: Scheme
    in_int8: dict[str, int]  # operation → how many compute in integers
    in_float: dict[str, int]

    def facts(self) -> dict[str, Any]:
        return {"scheme": self.scheme.words(), "in_int8": self.in_int8, "in_float": self.in_float}


def quantise(float_path: Path, path: Path, calibration: Calibration, scheme: Scheme) -> Quantised:
    import onnx
    from onnxruntime import quantization as ort

    check(calibration.images, float_path)
    with tempfile.TemporaryDirectory() as folder, without_chatter():
        prepared, ranges, made = (Path(folder, name) for name in ("prepared.onnx", "ranges.json", "int8.onnx"))
        graph = prepare(float_path, prepared)
        method = find_ranges(prepared, graph, calibration, scheme, ranges)
        ort.quantize_static(
            prepared,
            made,
            quant_format=ort.QuantFormat.QDQ,
            op_types_to_quantize=operations(),
            per_channel=True,
            reduce_range=scheme.weight_bits == 7,
            activation_type=ort.QuantType.QUInt8 if scheme.activations == "uint8" else ort.QuantType.QInt8,
            weight_type=ort.QuantType.QInt8,
            calibrate_method=method,
            calibration_cache_path=ranges,
            extra_options={"ActivationSymmetric": scheme.symmetric},
        )
        proto = onnx.load(made)
    with_float_logits(proto)
    write_whole(path, proto.SerializeToString())
    return Quantised(scheme, *kinds(proto.graph))


def operations() -> list[str]:
    """What ONNX Runtime's tools can quantise."""
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    return sorted({*QDQRegistry, *QLinearOpsRegistry} - IN_FLOAT)


def prepare(source: Path, path: Path) -> "GraphProto":
    """With all shapes, and without what the tools stumble over."""
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    quant_pre_process(source, path, skip_symbolic_shape=True)
    proto = onnx.load(path)
    without_empty_parts(proto.graph)
    onnx.save(proto, path)
    return proto.graph


def find_ranges(source: Path, graph: "GraphProto", calibration: Calibration, scheme: Scheme, path: Path) -> Any:
    """Of every tensor, into `path`; returns the tools' name of the method. A few images at a time: histograms keep all that a
    batch makes."""
    from onnxruntime.quantization import calibrate as ort

    method = {
        "minmax": ort.CalibrationMethod.MinMax,
        "entropy": ort.CalibrationMethod.Entropy,
        "percentile": ort.CalibrationMethod.Percentile,
    }[calibration.method]
    bins = {"num_bins": BINS} if calibration.method == "entropy" else {}
    options = {"symmetric": scheme.symmetric, **bins}
    calibrator = ort.create_calibrator(
        source, operations(), str(path.with_name("augmented.onnx")), calibrate_method=method, extra_options=options
    )
    for batch in batches(calibration.images):
        calibrator.collect_data(One({graph.input[0].name: batch}))
    ort.save_tensors_data(calibrator.compute_data(), path)
    return method


class One:
    """A batch, as the tools ask for it: once, then nothing."""

    def __init__(self, batch: dict[str, np.ndarray]) -> None:
        self.waiting: dict[str, np.ndarray] | None = batch

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch, self.waiting = self.waiting, None
        return batch


def batches(images: np.ndarray) -> Iterator[np.ndarray]:
    size = max(1, min(32, PIXELS_AT_ONCE // (images.shape[2] * images.shape[3])))
    for start in range(0, len(images), size):
        yield images[start : start + size]


def check(images: np.ndarray, path: Path) -> None:
    import onnx

    if len(images) < FEWEST:
        raise ExportError(f"{len(images)} calibration images are too few to find ranges by; give at least {FEWEST}")
    sizes = onnx.load(path, load_external_data=False).graph.input[0].type.tensor_type.shape.dim
    wanted = [size.dim_param or size.dim_value for size in sizes][1:]
    has = images.shape[1:]
    if len(wanted) != len(has) or any(w != h for w, h in zip(wanted, has, strict=True) if type(w) is int):
        raise ExportError(
            f"the calibration images are {shown(has)} and the network takes {shown(wanted)}; give images of its size"
        )


def shown(sizes: Any) -> str:
    return "×".join(map(str, sizes))


def without_empty_parts(graph: "GraphProto") -> None:
    """A Split off of no channels, as of masks that a deformable convolution does not have: its histograms fail."""
    from onnx import numpy_helper

    sizes = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in [node for node in graph.node if node.op_type == "Split" and len(node.input) > 1]:
        parts = sizes.get(node.input[1])
        if parts is None or list(parts[1:]) != [0] * (len(parts) - 1):
            continue
        whole, source = node.output[0], node.input[0]
        graph.node.remove(node)
        for other in graph.node:
            other.input[:] = [source if name == whole else name for name in other.input]
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)


def with_float_logits(proto: "ModelProto") -> None:
    """An output of 8 bits has ties between classes."""
    graph = proto.graph
    maker = {output: node for node in graph.node for output in node.output}
    for output in graph.output:
        last = maker[output.name]
        first = maker.get(last.input[0]) if last.op_type == "DequantizeLinear" else None
        if first is None or first.op_type != "QuantizeLinear":
            continue
        inner = first.input[0]
        graph.node.remove(last)
        if not any(first.output[0] in node.input for node in graph.node):
            graph.node.remove(first)
        for node in graph.node:
            renamed = [output.name if name == inner else name for name in node.output]
            node.output[:] = renamed
            node.input[:] = [output.name if name == inner else name for name in node.input]


def kinds(graph: "GraphProto") -> tuple[dict[str, int], dict[str, int]]:
    """How many of the operations that multiply compute in integers, how many in float."""
    maker = {output: node.op_type for node in graph.node for output in node.output}

    def is_int8(node: "NodeProto") -> bool:
        return all(maker.get(name) == "DequantizeLinear" for name in node.input[:2])

    of_interest = [node for node in graph.node if node.op_type in MULTIPLIES]
    counts = [Counter(node.op_type for node in of_interest if is_int8(node) is wanted) for wanted in (True, False)]
    return dict(counts[0]), dict(counts[1])


@contextlib.contextmanager
def without_chatter() -> Iterator[None]:
    """What the tools print, and advice that is followed already."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a tensor that is 0 everywhere the percentile is 0 / 0
            yield
    finally:
        logging.disable(before)
