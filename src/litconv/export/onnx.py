"""ONNX files, which ONNX Runtime and OpenVINO read.

By PyTorch's exporter of torch.export's graphs. What it does not know is deformable convolution, which is ONNX's `DeformConv`
since opset 19: both have offsets as (y, x) pairs in pixels, tap after tap, a set for each offset group.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from litconv.cost.replica import untouched
from litconv.errors import ExportError
from litconv.export.deform_norms import fold_norms_of_deform_convs
from litconv.export.extra import require_packages
from litconv.export.graph import axes_of, first_line, name_of, operations, place_of, recorded
from litconv.export.kinds import OPSET, check_opset
from litconv.files import write_whole

if TYPE_CHECKING:
    from onnx import ModelProto

IMAGES, LOGITS = "images", "logits"  # names of the input and the output
DEFORM_CONV, ITS_OPSET = "torchvision::deform_conv2d", 19


def to_onnx(
    model: nn.Module,
    images: Tensor,
    path: str | PathLike[str],
    *,
    opset: int = OPSET,
    dynamic_batch: bool = True,
    dynamic_size: bool = False,
    fused: bool = True,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """`model`: in eval mode, best what `export.deployed` makes of it. `images` (N, C, H, W): an example. `fused`: PyTorch's
    exporter may fold what it can, batch norms among it."""
    onnxscript, onnx = require_packages("to=onnx", "onnxscript", "onnx")
    check_opset(opset)
    program = recorded(model, images, dynamic_batch=dynamic_batch, dynamic_size=dynamic_size)
    check_deformables(program, opset)
    table = {torch.ops.torchvision.deform_conv2d.default: deform_conv} if deformables(program) else {}
    with untouched(), without_chatter():
        try:
            made = torch.onnx.export(
                program,
                dynamo=True,
                opset_version=opset,
                input_names=[IMAGES],
                output_names=[LOGITS],
                custom_translation_table=table,
                optimize=fused,
                verbose=False,
            )
        except Exception as error:  # the exporter has a dozen kinds, all private
            raise ExportError(f"{type(model).__name__} has no ONNX form of opset {opset}: {reason(error)}") from error
    if not fused:
        onnxscript.optimizer.fold_constants(made.model)
        onnxscript.optimizer.remove_unused_nodes(made.model)
    proto = made.model_proto
    if fused:
        fold_norms_of_deform_convs(proto)
    written = {entry.domain: entry.version for entry in proto.opset_import}
    if written != {"": opset}:
        raise ExportError(f"opset={opset}: PyTorch {torch.__version__} writes {written['']} instead; use opset={OPSET}")
    clean(proto, axes_of(images))
    onnx.helper.set_model_props(proto, dict(metadata or {}))
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, proto.SerializeToString())


def check_deformables(program: ExportedProgram, opset: int) -> None:
    places = deformables(program)
    if places and opset < ITS_OPSET:
        others = f" and {len(places) - 1} other layers" if len(places) > 1 else ""
        raise ExportError(
            f"opset={opset} has no deformable convolution, which {places[0]}{others} computes: ONNX has DeformConv since "
            f"opset {ITS_OPSET}; use opset={OPSET}"
        )


def deformables(program: ExportedProgram) -> list[str]:
    return [place_of(node) for node in operations(program) if name_of(node) == DEFORM_CONV]


def deform_conv(
    x: Any,
    weight: Any,
    offset: Any,
    mask: Any,
    bias: Any,
    down: int,
    across: int,
    rows: int,
    columns: int,
    rate_down: int,
    rate_across: int,
    groups: int,
    offset_groups: int,
    use_mask: bool,
) -> Any:
    """torchvision's operation in ONNX's words; without a mask it is handed one of no channels."""
    from onnxscript import opset19

    return opset19.DeformConv(
        x,
        weight,
        offset,
        bias,
        mask if use_mask else None,
        kernel_shape=[int(size) for size in weight.shape[2:]],
        strides=[down, across],
        pads=[rows, columns, rows, columns],
        dilations=[rate_down, rate_across],
        group=groups,
        offset_group=offset_groups,
    )


def clean(proto: "ModelProto", axes: Mapping[int, str]) -> None:
    """The exporter notes of which lines of source code every node comes, with paths; and it names free axes by numbers."""
    graph = proto.graph
    for entry in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del entry.metadata_props[:]
    for node in graph.node:
        node.doc_string = ""
    shape = graph.input[0].type.tensor_type.shape.dim
    names = {shape[axis].dim_param: name for axis, name in axes.items() if shape[axis].dim_param}
    for value in (*graph.input, *graph.output, *graph.value_info):
        for size in value.type.tensor_type.shape.dim:
            if size.dim_param:
                size.dim_param = re.sub(r"\w+", lambda word: names.get(word[0], word[0]), size.dim_param)


@contextmanager
def without_chatter() -> Iterator[None]:
    """What the exporter says to those who develop it."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def reason(error: BaseException) -> str:
    """The first of the errors of which this one was made."""
    while error.__cause__ is not None:
        error = error.__cause__
    return first_line(error)
