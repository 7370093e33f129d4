"""A model as one graph of ordinary operations: what every format is written from.

torch.export records what the model computes. Then litconv's own operations become what their files say they are
(`PLAIN_FORMS`), and a convolution with a kernel for each image becomes a product of matrices (`per_image_kernels`).
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx import Node

from litconv.conv.slot import PLAIN_FORMS
from litconv.errors import ExportError
from litconv.export.per_image_kernels import as_product, has_kernels_of_images

OPERATION = type(torch.ops.aten.relu.default)
ORDINARY = ("aten", "prims", "prim", "torchvision", "higher_order")


def recorded(
    model: nn.Module, images: Tensor, *, dynamic_batch: bool = True, dynamic_size: bool = False
) -> ExportedProgram:
    """`images` (N, …): an example. `dynamic_size`: axes 2 and 3 are free, too."""
    if model.training:
        raise ExportError(f"{type(model).__name__} is in training mode; call model.eval() first")
    if dynamic_batch and len(images) == 1:
        images = images.expand(2, *images.shape[1:]).contiguous()  # torch.export takes a size of 1 for a constant
    free = ([0] if dynamic_batch else []) + ([2, 3] if dynamic_size else [])
    shapes = (dict.fromkeys(free, Dim.DYNAMIC) or None,)
    try:
        with torch.no_grad():
            return torch.export.export(model, (images,), dynamic_shapes=shapes, strict=False)
    except Exception as error:  # whatever the model's own code does while it is recorded
        raise ExportError(f"{type(model).__name__} cannot be recorded by torch.export: {first_line(error)}") from error


def in_ordinary_operations(program: ExportedProgram) -> ExportedProgram:
    table = {}
    for node in operations(program):
        name = name_of(node)
        if name in PLAIN_FORMS:
            table[node.target] = PLAIN_FORMS[name]
        elif has_kernels_of_images(node):
            table[node.target] = as_product
        elif name.partition("::")[0] not in ORDINARY:
            raise ExportError(f"{place_of(node)} computes {name}, an operation of its own, which no file can hold")
    if not table:
        return program
    with torch.no_grad():
        return program.run_decompositions(table)


def operations(program: ExportedProgram) -> Iterator[Node]:
    """Its calls of operations, in order."""
    for node in program.graph.nodes:
        if node.op == "call_function" and isinstance(node.target, OPERATION):
            yield node


def name_of(node: Node) -> str:
    return node.target.name().partition(".")[0]


def place_of(node: Node) -> str:
    """The module that computes it, by its name in the model and its class."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    if not stack:
        return "the model"
    name, kind = stack[-1]
    short = kind.rpartition(".")[2] if isinstance(kind, str) else kind.__name__
    return f"{name} ({short})" if name else f"the model ({short})"


def first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__
