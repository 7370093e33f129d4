"""When another process of a run is gone: what the libraries between them say then, in one line."""

import os
import re

import torch

from litconv import signals
from litconv.config.slurm_step import Step
from litconv.errors import ConfigError, LostProcessError

# What ends one task of an srun (scancel, a time limit, --kill-on-bad-exit=1) ends this one as well, but its signal may
# arrive after the news that the other is gone. Processes that Lightning has started it kills within five seconds.
SIGNAL_COMES_WITHIN_SECONDS = 10.0
LOST = re.compile(
    r"gloo.*(Connection (reset|closed)|Broken pipe|Connection refused|timed? ?out)"
    r"|NCCL.*(remote process exited|network error|socket|ncclRemoteError)"
    r"|Broken pipe|Connection reset by peer|Connection was likely closed|store.*timed? ?out",
    re.IGNORECASE | re.DOTALL,
)


def port_taken(error: RuntimeError) -> ConfigError | None:
    """The error to end with, where the processes cannot meet."""
    if not isinstance(error, torch.distributed.DistNetworkError) or "EADDRINUSE" not in str(error):
        return None
    port = os.environ.get("MASTER_PORT", "?")
    return ConfigError(
        f"MASTER_PORT={port}, at which the processes of this run are to meet, is taken on its first node; set MASTER_PORT to a "
        "free port for all of them"
    )


def lost_process(error: RuntimeError) -> LostProcessError | None:
    """The error to end with, where this one says so; a signal that comes meanwhile is kept for the run's end."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()) or not LOST.search(str(error)):
        return None
    if (step := Step.here()) and step.tasks > 1:
        signals.of_run.wait(SIGNAL_COMES_WITHIN_SECONDS)
    rank, size = torch.distributed.get_rank(), torch.distributed.get_world_size()
    reason = re.sub(r"\[[^]]*\.c(c|pp):\d+\] ", "", " ".join(str(error).split())).partition(". ")[0]
    return LostProcessError(
        f"one of the {size} processes of this run has ended, and process {rank} of 0 to {size - 1} lost its connection "
        f"({reason}); what started them, srun for one, says how it ended; the same command goes on from the last finished epoch"
    )
