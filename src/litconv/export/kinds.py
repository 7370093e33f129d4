"""The names of the formats, and what is refused before anything of size is imported."""

from dataclasses import dataclass
from pathlib import Path

from litconv.errors import ExportError
from litconv.export.extra import check_packages


@dataclass(frozen=True)
class Kind:
    ending: str
    runtime: str  # that its files are for
    packages: tuple[str, ...]  # of the extra, for writing and running one


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
