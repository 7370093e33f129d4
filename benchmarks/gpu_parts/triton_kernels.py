"""Triton's deformable convolution against torchvision's: the same output and gradients in every geometry and precision, no waits,
a CUDA graph, and forward and backward in turns with torchvision's. The ratios are written to measured.json, the table by which
`conv.implementation=auto` chooses.

The share of the ceiling: the least time that operations ÷ the measured peak of products, or bytes that must move ÷ that of
copies, allow (the longer of both), ÷ the time taken. Backward has twice the forward's operations. On a CPU Triton's
interpreter is tried.
"""

import itertools
import json
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import torch
import torchvision
from torch import Tensor

from gpu_parts.operators import error_of, waits_of
from gpu_parts.part import Report, Setting, SkippedError
from litconv.conv.deform_kernels import measured
from litconv.conv.deform_op import deform_conv2d
from litconv.cost.latency import clock_of, time_beside

# groups, offset groups, mask, kernel, stride, padding, dilation
GEOMETRIES = (
    (1, 1, False, 3, 1, 1, 1), (1, 1, True, 3, 2, 1, 1), (1, 2, True, 3, 1, 2, 2), (2, 1, False, 3, 1, 1, 1),
    (2, 4, True, 5, 2, 2, 1), (4, 2, False, 1, 1, 0, 1), (16, 1, True, 3, 1, 1, 1),
)  # fmt: skip
PRECISIONS = {  # dtype, TF32, the largest error
    "float32": (torch.float32, False, 1e-4),
    "TF32": (torch.float32, True, 1e-2),
    "bf16": (torch.bfloat16, False, 5e-2),
    "fp16": (torch.float16, False, 1e-2),
}
CELLS = list(itertools.product((16, 32, 64, 128, 256), (28, 64)))  # channels, height = width
VALUES, MOST_IMAGES = 2**24, 128  # of the input
PLAIN = (1, 1, False, 3, 1, 1, 1)
TITLE = "Triton's deformable convolution on this GPU"


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
    waited = waits_of(call_of("triton", PLAIN, inputs(PLAIN, 32, 28, 4, device)), device)
    report.check("a call does not wait for the GPU", not waited, waited or "0 waits")
    report.check("a CUDA graph holds forward and backward", *graph(device))
    speed(setting, report, device)


def inputs(geometry: tuple, channels: int, size: int, images: int, device: torch.device) -> list[Tensor | None]:
    """x, weight, offset and mask, channels last; offsets of about a pixel."""
    groups, offset_groups, masked, kernel, stride, padding, dilation = geometry
    out = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    generator, taps = torch.Generator().manual_seed(0), kernel**2 * offset_groups
    shapes = [
        (images, channels, size, size),
        (channels, channels // groups, kernel, kernel),
        (images, 2 * taps, out, out),
    ]
    made = [torch.randn(shape, generator=generator) for shape in shapes]
    made.append(torch.rand(images, taps, out, out, generator=generator) if masked else None)
    return [None if t is None else t.to(device).contiguous(memory_format=torch.channels_last) for t in made]


def computed(name: str, geometry: tuple, tensors: list[Tensor | None]) -> Tensor:
    _, offset_groups, _, _, *places = geometry
    if name == "reference":
        x, weight, offset, mask = tensors
        stride, padding, dilation = places
        return torchvision.ops.deform_conv2d(x, offset, weight, None, stride, padding, dilation, mask)
    return deform_conv2d(*tensors, *([place] * 2 for place in places), offset_groups, name)


def call_of(name: str, geometry: tuple, tensors: list[Tensor | None]) -> Callable[[], list[Tensor]]:
    """The output and all gradients."""
    tensors = [None if t is None else t.detach().requires_grad_() for t in tensors]
    known = [t for t in tensors if t is not None]
    upstream = torch.ones_like(computed(name, geometry, tensors)).cumsum(1)

    def call() -> list[Tensor]:
        y = computed(name, geometry, tensors)
        return [y, *torch.autograd.grad(y, known, upstream)]

    return call


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
        report.check(name, False, f"{type(error).__name__}: {' '.join(str(error).split())}"[:300])
        return
    labels = ("output", "x", "weight", "offset", "mask")
    worst, where = max((error_of(a, b), label) for a, b, label in zip(found, expected, labels, strict=False))
    report.check(name, worst <= most, f"{worst:.1e} of {where}; at most {most:g}")


def graph(device: torch.device) -> tuple[bool, str]:
    tensors = inputs(PLAIN, 32, 28, 4, device)
    call = call_of("triton", PLAIN, tensors)
    try:
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            expected = call()
        torch.cuda.current_stream().wait_stream(stream)
        held = torch.cuda.CUDAGraph()
        with torch.cuda.graph(held):
            made = call()
        held.replay()
        torch.cuda.synchronize()
    except RuntimeError as error:
        return False, " ".join(str(error).split())[:200]
    worst = max(error_of(a, b.cpu()) for a, b in zip(made, expected, strict=True))
    return worst < 1e-3, f"largest difference {worst:.1e}"


def speed(setting: Setting, report: Report, device: torch.device) -> None:
    peaks = json.loads((setting.results / "machine.json").read_text())["facts"]
    columns = ("precision", "C, H = W × batch", "forward ÷ torchvision's", "torchvision ÷ Triton, fwd + bwd")
    report.head(TITLE, (*columns, "ms", "share of the ceiling"))
    ratios: dict[str, dict[str, float]] = {}
    for precision, (channels, size) in itertools.product(("TF32", "bf16", "float32"), CELLS):
        if setting.left() < 3:
            report.skip(f"{precision}, {channels} channels, {size}²", "no time was left")
            continue
        dtype, torch.backends.cuda.matmul.allow_tf32, _ = PRECISIONS[precision]
        images = max(1, min(MOST_IMAGES, VALUES // (channels * size**2)))
        label = f"{channels}, {size}² × {images}"
        tensors = [None if t is None else t.to(dtype) for t in inputs(PLAIN, channels, size, images, device)]

        def forward(name: str, tensors: Any = tensors) -> Callable[[], object]:
            return torch.inference_mode()(lambda: computed(name, PLAIN, tensors))

        clock = clock_of(device)
        alone = time_beside(forward("triton"), forward("torchvision"), clock, 60)
        both = time_beside(call_of("triton", PLAIN, tensors), call_of("torchvision", PLAIN, tensors), clock, 120)
        ratios.setdefault(precision, {})[label] = round(1 / both.ratio, 3)
        share = least_seconds(channels, size, images, dtype, peaks, precision) / (both.median_ms / 1e3)
        cells = [f"{alone.ratio:.2f}", f"**{1 / both.ratio:.2f}**", f"{both.median_ms:.2f}", f"{share:.0%}"]
        report.row(TITLE, precision, label, *cells)
    for precision, least in {"TF32": 2, "bf16": 3, "float32": 1}.items():
        found = list(ratios.get(precision, {}).values())
        if found:
            report.check(f"{precision}: {least} times as fast as torchvision's", min(found) >= least, sorted(found))
    known = measured.FILE.read_text(encoding="utf-8")
    table = measured.with_ratios(known, torch.cuda.get_device_name(device), ratios)
    (setting.results / measured.FILE.name).write_text(table, encoding="utf-8")


def least_seconds(channels: int, size: int, images: int, dtype: torch.dtype, peaks: dict, precision: str) -> float:
    """Of forward and backward: x, offset, weight and y once; then these and the gradients of the four."""
    operations = 3 * 2 * 9 * channels**2 * size**2 * images
    values = images * size**2 * (2 * channels + 18) + 9 * channels**2
    moved = 3 * values * dtype.itemsize
    return max(operations / peaks[f"{precision} operations per second"], moved / peaks["bytes per second"])
