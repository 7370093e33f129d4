"""What a process is told by the one that started it, what it may use, and what torch must be told before it is imported."""

import json
import os
import sys
from pathlib import Path

COMMAND_LINE = "LITCONV_COMMAND_LINE"  # for a sweep's jobs, whose own sys.argv may be that of any launcher
CHECKED = "LITCONV_CHECKED"
TASK = "LITCONV_TASK"  # for all that a task of a cluster starts: its number there, as in 123_4
CORES = "LITCONV_CORES"  # for them: how many they may use, where the cluster binds nobody to them

# Two OpenMP threads that spin while a third process wants their core slow a step down more than tenfold; threads that
# sleep cost next to nothing. Read when torch is loaded, so it stands here. A value that the user has set stands.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# What torch's C++ half prints about its profiler is for its developers. A user's own levels stand.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")


def arguments() -> list[str]:
    """What the user wrote after the script's name, in the jobs of a sweep as well."""
    return json.loads(os.environ[COMMAND_LINE]) if COMMAND_LINE in os.environ else sys.argv[1:]


def pass_on_arguments() -> None:
    """Of the first process, to all that it starts, on other machines as well."""
    if not is_checked() and TASK not in os.environ:
        os.environ[COMMAND_LINE] = json.dumps(sys.argv[1:])


def is_checked() -> bool:
    """Whether another process has checked this run's configuration: the launcher of its sweep, or the first process of a
    DDP run, which started this one. The tasks of one srun start together and check each for themselves: all of them refuse
    what is wrong, and none waits for one that has refused."""
    return CHECKED in os.environ or os.environ.get("LOCAL_RANK", "0") != "0"


def cores() -> int:
    """Those that this process may use: by its affinity, by the quota of its container and by what a cluster gave its task."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        quota, period = "max", "1"
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for given in ("SLURM_CPUS_ON_NODE", CORES):  # Slurm binds nobody to them on many clusters, Ray on none
        if (said := os.environ.get(given, "")).isdigit():
            allowed = min(allowed, int(said))
    return allowed if quota == "max" else max(1, min(allowed, round(int(quota) / int(period))))
