"""A model as one graph of ordinary operations: what every format is written from.

While torch.export or a trace records the model, litconv's own operations become what their files say they are (`PLAIN_FORMS`),
and a convolution with kernels for each image becomes a product of matrices (`per_image_kernels`).
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx import Node
from torch.overrides import TorchFunctionMode

from litconv.conv.slot import PLAIN_FORMS
from litconv.errors import ExportError
from litconv.export.per_image_kernels import as_product, has_kernels_of_images

OPERATION = type(torch.ops.aten.relu.default)
AXES = {0: "batch", 2: "height", 3: "width"}  # of images of floats; channels come first
AXES_OF_WHOLE_NUMBERS = {0: "batch", 1: "height", 2: "width"}
ORDINARY = ("aten", "prims", "prim", "torchvision")


class InOrdinaryOperations(TorchFunctionMode):
    """What runs inside calls nothing that a file without litconv could not hold."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        options = kwargs or {}
        if has_kernels_of_images(func, args, options):
            return as_product(*args, **options)
        plain = PLAIN_FORMS.get(func.name().partition(".")[0]) if isinstance(func, OPERATION) else None
        return (plain or func)(*args, **options)


def recorded(
    model: nn.Module, images: Tensor, *, dynamic_batch: bool = True, dynamic_size: bool = False
) -> ExportedProgram:
    """`images`: an example, (N, C, H, W) of floats or (N, H, W, C) of whole numbers. An operation that is nobody's but the
    model's own is refused."""
    check_mode(model)
    if dynamic_batch and len(images) == 1:
        images = images.expand(2, *images.shape[1:]).contiguous()  # torch.export takes a size of 1 for a constant
    free = [axis for axis, name in axes_of(images).items() if (dynamic_batch if name == "batch" else dynamic_size)]
    shapes = (dict.fromkeys(free, Dim.DYNAMIC) or None,)
    try:
        with torch.no_grad(), InOrdinaryOperations():
            program = torch.export.export(model, (images,), dynamic_shapes=shapes, strict=False)
    except Exception as error:  # whatever the model's own code does while it is recorded
        raise ExportError(f"{type(model).__name__} cannot be recorded by torch.export: {first_line(error)}") from error
    for node in operations(program):
        if (name := name_of(node)).partition("::")[0] not in ORDINARY:
            raise ExportError(f"{place_of(node)} computes {name}, an operation of its own, which no file can hold")
    return program


def check_mode(model: nn.Module) -> None:
    if model.training:
        raise ExportError(f"{type(model).__name__} is in training mode; call model.eval() first")


def axes_of(images: Tensor) -> dict[int, str]:
    """Which axes of a network's input can be free, by their names."""
    return AXES if images.is_floating_point() else AXES_OF_WHOLE_NUMBERS


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
