"""What a run says of peak memory and energy, against other counters: blocks of known size, the allocator, the board's power."""

import copy
import threading
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from gpu_parts.part import Report, Setting
from litconv import build
from litconv.config import composed
from litconv.cost import measure
from litconv.cost.energy import joules_per_call
from litconv.cost.memory import peak_bytes
from litconv.optim import optimizer_for

MIB = 2**20
TITLE = "Peak memory and energy"


def run(setting: Setting, report: Report) -> None:
    device = torch.device(setting.device)
    report.head(TITLE, ("what", "litconv says", "the other counter says"))
    block = 4 * MIB if setting.quick else 64 * MIB
    found = peak_bytes(lambda: two_of_three(block, device), device)
    report.row(TITLE, "two blocks at once of three, MiB", f"{found / MIB:.1f}", f"{2 * block / MIB:.1f}")
    report.check("two blocks of known size", found == 2 * block, f"{found / MIB} MiB of {2 * block / MIB}")
    batch = 4 if setting.quick else 256
    model = build.model(composed.compose([f"backbone.depth={8 if setting.quick else 20}"]), 3, 10)
    measured = measure(
        model, None, sgd, 3, (32, 32), device=device, precision="32-true", memory_format=torch.channels_last,
        reference_format=torch.channels_last, batch=batch, seconds=0.01 if setting.quick else 0.25,
    )  # fmt: skip
    report.row(TITLE, f"inference of ResNet, batch {batch}, MiB", f"{measured.peak_bytes / MIB:.1f}", "")
    if setting.quick:
        report.skip("a training step's peak", "no GPU: the CPU's counter is litconv's own")
        report.skip("energy against the board's power", "no GPU")
        return
    other = step_peak(model, batch, device)
    report.row(
        TITLE, f"a training step, batch {batch}, MiB", f"{measured.train_peak_bytes / MIB:.1f}", f"{other / MIB:.1f}"
    )
    share = measured.train_peak_bytes / other
    report.check("a training step's peak", 0.9 <= share <= 1.1, f"{share:.3f} of the allocator's peak")
    energy(model.to(device), torch.randn(batch, 3, 32, 32, device=device), device, report)


def two_of_three(block: int, device: torch.device) -> None:
    def values() -> torch.Tensor:
        return torch.empty(block, dtype=torch.uint8, device=device)

    first = values()
    second = values()
    del first
    third = values()
    del second, third


def sgd(model: torch.nn.Module) -> torch.optim.Optimizer:
    return optimizer_for(model, lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.9))


def step_peak(model: torch.nn.Module, batch: int, device: torch.device) -> int:
    """By the allocator's statistics, without litconv's own code: weights, gradients, momentum, activations."""
    torch.cuda.empty_cache()
    torch.cuda.synchronize()
    held = torch.cuda.memory_stats()["allocated_bytes.all.current"]
    torch.cuda.reset_peak_memory_stats()
    copied = copy.deepcopy(model).to(device).train()
    optimizer = torch.optim.SGD(copied.parameters(), lr=0.1, momentum=0.9)
    x = torch.randn(batch, 3, 32, 32, device=device).contiguous(memory_format=torch.channels_last)
    F.cross_entropy(copied(x), torch.zeros(batch, dtype=torch.long, device=device)).backward()
    optimizer.step()
    torch.cuda.synchronize()
    return torch.cuda.memory_stats()["allocated_bytes.all.peak"] - held


def energy(model: torch.nn.Module, x: torch.Tensor, device: torch.device, report: Report) -> None:
    """The counter's joules a call × calls a second, against the board's power while the same calls run."""
    model.eval()

    def call() -> None:
        with torch.inference_mode():
            model(x)

    joules = joules_per_call(call, device)
    if joules is None:
        report.skip("energy against the board's power", "this GPU has no energy counter, or others compute on it")
        return
    by_board, calls_per_second = mean_power(call)
    by_counter = joules * calls_per_second
    report.row(TITLE, "power, W", f"{by_counter:.0f}", f"{by_board:.0f}")
    share = by_counter / by_board
    report.check("energy against the board's power", 0.75 <= share <= 1.33, f"{by_counter:.0f} W of {by_board:.0f} W")


def mean_power(call: Callable[[], None], seconds: float = 3.0) -> tuple[float, float]:
    """Watts, by nvidia's own reading, which looks back a second, of the last third of the time; and calls a second."""
    import pynvml

    pynvml.nvmlInit()
    board = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(0).uuid}")
    watts, calls, began = [], 0, time.monotonic()

    def read() -> None:
        while time.monotonic() < began + seconds:
            watts.append(pynvml.nvmlDeviceGetPowerUsage(board) / 1e3)
            time.sleep(0.05)

    reader = threading.Thread(target=read)
    reader.start()
    while time.monotonic() < began + seconds:
        for _ in range(10):
            call()
        torch.cuda.synchronize()
        calls += 10
    per_second = calls / (time.monotonic() - began)
    reader.join()
    pynvml.nvmlShutdown()
    later = watts[-(len(watts) // 3 or 1) :]
    return sum(later) / len(later), per_second
