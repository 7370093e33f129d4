"""What a Ray task does on its node. Ray gets this file by value, so that a node needs nothing of litconv but what the command
needs; hence the standard library alone.

Ends travel down a chain, whatever is killed: who cancels the task interrupts the worker, which sends SIGTERM to all that it
started; a worker that ends or dies takes the command with it by the kernel (SIGKILL), and the launch below gets SIGTERM in turn.
"""

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence

LOOK_SECONDS = 0.2
NOT_SHARED = 78  # EX_CONFIG, as `litconv.cluster.slurm` has it
PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


def run(
    command: Sequence[str], environment: Mapping[str, str], folder: str, probe: str, log: str
) -> tuple[int, str, str]:
    """(exit status, host, what it does not see). `environment`, `folder`: those of the command which launches the sweep.
    `probe`: a file that every node must see."""
    host = socket.gethostname()
    if unseen := [place for place in (probe, folder) if not os.path.exists(place)]:  # noqa: PTH110 strings
        return NOT_SHARED, host, unseen[0]
    # Ray cancels by what Ctrl-C does, and a node that was started in a script's background has that ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    libc = ctypes.CDLL(None)
    with open(log, "ab") as file:  # noqa: PTH123 a string
        child = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, "CUDA_VISIBLE_DEVICES": gpus()},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
        )
        try:
            while (status := child.poll()) is None:
                time.sleep(LOOK_SECONDS)  # Ray's interruption comes between two lines of Python, not into a wait
        except (
            KeyboardInterrupt
        ):  # not a SystemExit: the worker ends then, and a launch that is told twice kills its jobs
            os.killpg(child.pid, signal.SIGTERM)
            child.wait()
            raise
        finally:
            signal.signal(signal.SIGINT, before)
    return status, host, ""


def gpus() -> str:
    """Those that Ray has given this task; none, if it was asked for none."""
    import ray

    return ",".join(map(str, ray.get_runtime_context().get_accelerator_ids().get("GPU", [])))
