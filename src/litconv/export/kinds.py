"""The names of the formats, and what is refused before anything of size is imported."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litconv.errors import ExportError
from litconv.export.extra import check_packages

OPSET = 20
LOWEST_OPSET = 18  # of PyTorch's exporter


@dataclass(frozen=True)
class Kind:
    ending: str
    runtime: str  # that its files are for
    packages: tuple[str, ...]  # of the extra, for writing and running one

    @property
    def has_opset(self) -> bool:
        """Whether it is made of an ONNX file, or is one."""
        return "onnx" in self.packages


KINDS = {
    "onnx": Kind(".onnx", "onnxruntime", ("onnx", "onnxscript", "onnxruntime")),
    "torchscript": Kind(".pt", "torchscript", ()),
    "torch_export": Kind(".pt2", "torch_export", ()),
    "openvino": Kind(".xml", "openvino", ("onnx", "onnxscript", "openvino")),
}


def kind_named(to: str | None) -> Kind:
    if to not in KINDS:
        raise ExportError(f"to={to} must be one of {', '.join(KINDS)}")
    check_packages(f"to={to}", *KINDS[to].packages)
    return KINDS[to]


def check_path(path: Path, to: str) -> None:
    if path.suffix != KINDS[to].ending:
        raise ExportError(f"out={path} must end in {KINDS[to].ending}, as files of to={to} do")
    if path.is_dir():
        raise ExportError(f"out={path} is a folder; give a file, such as out={path / f'model{KINDS[to].ending}'}")


def check_opset(opset: Any) -> None:
    from onnx.defs import onnx_opset_version

    highest = onnx_opset_version()
    if type(opset) is not int or not LOWEST_OPSET <= opset <= highest:
        raise ExportError(f"opset={opset} must be a whole number from {LOWEST_OPSET} to {highest}; try opset={OPSET}")


def check_asked_opset(opset: Any, to: str, overrides: Sequence[str]) -> None:
    """`overrides`: of the command line."""
    if KINDS[to].has_opset:
        check_opset(opset)
    elif any(override.startswith("opset=") for override in overrides):
        raise ExportError(f"opset={opset} has no effect: files of to={to} have none; remove it")
