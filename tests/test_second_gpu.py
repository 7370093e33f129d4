"""GPU faults that are known without a GPU: code is told its device, and torch.cuda is one that notes what it is asked."""

import logging
import sys
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from litconv.callbacks.compilation import Compilation
from litconv.config.quiet import quiet
from litconv.cost import energy
from litconv.cost.latency import clock_of
from litconv.cost.memory import peak_bytes
from litconv.data import fused
from litconv.data.augment import Augment
from litconv.data.loader import Arrays, InMemoryLoader
from litconv.sync_norm import CpuSyncBatchNorm2d, SyncNorm
from litconv.tasks.finite import EVERY, FiniteLoss
from small_tasks import classification, classifier

SECOND = torch.device("cuda", 1)


class TwoGpus:
    """What torch.cuda does by itself where there are two: events and kernels go to the current device."""

    def __init__(self) -> None:
        self.current, self.held = 0, [0, 0]
        self.events: list[int] = []
        self.calls: list[int] = []

    @contextmanager
    def device(self, device):
        before, self.current = self.current, torch.device(device).index
        yield
        self.current = before

    def __call__(self) -> None:
        """A kernel that holds 100 bytes while it runs."""
        self.calls.append(self.current)
        self.held[self.current] = 100

    def put_in_place_of(self, patch: pytest.MonkeyPatch) -> None:
        machine = self

        class Event:
            def __init__(self, enable_timing=False):
                pass

            def record(self, stream=None):
                machine.events.append(machine.current)

            def synchronize(self):
                pass

            def elapsed_time(self, end):
                return 7.0

        for name, stand_in in {
            "device": self.device,
            "Event": Event,
            "synchronize": lambda device=0: None,
            "reset_peak_memory_stats": lambda device: None,
            "memory_allocated": lambda device: 0,
            "max_memory_allocated": lambda device: self.held[torch.device(device).index],
            "get_device_properties": lambda device: SimpleNamespace(uuid=f"board-{torch.device(device).index}"),
        }.items():
            patch.setattr(torch.cuda, name, stand_in)


@pytest.fixture
def gpus(monkeypatch):
    machine = TwoGpus()
    machine.put_in_place_of(monkeypatch)
    return machine


def test_a_call_is_timed_on_the_gpu_that_is_asked_for_whichever_is_the_current_one(gpus):
    assert clock_of(SECOND)(gpus) == 7.0
    assert (gpus.events, gpus.calls, gpus.current) == ([1, 1], [1], 0)


def test_memory_is_that_of_the_gpu_that_is_asked_for(gpus):
    assert peak_bytes(gpus, SECOND) == 100
    assert gpus.held == [0, 100]


class Nvml:
    """The driver's library, for a board whose counter stands 30 J higher after the calls."""

    class NVMLError(Exception):
        pass

    def __init__(self, *neighbours: int) -> None:
        self.processes = [0, *neighbours]
        self.counter = iter([1000, 31000])

    def nvmlInit(self):  # noqa: N802
        pass

    nvmlShutdown = nvmlInit  # noqa: N815

    def nvmlDeviceGetHandleByUUID(self, name):  # noqa: N802
        self.board = name

    def nvmlDeviceGetComputeRunningProcesses(self, board):  # noqa: N802
        return self.processes

    def nvmlDeviceGetTotalEnergyConsumption(self, board):  # noqa: N802
        return next(self.counter)


def joules(gpus, nvml, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setattr(energy, "SECONDS", 0.0)
    return energy.joules_per_call(gpus, SECOND)


def test_energy_is_that_of_the_gpu_that_is_asked_for(gpus, monkeypatch):
    nvml = Nvml()
    assert joules(gpus, nvml, monkeypatch) == 30.0 / 10  # ten calls at a time
    assert nvml.board == "GPU-board-1"
    assert set(gpus.calls) == {1}


def test_energy_is_absent_where_another_process_holds_the_board(gpus, monkeypatch):
    assert joules(gpus, Nvml(4711), monkeypatch) is None


@pytest.mark.parametrize(("slots", "expected"), [(1, True), (2, False)])
def test_energy_is_not_asked_for_where_jobs_of_the_sweep_share_a_gpu(slots, expected, monkeypatch):
    from litconv import build
    from litconv.config.composed import compose
    from litconv.cost import measurement
    from litconv.data.problem import Problem
    from litconv.prepare import costs

    monkeypatch.setattr(measurement, "joules_per_call", lambda call, device: 1.0)
    asked = [f"slots_per_gpu={slots}", "width=0.5", "cost.latency.batch=2", "cost.latency.seconds=0.001"]
    config = compose(asked)
    problem = Problem(3, (32, 32), (32, 32), 2, 4, True)
    found = costs.measured(config, build.model(config, 3, 4), problem, torch.device("cpu"), "contiguous")
    assert ("cost/energy_mj_per_image" in found) is expected


def test_the_losses_of_a_training_are_copied_on_the_stream_of_their_own_gpu(gpus, monkeypatch):
    asked = []
    monkeypatch.setattr(torch.cuda, "current_stream", asked.append)
    loss = SimpleNamespace(device=SECOND)
    monkeypatch.setattr(torch, "stack", lambda losses: torch.zeros(len(losses)))
    FiniteLoss("epoch 1/1", EVERY).look([loss] * EVERY)
    assert asked == [SECOND]


@pytest.mark.parametrize(("device", "kind"), [(SECOND, nn.SyncBatchNorm), (torch.device("cpu"), CpuSyncBatchNorm2d)])
def test_batch_norm_over_processes_is_chosen_by_where_the_training_runs_not_by_where_the_weights_still_lie(
    device, kind
):
    task = classification(classifier())
    task.trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=device))
    assert next(task.parameters()).device.type == "cpu"  # as when Lightning applies it
    norms = [module for module in SyncNorm().apply(task).modules() if "BatchNorm" in type(module).__name__]
    assert [type(norm) for norm in norms] == [kind]


def test_cuda_graphs_that_were_skipped_are_counted_and_said(caplog):
    from torch._dynamo.utils import counters

    compilation = Compilation("reduce-overhead")
    task = classification(classifier())
    on_gpu = SimpleNamespace(strategy=SimpleNamespace(root_device=SECOND), is_global_zero=False)
    task.model.compile = lambda **options: None
    compilation.setup(on_gpu, task, "fit")
    counters["inductor"]["cudagraph_skips"] += 3
    compilation.teardown(on_gpu, task, "fit")
    counters.clear()
    assert compilation.facts()["compile/skipped_cuda_graphs"] == 3
    assert "compile.mode=reduce-overhead: 3 of the compiled programs run without CUDA graphs" in caplog.text


def test_lightning_does_not_tell_of_the_visible_gpus_at_every_fit_and_test(caplog):
    """It sets its own logger anew when it is imported, which is after `quiet`."""
    from pytorch_lightning.accelerators.cuda import CUDAAccelerator

    quiet()
    ours = logging.getLogger("pytorch_lightning")
    before = ours.level
    ours.setLevel(logging.INFO)  # as its import does
    CUDAAccelerator.set_nvidia_flags(0)
    ours.setLevel(before)
    assert "LOCAL_RANK" not in caplog.text


def test_the_kernel_that_makes_batches_on_a_cpu_is_not_compiled_where_the_data_go_to_a_gpu(monkeypatch):
    compiled = []
    monkeypatch.setattr(fused, "_library", cache(lambda: None))
    monkeypatch.setattr(fused, "_has_ended", lambda: compiled.append("here") or False)
    arrays = Arrays(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), torch.zeros(4, dtype=torch.long))
    augment = Augment(mean=(0, 0, 0), std=(1, 1, 1), crop_size=(8, 8))
    loader = InMemoryLoader(arrays, augment, 2, train=False)  # before it is known where it trains
    assert not fused.takes(arrays.images.to("meta"), arrays.targets)
    assert compiled == []
    next(iter(loader))
    assert compiled == ["here"]


def test_triton_kernels_are_launched_on_the_gpu_of_their_tensors(gpus, monkeypatch):
    pytest.importorskip("triton")
    from litconv.conv.deform_kernels import triton as kernels
    from litconv.conv.deform_kernels.geometry import Geometry

    launched = []

    class Kernel:
        def __getitem__(self, grid):
            return lambda *arguments, **options: launched.append(gpus.current)

    for name in ("forward_kernel", "columns_kernel", "gradients_kernel"):
        monkeypatch.setattr(kernels, name, Kernel())
    monkeypatch.setattr(torch.cuda, "device_of", lambda tensor: gpus.device(SECOND))
    x, weight, offset = torch.zeros(1, 4, 5, 5), torch.zeros(4, 4, 3, 3), torch.zeros(1, 18, 5, 5)
    geometry = Geometry((1, 1), (1, 1), (1, 1), 1)
    out = kernels.forward(x, weight, offset, None, geometry)
    kernels.backward(torch.zeros_like(out), x, weight, offset, None, geometry)
    assert launched == [1, 1]
