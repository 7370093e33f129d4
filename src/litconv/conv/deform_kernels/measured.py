"""On which GPUs Triton's kernels were measured faster than torchvision's: `measured.json`, which `benchmarks/gpu.py` makes.

For each GPU, by the name that `torch.cuda.get_device_name` gives, torchvision's time ÷ Triton's of forward and backward, by
precision and problem: {"NVIDIA H100 80GB HBM3": {"bf16": {"64, 64² × 4": 3.1}}}.
"""

import json
from functools import cache
from pathlib import Path

import torch

FILE = Path(__file__).with_name("measured.json")


def are_faster(device: torch.device) -> bool:
    """In every problem that was measured there; not where none was."""
    measured = _table()
    ratios = measured.get(torch.cuda.get_device_name(device), {}) if measured else {}
    return bool(ratios) and all(ratio > 1 for problems in ratios.values() for ratio in problems.values())


@cache
def _table() -> dict[str, dict[str, dict[str, float]]]:
    return json.loads(FILE.read_text(encoding="utf-8"))
