"""Energy of a GPU by its own counter (NVML, Volta and later): https://docs.nvidia.com/deploy/nvml-api/"""

import time
from collections.abc import Callable
from typing import Any

import torch

SECONDS = 1.5  # the counter is renewed some ten times a second


def joules_per_call(call: Callable[[], object], device: torch.device) -> float | None:
    """The whole board's, idle draw included; None where there is no counter to read, or where others compute on the board."""
    if device.type != "cuda":
        return None
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        board = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        if neighbours(pynvml, board):
            return None
        with torch.cuda.device(device):
            joules = joules_of(call, device, lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(board) / 1e3)
        return None if neighbours(pynvml, board) else joules
    except pynvml.NVMLError:  # a virtual GPU, a slice of one, an older board
        return None
    finally:
        pynvml.nvmlShutdown()


def neighbours(pynvml: Any, board: Any) -> bool:
    """Whether other processes hold the board, whose work its counter does not tell from ours. Where the driver does not say
    whose they are (in a container), at least how many there are."""
    return len(pynvml.nvmlDeviceGetComputeRunningProcesses(board)) > 1


def joules_of(call: Callable[[], object], device: torch.device, counter: Callable[[], float]) -> float:
    """Of one of the calls that go through in SECONDS."""
    torch.cuda.synchronize(device)
    before, started, calls = counter(), time.perf_counter(), 0
    while not calls or time.perf_counter() - started < SECONDS:
        for _ in range(10):
            call()
        torch.cuda.synchronize(device)
        calls += 10
    return (counter() - before) / calls
