"""Batch norms behind ONNX's DeformConv become part of it: runtimes fold those of ordinary convolutions alone.

The operator has no bias in PyTorch, where one would be a second operation; DeformConv has.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnx import ModelProto


def fold_norms_of_deform_convs(proto: "ModelProto") -> None:
    """In place; where only the norm reads what the convolution makes, and all that is folded is constant."""
    from onnx import numpy_helper

    graph = proto.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    readers = [name for node in graph.node for name in node.input] + [value.name for value in graph.output]

    def array(name: str) -> np.ndarray:
        return numpy_helper.to_array(constants[name]).astype(np.float64)

    def add(name: str, value: np.ndarray) -> str:
        graph.initializer.append(numpy_helper.from_array(value.astype(np.float32), name))
        return name

    for norm in [node for node in graph.node if node.op_type == "BatchNormalization"]:
        conv = makers.get(norm.input[0])
        if conv is None or conv.op_type != "DeformConv" or readers.count(norm.input[0]) != 1:
            continue
        if not constants.keys() >= {conv.input[1], conv.input[3], *norm.input[1:]}:
            continue
        weight, bias, mean, variance = map(array, norm.input[1:])
        epsilon = next((attribute.f for attribute in norm.attribute if attribute.name == "epsilon"), 1e-5)
        scale = weight / np.sqrt(variance + epsilon)
        new_weight = array(conv.input[1]) * scale[:, None, None, None]
        new_bias = (array(conv.input[3]) - mean) * scale + bias
        conv.input[1] = add(f"{conv.output[0]}.weight", new_weight)
        conv.input[3] = add(f"{conv.output[0]}.bias", new_bias)
        conv.output[0] = norm.output[0]
        graph.node.remove(norm)
    read = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
