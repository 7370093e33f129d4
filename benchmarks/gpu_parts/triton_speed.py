"""Forward and backward of Triton's deformable convolution in turns with torchvision's: from an idle GPU, where the host's work
for a call counts, and on one that is busy when the call is queued, where the kernels' time alone does. The smaller ratio is
written to measured.json, the table by which `conv.implementation=auto` chooses.

The share of the ceiling: the least time that operations ÷ the measured peak of products, or bytes that must move ÷ that of
copies, allow (the longer of both), ÷ the kernels' time. Backward has twice the forward's operations.
"""

import itertools
import json
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from gpu_parts.machine import BYTES, known_ceilings
from gpu_parts.part import Report, Setting, one_line
from gpu_parts.triton_calls import PLAIN, PRECISIONS, call_of, computed, inputs
from litconv.conv.deform_kernels import measured
from litconv.cost.latency import Clock, Latency, clock_of, cuda_clock, time_beside

CELLS = list(itertools.product((16, 32, 64, 128, 256), (28, 64)))  # channels, height = width
VALUES, MOST_IMAGES = 2**24, 128  # of the input
LEAST = {"TF32": 2, "bf16": 3, "float32": 1}  # times as fast as torchvision's kernels
BUSY_CYCLES = 10_000_000  # some 5 ms, longer than the host takes to queue a call
TITLE = "Triton's deformable convolution on this GPU"


def busy_clock(device: torch.device) -> Clock:
    """The GPU's own time of a call: while it is queued the GPU has something else to do, and never waits for the host."""
    return cuda_clock(device, before=partial(torch.cuda._sleep, BUSY_CYCLES))


class Cell(NamedTuple):
    """Of Triton's and torchvision's kernels in turns."""

    forward: Latency
    both: Latency
    alone: Latency  # forward and backward, without the host


def speed(setting: Setting, report: Report, device: torch.device) -> None:
    peaks = known_ceilings(setting)
    columns = ("precision", "C, H = W × batch", "forward ÷ torchvision's", "torchvision ÷ Triton, fwd + bwd", "ms")
    report.head(TITLE, (*columns, "kernels alone: torchvision ÷ Triton", "ms", "share of the ceiling"))
    ratios: dict[str, dict[str, float]] = {}
    alone: dict[str, list[float]] = {}
    for precision, (channels, size) in itertools.product(LEAST, CELLS):
        images = max(1, min(MOST_IMAGES, VALUES // (channels * size**2)))
        label = f"{channels}, {size}² × {images}"
        if setting.left() < 3:
            report.skip(f"{precision}, {label}", "no time was left")
            continue
        try:
            cell = measure(precision, channels, size, images, device)
        except Exception as error:  # of one problem; the others are tried all the same
            report.check(f"{precision}, {label}", False, one_line(error))
            ratios.setdefault(precision, {})[label] = 0.0  # never by itself where it cannot be computed
            continue
        both, kernels = 1 / cell.both.ratio, 1 / cell.alone.ratio
        ratios.setdefault(precision, {})[label] = round(min(both, kernels), 3)
        alone.setdefault(precision, []).append(round(kernels, 3))
        share = least_seconds(channels, size, images, peaks, precision) / (cell.alone.median_ms / 1e3)
        figures = [f"{cell.forward.ratio:.2f}", f"**{both:.2f}**", f"{cell.both.median_ms:.2f}"]
        figures += [f"**{kernels:.2f}**", f"{cell.alone.median_ms:.2f}", f"{share:.0%}"]
        report.row(TITLE, precision, label, *figures)
    if ratios:
        write_table(setting.results / measured.FILE.name, torch.cuda.get_device_name(device), ratios)
    for precision, found in alone.items():
        least = LEAST[precision]
        report.check(f"{precision}: {least} times as fast as torchvision's", min(found) >= least, sorted(found))


def measure(precision: str, channels: int, size: int, images: int, device: torch.device) -> Cell:
    dtype, torch.backends.cuda.matmul.allow_tf32, _ = PRECISIONS[precision]
    tensors = [None if t is None else t.to(dtype) for t in inputs(PLAIN, channels, size, images, device)]
    names = ("triton", "torchvision")
    forward = [torch.inference_mode()(partial(computed, name, PLAIN, tensors)) for name in names]
    both = [call_of(name, PLAIN, tensors) for name in names]
    clock = clock_of(device)
    return Cell(
        time_beside(*forward, clock, 60), time_beside(*both, clock, 120), time_beside(*both, busy_clock(device), 30)
    )


def write_table(path: Path, gpu: str, ratios: dict[str, dict[str, float]]) -> None:
    """The table that litconv has, with what was found on this GPU in place of what it had of it."""
    known = json.loads(measured.FILE.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**known, gpu: ratios}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def least_seconds(channels: int, size: int, images: int, peaks: dict, precision: str) -> float:
    """Of forward and backward: x, offset, weight and y once; then these and the gradients of the four."""
    operations = 3 * 2 * 9 * channels**2 * size**2 * images
    values = images * size**2 * (2 * channels + 18) + 9 * channels**2
    moved = 3 * values * PRECISIONS[precision][0].itemsize
    return max(operations / peaks[f"{precision} operations per second"], moved / peaks[BYTES])
