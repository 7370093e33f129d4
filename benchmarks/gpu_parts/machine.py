"""The device, the versions, and what the device does at most: matrix products and copies, measured here."""

import platform
import sys

import pytorch_lightning
import torch
import torchvision

import litconv
from gpu_parts.part import Report, Setting
from litconv.cost.latency import clock_of, time_beside
from litconv.device import describe

PRODUCTS = {"float32": (torch.float32, False), "TF32": (torch.float32, True), "bf16": (torch.bfloat16, False)}


def run(setting: Setting, report: Report) -> None:
    device = torch.device(setting.device)
    report.fact("device", describe(device))
    versions = {"litconv": litconv, "torch": torch, "torchvision": torchvision, "Lightning": pytorch_lightning}
    report.fact("versions", {"Python": platform.python_version()} | {k: v.__version__ for k, v in versions.items()})
    report.fact("platform", sys.platform)
    report.head("Ceilings, measured", ("what", "per second"))
    side = 256 if setting.quick else 8192
    for name, (dtype, tf32) in PRODUCTS.items():
        torch.backends.cuda.matmul.allow_tf32 = tf32
        a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
        ms = time_beside(lambda a=a, b=b: a @ b, None, clock_of(device), 10 if setting.quick else 300).median_ms
        report.fact(f"{name} operations per second", 2 * side**3 / ms * 1e3)
        report.row("Ceilings, measured", f"{name}, product of {side}² matrices", f"{2 * side**3 / ms / 1e9:.1f} TFLOP")
    values = torch.empty(2**22 if setting.quick else 2**28, device=device)
    other = torch.empty_like(values)
    ms = time_beside(lambda: other.copy_(values), None, clock_of(device), 10 if setting.quick else 300).median_ms
    moved = 2 * values.nbytes
    report.fact("bytes per second", moved / ms * 1e3)
    report.row("Ceilings, measured", "a copy, bytes read and written", f"{moved / ms / 1e6:.0f} GB")
    report.check("ceilings are measured", ms > 0, "yes")
