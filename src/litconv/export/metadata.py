"""What stands in a file beside the network: strings, of which those that are no words are JSON."""

import json
from collections.abc import Mapping
from typing import Any

from litconv import __version__
from litconv.export.onnx import IMAGES, LOGITS


def metadata_of(facts: Mapping[str, Any], *, whole_numbers: bool) -> dict[str, str]:
    """`facts` (class names, mean, std, …) and what is known here. `whole_numbers`: the images that the file takes are such, and
    it normalises them."""
    layout = (
        "whole numbers (N, H, W, C), as they are read" if whole_numbers else "float32 (N, C, H, W), (x - mean) / std"
    )
    own = {"litconv_version": __version__, "input": IMAGES, "output": LOGITS, "input_layout": layout}
    return {key: as_string(value) for key, value in {**facts, **own}.items()}


def as_string(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
