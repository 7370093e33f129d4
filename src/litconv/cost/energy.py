"""Energy of a GPU by its own counter (NVML, Volta and later): https://docs.nvidia.com/deploy/nvml-api/"""

import time
from collections.abc import Callable

import torch

SECONDS = 1.5  # the counter is renewed some ten times a second


def joules_per_call(call: Callable[[], object], device: torch.device) -> float | None:
    """The whole board's, idle draw included; None where there is no counter to read."""
    if device.type != "cuda":
        return None
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        board = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        torch.cuda.synchronize(device)
        before, started, calls = pynvml.nvmlDeviceGetTotalEnergyConsumption(board), time.perf_counter(), 0
        while time.perf_counter() - started < SECONDS:
            for _ in range(10):
                call()
            torch.cuda.synchronize(device)
            calls += 10
        return (pynvml.nvmlDeviceGetTotalEnergyConsumption(board) - before) / 1e3 / calls
    except pynvml.NVMLError:  # a virtual GPU, a slice of one, an older board
        return None
    finally:
        pynvml.nvmlShutdown()
