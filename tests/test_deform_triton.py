"""The Triton kernels without a GPU: computed in Triton's interpreter, compiled for GPUs that are not here."""

import json
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from importlib.util import find_spec
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from deform_cases import GEOMETRIES
from litconv.conv import deform_op
from litconv.conv.deform_kernels import measured
from litconv.conv.deform_kernels.geometry import Geometry


def release(package: str) -> tuple[int, int]:
    major, minor, *_ = version(package).split(".")
    return int(major), int(minor)


needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")
needs_interpreter = pytest.mark.skipif(
    find_spec("triton") is None or (release("triton") < (3, 9) and release("numpy") >= (2, 4)),
    reason="no triton, or one whose interpreter cannot read the scalars of numpy 2.4",
)
TOLERANCES = {"float64": 1e-12, "float32": 1e-5, "TF32": 1e-5, "fp16": 2e-3, "bf16": 1.5e-2}
GPU = torch.device("cuda:0")


def check(*geometries: int) -> None:
    command = [sys.executable, "-W", "ignore", Path(__file__).with_name("triton_process.py"), *map(str, geometries)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert len(found) == 11 + len(TOLERANCES) * len(geometries)
    for case, errors in found.items():
        assert all(error <= TOLERANCES[case.split()[-1]] for error in errors.values()), (case, errors)  # NaN is not


@needs_interpreter
def test_the_triton_kernels_compute_what_torchvision_does_in_every_precision():
    check()


@needs_interpreter
@pytest.mark.slow
def test_the_triton_kernels_compute_every_geometry_as_torchvision_does():
    check(*range(len(GEOMETRIES)))


class _Devices(TorchDispatchMode):
    """Which devices the results of all operations lie on."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, operation, types, arguments=(), keywords=None):
        result = operation(*arguments, **keywords or {})
        self.seen |= {t.device.type for t in tree_leaves(result) if isinstance(t, torch.Tensor)}
        return result


@needs_triton
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_call_makes_no_tensor_on_the_host(monkeypatch, dtype):
    from litconv.conv.deform_kernels import triton as kernels

    launched = []

    class Kernel:
        def __init__(self, name):
            self.name = name

        def __getitem__(self, grid):
            return lambda *arguments, **options: launched.append(self.name)

    for name in ("forward_kernel", "columns_kernel", "gradients_kernel"):
        monkeypatch.setattr(kernels, name, Kernel(name))
    x, weight = (torch.empty(*shape, dtype=dtype, device="meta") for shape in ((2, 32, 5, 5), (8, 16, 3, 3)))
    offset, mask = (torch.empty(2, n * 18, 5, 5, device="meta") for n in (2, 1))
    geometry = Geometry((1, 1), (1, 1), (1, 1), 2)
    with _Devices() as devices:
        out = kernels.forward(x, weight, offset, mask, geometry)
        kernels.backward(out, x, weight, offset, mask, geometry)
    assert devices.seen == {"meta"}
    assert launched == ["columns_kernel" if dtype == torch.float32 else "forward_kernel", "gradients_kernel"]


def hold(jobs: list[tuple], processes: int) -> list[list]:
    """What triton_sheet finds of (case, architecture, sizes), each held to what the kernels may need."""
    from benchmarks.triton_sheet import sheet

    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        sheets = list(pool.map(sheet, *zip(*jobs, strict=True)))
    for (case, architecture, _), kernels in zip(jobs, sheets, strict=True):
        for kernel in kernels:
            assert not kernel.spilled_bytes, (case, architecture, kernel)
            assert not kernel.divisions, (case, architecture, kernel)
            assert kernel.registers <= (160 if kernel.kernel == "forward" else 240), (case, architecture, kernel)
            assert kernel.shared_bytes <= 99 * 1024, (case, architecture, kernel)
    return sheets


@needs_triton
def test_the_triton_kernels_compile_without_spills_and_once_for_images_of_every_size():
    from benchmarks.triton_sheet import Case

    sizes = (32, 32), (28, 1), (7, 3), (1, 2), (64, 16)
    jobs = [
        (Case("TF32", masked=True), 80, sizes),
        (Case("bf16", 5, 256, 256, masked=True), 90, sizes),
        (Case("float32", groups=4, offset_groups=2), 90, sizes),
        (Case("fp16", offset_groups=4), 80, sizes),
    ]
    names = [[kernel.kernel for kernel in kernels] for kernels in hold(jobs, 1)]
    assert names == [
        ["forward", "gradients"],
        ["forward", "gradients"],
        ["columns", "gradients"],
        ["forward", "gradients"],
    ]


@needs_triton
@pytest.mark.slow
def test_the_triton_kernels_compile_without_spills_for_every_problem():
    from benchmarks.triton_sheet import FULL

    hold([(case, architecture, ((32, 32),)) for case, architecture in product(FULL, (80, 90))], 2)


@pytest.fixture
def on_a_gpu(monkeypatch):
    """on_a_gpu(table): as if this machine had a GPU named `This`, and that had been measured."""
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "This")
    return lambda table: monkeypatch.setattr(measured, "_table", lambda: table)


@needs_triton
@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({}, "torchvision"),
        ({"Another": {"bf16": {"64, 64² × 4": 3.0}}}, "torchvision"),
        ({"This": {"bf16": {"64, 64² × 4": 3.0}, "float32": {"64, 64² × 4": 0.9}}}, "torchvision"),
        ({"This": {"bf16": {"64, 64² × 4": 3.0}, "float32": {"64, 64² × 4": 1.1}}}, "triton"),
    ],
)
def test_auto_takes_triton_only_on_a_gpu_where_all_that_was_measured_was_faster(on_a_gpu, table, expected):
    on_a_gpu(table)
    assert deform_op.chosen("auto", GPU) == expected


def test_the_table_of_what_was_measured_holds_a_ratio_for_every_gpu_precision_and_problem():
    for ratios in json.loads(measured.FILE.read_text(encoding="utf-8")).values():
        assert ratios
        assert all(ratio > 0 for problems in ratios.values() for ratio in problems.values())
