"""OpenVINO's form (an .xml of the graph beside a .bin of the weights), read from an ONNX file.

OpenVINO's reader of ONNX does not know DeformConv; here it becomes DeformableConvolution-8. With `bilinear_interpolation_pad`
a sample less than a pixel outside of the image mixes its border with zero, as PyTorch, torchvision and ONNX have it; without,
it is zero.
"""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litconv.errors import ExportError
from litconv.export.extra import require_packages

if TYPE_CHECKING:
    from openvino import Model

INFO = "litconv"  # the section of the file's rt_info in which its metadata stand


def to_openvino(
    onnx_path: str | PathLike[str], path: str | PathLike[str], *, metadata: Mapping[str, str] | None = None
) -> None:
    """float32; `path`: the .xml."""
    path = Path(path)
    if path.suffix != ".xml":
        raise ExportError(f"out={path} must end in .xml, as OpenVINO's graphs do; the weights lie beside it as .bin")
    model = read_onnx(onnx_path)
    for key, value in (metadata or {}).items():
        model.set_rt_info(value, [INFO, key])
    path.parent.mkdir(parents=True, exist_ok=True)
    (openvino,) = require_packages("to=openvino", "openvino")
    openvino.save_model(model, str(path), compress_to_fp16=False)


def read_onnx(path: str | PathLike[str]) -> "Model":
    """An ONNX file as a model of OpenVINO's, deformable convolutions too."""
    openvino, reader = require_packages("OpenVINO", "openvino", "openvino.frontend.onnx")
    core = openvino.Core()
    core.add_extension(reader.ConversionExtension("DeformConv", deform_conv))
    try:
        return core.read_model(str(path))
    except RuntimeError as error:
        raise ExportError(f"OpenVINO cannot read {path}: {' '.join(str(error).split())[:200]}") from error


def deform_conv(node: Any) -> list[Any]:
    """ONNX has the bias before the mask, and the padding as (top, left, bottom, right)."""
    from openvino import opset8

    x, weight, offset, *rest = (node.get_input(index) for index in range(node.get_input_size()))
    pads = node.get_attribute("pads", [0, 0, 0, 0])
    y = opset8.deformable_convolution(
        x,
        offset,
        weight,
        strides=node.get_attribute("strides", [1, 1]),
        pads_begin=pads[:2],
        pads_end=pads[2:],
        dilations=node.get_attribute("dilations", [1, 1]),
        mask=rest[1] if len(rest) > 1 else None,
        group=node.get_attribute("group", 1),
        deformable_group=node.get_attribute("offset_group", 1),
        bilinear_interpolation_pad=True,
    )
    if not rest:
        return y.outputs()
    channels_first = opset8.unsqueeze(rest[0], [1, 2])  # (Cout, 1, 1)
    return opset8.add(y, channels_first).outputs()
