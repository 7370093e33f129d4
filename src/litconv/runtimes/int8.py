"""int8: static quantisation of an ONNX file, into one that both runtimes execute in integers.

    q = clip(round(x / s) + z)      s, z: of a tensor, of a weight's every output channel

`QuantizeLinear` and `DequantizeLinear` stand around every operation (QDQ); the runtimes replace them by integer kernels. Ranges
of activations are found on calibration images. In float stay deformable convolution, which has no integer kernel, and the
convolutions that make its offsets, whose steps would be coarse against a pixel; norms that no convolution took up; the logits.
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
OFFSET, MASK = 2, 4  # inputs of DeformConv
PIXELS_AT_ONCE = 2**18


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
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry
    from onnxruntime.quantization.shape_inference import quant_pre_process

    check(calibration.images, float_path)
    methods = {
        "minmax": ort.CalibrationMethod.MinMax,
        "entropy": ort.CalibrationMethod.Entropy,
        "percentile": ort.CalibrationMethod.Percentile,
    }
    with tempfile.TemporaryDirectory() as folder, without_chatter():
        prepared, made = Path(folder, "prepared.onnx"), Path(folder, "int8.onnx")
        quant_pre_process(float_path, prepared, skip_symbolic_shape=True)
        whole = onnx.load(prepared)
        graph = whole.graph
        without_empty_parts(graph)
        onnx.save(whole, prepared)
        ort.quantize_static(
            prepared,
            made,
            Batches(calibration.images, graph.input[0].name),
            quant_format=ort.QuantFormat.QDQ,
            op_types_to_quantize=sorted({*QDQRegistry, *QLinearOpsRegistry} - IN_FLOAT),
            per_channel=True,
            reduce_range=scheme.weight_bits == 7,
            activation_type=ort.QuantType.QUInt8 if scheme.activations == "uint8" else ort.QuantType.QInt8,
            weight_type=ort.QuantType.QInt8,
            nodes_to_exclude=makers_of_offsets(graph),
            calibrate_method=methods[calibration.method],
            extra_options={"ActivationSymmetric": scheme.symmetric, "CalibStridedMinMax": 1},
        )
        proto = onnx.load(made)
    with_float_logits(proto)
    write_whole(path, proto.SerializeToString())
    return Quantised(scheme, *kinds(proto.graph))


class Batches:
    """The images, a few at a time, as ONNX Runtime's tools ask for them: a range of batches, then one after the other."""

    def __init__(self, images: np.ndarray, name: str) -> None:
        self.images, self.name = images, name
        self.size = max(1, min(32, PIXELS_AT_ONCE // (images.shape[2] * images.shape[3])))
        self.set_range(0, len(self))

    def __len__(self) -> int:
        return -(-len(self.images) // self.size)

    def set_range(self, start_index: int, end_index: int) -> None:
        self.waiting = iter(range(start_index, end_index))

    def get_next(self) -> dict[str, np.ndarray] | None:
        number = next(self.waiting, None)
        return None if number is None else {self.name: self.images[number * self.size : (number + 1) * self.size]}


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
    """A Split off of no channels, as of masks that a deformable convolution has not; ONNX Runtime's histograms fail at it."""
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


def makers_of_offsets(graph: "GraphProto") -> list[str]:
    """What lies between a convolution and the offsets and masks that it makes, it included."""
    maker = {output: node for node in graph.node for output in node.output}
    found: dict[str, None] = {}

    def go_back(tensor: str) -> None:
        node = maker.get(tensor)
        if node is None or node.name in found:
            return
        found[node.name] = None
        if node.op_type != "Conv":
            for name in node.input:
                go_back(name)

    for node in graph.node:
        if node.op_type == "DeformConv":
            for index in (OFFSET, MASK):
                if index < len(node.input):
                    go_back(node.input[index])
    return list(found)


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
