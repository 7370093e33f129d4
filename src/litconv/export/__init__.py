"""Export: any nn.Module becomes a file that runs without litconv. Knows no configuration.

>>> from litconv.export import deployed, onnx
>>> onnx.to_onnx(deployed(model, images), images, "model.onnx")

The packages that write and run such files are an extra, `pip install 'litconv[deploy]'`, imported where they are needed.
docs/export.md is its page.
"""

from litconv.export.deployed import deployed
from litconv.export.extra import require_packages

__all__ = ["deployed", "require_packages"]
