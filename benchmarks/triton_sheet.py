"""What Triton's compiler makes of the kernels of deformable convolution, for GPUs that need not be here.

    python benchmarks/triton_sheet.py

Prints Markdown: for each kernel its registers, bytes of spills, bytes of shared memory, instructions and divisions of 64
bits. The kernels are compiled through their own launching code, on tensors without memory, and nothing is run. `--full`
takes every case that the tests know, `--architectures 80 90` says for which GPUs.
"""

import argparse
import re
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import torch
import triton
from triton.backends.compiler import GPUTarget

from litconv.conv.deform_kernels import triton as kernels
from litconv.conv.deform_kernels.geometry import Geometry

TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
DTYPES = {"float32": torch.float32, "TF32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Case(NamedTuple):
    """A problem as far as the compiler sees it."""

    dtype: str
    kernel: int = 3
    channels: int = 64
    outputs: int = 64
    groups: int = 1
    offset_groups: int = 1
    masked: bool = False

    def __str__(self) -> str:
        parts = [self.dtype, f"K={self.kernel}", f"{self.channels}→{self.outputs}"]
        parts += [f"groups {self.groups}"] * (self.groups > 1)
        parts += [f"offset groups {self.offset_groups}"] * (self.offset_groups > 1)
        return ", ".join([*parts, *["mask"] * self.masked])


class Figures(NamedTuple):
    """Of one kernel."""

    kernel: str
    registers: int
    spilled_bytes: int  # of a thread's stack: what no register holds
    shared_bytes: int
    instructions: int
    divisions: int  # of 64 bits


QUICK = [Case("float32"), Case("TF32"), Case("bf16")]
FULL = [
    Case(dtype, kernel, channels, channels, groups, offset_groups, masked)
    for dtype, kernel, (channels, groups, offset_groups), masked in product(
        DTYPES,
        (3, 5),
        ((16, 1, 1), (64, 1, 1), (128, 1, 1), (256, 1, 1), (64, 4, 1), (64, 1, 4), (24, 2, 2), (32, 32, 1)),
        (False, True),
    )
]


class _Driver:
    """What Triton asks of a GPU before it compiles for it."""

    def __init__(self, architecture: int) -> None:
        self.architecture = architecture

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", self.architecture, 32)

    def get_current_device(self) -> int:
        return self.architecture  # Triton keeps what it compiled by device

    def get_current_stream(self, device: int) -> int:
        return 0


class _Compiles:
    """A kernel that is compiled where it would be launched."""

    def __init__(self, kernel: triton.JITFunction, made: list) -> None:
        self.kernel, self.made = kernel, made

    def __getitem__(self, grid: tuple[int, ...]):
        return lambda *arguments, **options: self.made.append(
            (self.kernel.__name__, self.kernel.warmup(*arguments, grid=grid, **options))
        )


@contextmanager
def compiling(architecture: int) -> Iterator[list]:
    """Launches of the kernels become compilations for that GPU; the list fills with (name, compiled)."""
    made: list = []
    triton.runtime.driver.set_active(_Driver(architecture))
    with ExitStack() as stack:
        for name, kernel in vars(kernels).copy().items():
            if isinstance(kernel, triton.JITFunction):
                stack.enter_context(patch.object(kernels, name, _Compiles(kernel, made)))
        yield made


def launch(case: Case, size: int, images: int) -> None:
    """Forward and backward of the case, on tensors without memory."""
    dtype, taps = DTYPES[case.dtype], case.kernel**2 * case.offset_groups
    x, weight, out = (
        torch.empty(shape, dtype=dtype, device="meta").contiguous(memory_format=torch.channels_last)
        for shape in (
            (images, case.channels, size, size),
            (case.outputs, case.channels // case.groups, case.kernel, case.kernel),
            (images, case.outputs, size, size),
        )
    )
    offset, mask = (torch.empty(images, n * taps, size, size, device="meta") for n in (2, 1))
    padding, before = case.kernel // 2, torch.backends.cuda.matmul.allow_tf32
    problem = (x, weight, offset, mask if case.masked else None)
    geometry = Geometry((1, 1), (padding, padding), (1, 1), case.offset_groups)
    torch.backends.cuda.matmul.allow_tf32 = case.dtype == "TF32"
    try:
        kernels.forward(*problem, geometry)
        kernels.backward(out, *problem, geometry)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def figures(name: str, compiled: triton.compiler.CompiledKernel) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        cubin = Path(folder, "kernel.cubin")
        cubin.write_bytes(compiled.asm["cubin"])
        usage = _said(TOOLS / "cuobjdump", "-res-usage", cubin)
        assembly = _said(TOOLS / "nvdisasm", "-c", cubin)
    return Figures(
        name.strip("_").removesuffix("_kernel"),
        int(re.search(r"REG:(\d+)", usage)[1]),
        int(re.search(r"STACK:(\d+)", usage)[1]),
        compiled.metadata.shared,
        len(re.findall(r"^\s+/\*[0-9a-f]{4,}\*/", assembly, re.MULTILINE)),
        len(re.findall(r"\b(?:div|rem)\.[su]64", compiled.asm["ptx"])),
    )


def _said(*command: object) -> str:
    done = subprocess.run([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert not done.returncode, done.stdout
    return done.stdout


def sheet(case: Case, architecture: int, sizes: tuple[tuple[int, int], ...] = ((32, 32),)) -> list[Figures]:
    """Of each kernel that is compiled for images of these sizes (H = W, batch). For a process of its own: from then on Triton
    takes this one for a machine with that GPU."""
    with compiling(architecture) as made:
        for size in sizes:
            launch(case, *size)
    return [figures(name, compiled) for name, compiled in dict.fromkeys(made)]


def _sheet_or_error(job: tuple[Case, int]) -> list[Figures] | str:
    try:
        return sheet(*job)
    except (triton.TritonError, AssertionError) as error:
        return " ".join(str(error).split())[:80]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--architectures", type=int, nargs="+", default=[80, 90])
    arguments = parser.parse_args()
    jobs = list(product(FULL if arguments.full else QUICK, arguments.architectures))
    print(
        f"Triton {triton.__version__}\n\n| problem | sm | kernel | registers | spilled bytes | shared bytes |", end=""
    )
    print(f" instructions | divisions of 64 bits |\n|{' --- |' * 8}")
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        for (case, architecture), found in zip(jobs, pool.map(_sheet_or_error, jobs), strict=True):
            if isinstance(found, str):
                print(f"| {case} | {architecture} | does not compile: {found} | | | | | |", flush=True)
                continue
            for row in found:
                print(f"| {case} | {architecture} | {' | '.join(map(str, row))} |", flush=True)


if __name__ == "__main__":
    main()
