"""Export: any nn.Module becomes a file that runs without litconv. Knows no configuration.

>>> from litconv import export
>>> export.to_onnx(export.deployed(model, images), images, "model.onnx")

What is named here is imported when it is first asked for; the packages that write and run such files are an extra,
`pip install 'litconv[deploy]'`. docs/export.md is its page.
"""

from importlib import import_module
from typing import Any

HOMES = {
    "Options": "formats",
    "Parity": "parity",
    "Preprocessing": "preprocessing",
    "deployed": "folding",
    "export": "exporting",
    "require_packages": "extra",
    "to_onnx": "onnx",
    "to_openvino": "openvino",
    "to_torch_export": "torch_export",
    "to_torchscript": "torchscript",
}
__all__ = sorted(HOMES)


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
