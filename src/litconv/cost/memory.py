"""The most memory that a call holds at once: tensors, and what kernels allocate for themselves."""

from collections.abc import Callable
from itertools import accumulate

import torch
from torch.autograd import profiler


def peak_bytes(call: Callable[[], object], device: torch.device) -> int | None:
    """Above what is held already; None where nobody counts it.

    On CUDA by the caching allocator, on the CPU by the profiler's record of every allocation and release.
    """
    if device.type == "cuda":
        with torch.cuda.device(device):  # what the call allocates without naming a device lies there, too
            torch.cuda.synchronize(device)
            torch.cuda.reset_peak_memory_stats(device)
            before = torch.cuda.memory_allocated(device)
            call()
            torch.cuda.synchronize(device)
            return torch.cuda.max_memory_allocated(device) - before
    if device.type == "cpu":
        with profiler.profile(use_cpu=True, use_kineto=False, profile_memory=True) as profile:  # kineto: 1.5 s to start
            call()
        events = [event for event in profile.kineto_results.events() if event.name() == "[memory]"]
        changes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
        return max(accumulate(changes, initial=0))
    return None
