"""Triton's deformable convolution against torchvision's: the same output and gradients in every geometry and precision, no waits,
a CUDA graph; and how fast (`triton_speed.py`). On a CPU Triton's interpreter is tried.
"""

from importlib.metadata import version
from importlib.util import find_spec

import torch

from gpu_parts.operators import error_of, waits_of
from gpu_parts.part import Report, Setting, SkippedError, one_line
from gpu_parts.triton_calls import PLAIN, PRECISIONS, call_of, inputs
from gpu_parts.triton_speed import speed

# groups, offset groups, mask, kernel, stride, padding, dilation
GEOMETRIES = (
    (1, 1, False, 3, 1, 1, 1), (1, 1, True, 3, 2, 1, 1), (1, 2, True, 3, 1, 2, 2), (2, 1, False, 3, 1, 1, 1),
    (2, 4, True, 5, 2, 2, 1), (4, 2, False, 1, 1, 0, 1), (16, 1, True, 3, 1, 1, 1),
)  # fmt: skip


def run(setting: Setting, report: Report) -> None:
    if find_spec("triton") is None:
        raise SkippedError("Triton is not installed")
    device = torch.device(setting.device)
    quick = {"float32": PRECISIONS["float32"]}
    for precision, (dtype, tf32, most) in (quick if setting.quick else PRECISIONS).items():
        for geometry in GEOMETRIES[1:2] if setting.quick else GEOMETRIES:
            equality(report, precision, geometry, device, dtype, tf32, most)
    if setting.quick:
        report.skip("waits, CUDA graphs and speed", "no GPU: Triton's interpreter was tried")
        return
    torch.backends.cuda.matmul.allow_tf32 = True
    call = call_of("triton", PLAIN, inputs(PLAIN, 32, 28, 4, device))
    call()
    waited = waits_of(call, device)
    report.check("a call does not wait for the GPU", not waited, waited or "0 waits")
    report.check("a CUDA graph holds forward and backward", *graph(device))
    speed(setting, report, device)


def equality(
    report: Report, precision: str, geometry: tuple, device: torch.device, dtype: torch.dtype, tf32: bool, most: float
) -> None:
    """Against torchvision in exact float32 on the same, rounded numbers."""
    size, channels = (5, 8) if device.type == "cpu" else (14, 32)
    rounded = [None if t is None else t.to(dtype) for t in inputs(geometry, channels, size, 2, device)]
    name = f"{precision}, " + ", ".join(map(str, geometry))
    torch.backends.cuda.matmul.allow_tf32 = False
    expected = call_of("reference", geometry, [None if t is None else t.float() for t in rounded])()
    torch.backends.cuda.matmul.allow_tf32 = tf32
    try:
        found = call_of("triton", geometry, rounded)()
    except Exception as error:  # of one geometry; the others are tried all the same
        if device.type == "cpu" and "0-dimensional arrays" in str(error):
            pair = f"Triton {version('triton')}'s interpreter cannot count with NumPy {version('numpy')}"
            raise SkippedError(f"no GPU, and {pair}") from error
        report.check(name, False, one_line(error))
        return
    labels = ("output", "x", "weight", "offset", "mask")
    worst, where = max((error_of(a, b), label) for a, b, label in zip(found, expected, labels, strict=False))
    report.check(name, worst <= most, f"{worst:.1e} of {where}; at most {most:g}")


def graph(device: torch.device) -> tuple[bool, str]:
    tensors = inputs(PLAIN, 32, 28, 4, device)
    call = call_of("triton", PLAIN, tensors)
    try:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            expected = call()
        torch.cuda.current_stream().wait_stream(stream)
        held = torch.cuda.CUDAGraph()
        with torch.cuda.graph(held):
            made = call()
        held.replay()
        torch.cuda.synchronize()
    except Exception as error:  # of CUDA, Triton or autograd
        return False, one_line(error)
    worst = max(error_of(a, b.cpu()) for a, b in zip(made, expected, strict=True))
    return worst < 1e-3, f"largest difference {worst:.1e}"
