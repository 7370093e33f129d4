"""What convolutions that are known to be slow cost on ONNX Runtime and OpenVINO, float32 and int8, beside a neighbour without
the hazard, in turns: python benchmarks/hazards.py [--seconds 0.3] [--write]

Each figure is one layer, three times in a row, so that an int8 model's borders weigh less; batch 1, 32×32, one thread. int8 is
static QDQ with weights scaled by channel, as `deploy` makes it. It prints the table of docs/hazards.md; `--write` writes it there
and src/litconv/cost/hazard_factors.json, which `scripts/cost.py` reads. A minute or two.
"""

import argparse
import json
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
import torch
from onnx import TensorProto, helper, numpy_helper
from openvino import opset8

from litconv.cost.hazards import FACTORS, KINDS
from litconv.cost.latency import time_beside
from litconv.device import describe

PAGE = Path(__file__).parents[1] / "docs" / "hazards.md"
PLACE = re.compile(r"(?<=<!-- hazards -->\n).*?(?=<!-- /hazards -->)", re.DOTALL)
SIZE, LAYERS, OPSET = 32, 3, 19
STEP = 1 / 64  # of every quantised value; what the values are does not change the time
PRECISIONS = ("float32", "int8")


@dataclass(frozen=True)
class Layer:
    channels: int = 64
    groups: int = 1
    kernel: int = 3
    dilation: int = 1
    padding: int = 1
    pads_apart: bool = False  # by a Pad of its own, two rows on one side
    is_deformable: bool = False

    @property
    def weight(self) -> np.ndarray:
        shape = (self.channels, self.channels // self.groups, self.kernel, self.kernel)
        return np.random.default_rng(0).normal(0, 0.05, shape).astype(np.float32)

    def out(self, size: int) -> int:
        return size + 2 * self.padding - self.dilation * (self.kernel - 1)

    @property
    def sizes(self) -> list[int]:
        """After each layer."""
        sizes = [SIZE]
        for _ in range(LAYERS):
            sizes.append(self.out(sizes[-1]))
        return sizes

    @property
    def macs(self) -> int:
        return sum(self.weight.size * size**2 for size in self.sizes[1:])


STANDARD, DEPTHWISE = Layer(), Layer(groups=64)
CASES = {
    "few_channels": (Layer(groups=16), Layer(groups=4)),
    "off_vector": (Layer(channels=60), STANDARD),
    "even_kernel": (Layer(kernel=4), STANDARD),
    "uneven_padding": (Layer(pads_apart=True), STANDARD),
    "dilated_depthwise": (replace(DEPTHWISE, dilation=2, padding=2), DEPTHWISE),
    "deformable": (Layer(is_deformable=True), STANDARD),
}


def model(layer: Layer, precision: str) -> onnx.ModelProto:
    nodes: list[onnx.NodeProto] = []
    constants: dict[str, np.ndarray] = {"step": np.array(STEP, np.float32), "zero": np.array(128, np.uint8)}
    quantised = precision == "int8"

    def add(kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def through_int8(value: str) -> str:
        if not quantised:
            return value
        whole = add("QuantizeLinear", [value, "step", "zero"], f"{value}_q")
        return add("DequantizeLinear", [whole, "step", "zero"], f"{value}_dq")

    value = through_int8("x")
    for index, size in enumerate(layer.sizes[1:]):
        weight = f"w{index}"
        if quantised and not layer.is_deformable:
            steps = np.abs(layer.weight).max((1, 2, 3)) / 127
            constants[f"{weight}_q"] = np.round(layer.weight / steps[:, None, None, None]).astype(np.int8)
            constants[f"{weight}_step"], constants[f"{weight}_zero"] = steps, np.zeros(layer.channels, np.int8)
            add("DequantizeLinear", [f"{weight}_q", f"{weight}_step", f"{weight}_zero"], weight, axis=0)
        else:
            constants[weight] = layer.weight
        sides = [layer.padding] * 4
        if layer.pads_apart:
            constants["pads"], sides = np.array([0, 0, 0, 0, 0, 0, 2, 2]), [0] * 4
            value = through_int8(add("Pad", [value, "pads"], f"padded{index}"))
        shared = {"kernel_shape": [layer.kernel] * 2, "pads": sides, "group": layer.groups}
        if layer.is_deformable:
            constants[f"o{index}"] = offsets(layer, size)
            value = add("DeformConv", [value, weight, f"o{index}"], f"y{index}", **shared)
        else:
            value = add("Conv", [value, weight], f"y{index}", dilations=[layer.dilation] * 2, **shared)
        value = through_int8(value)
    add("Identity", [value], "y")
    shapes = [(1, layer.channels, size, size) for size in (SIZE, layer.sizes[-1])]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in zip("xy", shapes, strict=True)
    ]
    held = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "layers", ends[:1], ends[1:], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)


def offsets(layer: Layer, size: int) -> np.ndarray:
    shape = (1, 2 * layer.kernel**2, size, size)
    return np.random.default_rng(1).normal(0, 0.5, shape).astype(np.float32)


def on_onnxruntime(layer: Layer, precision: str) -> Callable[[], object]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(
        model(layer, precision).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    x = image(layer)
    return lambda: session.run(None, {"x": x})


def on_openvino(layer: Layer, precision: str) -> Callable[[], object]:
    core = openvino.Core()
    read = (
        deformable_in_openvino(layer)
        if layer.is_deformable
        else core.read_model(model(layer, precision).SerializeToString())
    )
    compiled = core.compile_model(
        read, "CPU", {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    )
    request = compiled.create_infer_request()
    x = image(layer)
    return lambda: request.infer([x], share_inputs=True)


def deformable_in_openvino(layer: Layer) -> openvino.Model:
    """Its reader of ONNX knows no DeformConv."""
    x = opset8.parameter((1, layer.channels, SIZE, SIZE), np.float32)
    value: openvino.Node = x
    for size in layer.sizes[1:]:
        pads = [layer.padding] * 2
        value = opset8.deformable_convolution(
            value,
            opset8.constant(offsets(layer, size)),
            opset8.constant(layer.weight),
            strides=[1, 1],
            pads_begin=pads,
            pads_end=pads,
            dilations=[1, 1],
            bilinear_interpolation_pad=True,
        )
    return openvino.Model([value], [x], "layers")


RUNTIMES = {"ONNX Runtime": on_onnxruntime, "OpenVINO": on_openvino}


def image(layer: Layer) -> np.ndarray:
    return np.random.default_rng(2).normal(0, 1, (1, layer.channels, SIZE, SIZE)).astype(np.float32)


def ratio(one: Callable[[], object], other: Callable[[], object], seconds: float) -> float:
    return time_beside(one, other, own_clock, 1e3 * seconds).ratio


def own_clock(call: Callable[[], object]) -> float:
    """Milliseconds of a core that this process had: with one thread the time that it took, less what others took of it."""
    started = time.process_time()
    call()
    return 1e3 * (time.process_time() - started)


def measured(seconds: float) -> dict[str, dict[str, dict[str, float]]]:
    factors: dict[str, dict[str, dict[str, float]]] = {}
    for runtime, opened in RUNTIMES.items():
        for kind, (layer, neighbour) in CASES.items():
            share = layer.macs / neighbour.macs
            of_precisions = {
                precision: ratio(opened(layer, precision), opened(neighbour, precision), seconds) / share
                for precision in PRECISIONS
            }
            factors.setdefault(kind, {})[runtime] = {name: round(factor, 2) for name, factor in of_precisions.items()}
        gains = [ratio(opened(layer, "int8"), opened(layer, "float32"), seconds) for layer in (DEPTHWISE, STANDARD)]
        factors.setdefault("depthwise_int8", {})[runtime] = {"int8": round(gains[0] / gains[1], 2)}
    return factors


def table(factors: dict[str, dict[str, dict[str, float]]], title: str) -> str:
    columns = [(runtime, precision) for runtime in RUNTIMES for precision in PRECISIONS]
    lines = [title, "", f"| hazard | measured | {' | '.join(f'{r}, {p}' for r, p in columns)} |"]
    lines.append(f"| --- | --- |{' --- |' * len(columns)}")
    for name, kind in KINDS.items():
        cells = [factors[name][runtime].get(precision, math.nan) for runtime, precision in columns]
        figures = " | ".join("" if math.isnan(cell) else f"{cell:.2f}" for cell in cells)
        lines.append(f"| [{kind.what}]({kind.source}) | {kind.neighbour} | {figures} |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.3, help="of rounds per figure; 4 rounds at least")
    parser.add_argument(
        "--write", action="store_true", help="into docs/hazards.md and the factors that scripts/cost.py reads"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    factors = measured(arguments.seconds)
    processor = re.sub(r", \d+ threads?", "", describe(torch.device("cpu")))
    versions = f"onnxruntime {onnxruntime.__version__}, openvino {openvino.__version__.partition('-')[0]}"
    title = f"{processor}, one thread, {versions}, `python benchmarks/hazards.py`"
    print(table(factors, title))
    if arguments.write:
        found = {"processor": processor, "versions": versions, "factors": {name: factors[name] for name in KINDS}}
        FACTORS.write_text(json.dumps(found, indent=2) + "\n")
        PAGE.write_text(PLACE.sub(lambda _: table(factors, title), PAGE.read_text()))


if __name__ == "__main__":
    main()
