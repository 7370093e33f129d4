"""`threads`: with how many of them torch computes on the CPU while a run lasts."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from litconv.config.environment import cores


@contextmanager
def computing_with(threads: int | Literal["auto"]) -> Iterator[None]:
    """The number that is asked for; of `auto` the most that may be taken, from which a training chooses. Put back in the
    end, since another run may follow in this process."""
    before = torch.get_num_threads()
    torch.set_num_threads(most() if threads == "auto" else threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def most() -> int:
    """What OMP_NUM_THREADS says, where the user or a sweep's slots have set it; torch itself does not ask for a container's
    quota."""
    torchs_own = torch.get_num_threads()
    return torchs_own if "OMP_NUM_THREADS" in os.environ else min(torchs_own, cores())
