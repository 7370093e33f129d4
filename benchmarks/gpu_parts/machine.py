"""The device, the versions, and what the device does at most: matrix products and copies, measured here."""

import json
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import pytorch_lightning
import torch
import torchvision

import litconv
from gpu_parts.part import Report, Setting
from litconv.cost.latency import clock_of, time_beside
from litconv.device import describe

PRODUCTS = {"float32": (torch.float32, False), "TF32": (torch.float32, True), "bf16": (torch.bfloat16, False)}
BYTES = "bytes per second"
TITLE = "Ceilings, measured"


def identity(device: torch.device) -> dict[str, Any]:
    """Facts of every part's report."""
    versions = {"litconv": litconv, "torch": torch, "torchvision": torchvision, "Lightning": pytorch_lightning}
    found = {name: module.__version__ for name, module in versions.items()}
    return {"device": describe(device), "versions": {"Python": platform.python_version()} | found | others()}


def run(setting: Setting, report: Report) -> None:
    report.fact("platform", sys.platform)
    report.head(TITLE, ("what", "per second"))
    for name, rate in ceilings(setting):
        report.fact(name, rate)
        what, _, _ = name.partition(" operations")
        product = f"{what}, product of {side_of(setting)}² matrices", f"{rate / 1e12:.1f} TFLOP"
        copied = "a copy, bytes read and written", f"{rate / 1e9:.0f} GB"
        report.row(TITLE, *(copied if name == BYTES else product))
    report.check("ceilings are measured", True, "yes")


def others() -> dict[str, str]:
    """Of what compiles and computes on a GPU, where it is there."""
    triton = version("triton") if find_spec("triton") else ""
    found = {"CUDA": torch.version.cuda, "cuDNN": torch.backends.cudnn.version(), "Triton": triton}
    return {name: str(value) for name, value in found.items() if value}


def side_of(setting: Setting) -> int:
    """Of a matrix."""
    return 256 if setting.quick else 8192


def ceilings(setting: Setting) -> Iterator[tuple[str, float]]:
    device, budget_ms = torch.device(setting.device), 10 if setting.quick else 300
    side, clock = side_of(setting), clock_of(device)
    for name, (dtype, torch.backends.cuda.matmul.allow_tf32) in PRODUCTS.items():
        a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
        ms = time_beside(lambda a=a, b=b: a @ b, None, clock, budget_ms).median_ms
        yield f"{name} operations per second", 2 * side**3 / ms * 1e3
    values = torch.empty(2**22 if setting.quick else 2**28, device=device)
    other = torch.empty_like(values)
    ms = time_beside(lambda: other.copy_(values), None, clock, budget_ms).median_ms
    yield BYTES, 2 * values.nbytes / ms * 1e3


def known_ceilings(setting: Setting) -> dict[str, float]:
    """As this part found them, or, where it did not run or come so far, as they are found now."""
    path = setting.results / "machine.json"
    facts = json.loads(path.read_text(encoding="utf-8"))["facts"] if path.exists() else {}
    return facts if BYTES in facts else dict(ceilings(setting))
