"""Who dies with whom: a fork server with its launcher, a job with both, and a job's own children with it."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import wait

GRACE_SECONDS = 30  # between a job's SIGTERM, after which it writes its summary, and its SIGKILL
SIGNALS = (signal.SIGINT, signal.SIGTERM)
PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


def die_with_parent(signal_number: int) -> None:
    """Ask the kernel for this signal when the parent ends; elsewhere than on Linux nobody can be asked."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal_number)


def hold_signals() -> None:
    """For the fork server, which takes none: the launcher tells its jobs itself. Blocked rather than ignored, so that a
    signal to a job that was forked in this moment waits until the job takes it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def become_a_job() -> None:
    """A process group of its own, so that a terminal's Ctrl-C reaches the launcher alone, which passes it on once."""
    os.setpgid(0, 0)
    die_with_parent(signal.SIGTERM)  # of the fork server, which dies with the launcher
    threading.Thread(target=_outlive_by_grace, args=(multiprocessing.parent_process(),), daemon=True).start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def adopt(environment: dict[str, str]) -> None:
    """The launcher's, as it is now; the fork server has the one of its own start."""
    os.environ.clear()
    os.environ.update(environment)


def _outlive_by_grace(launcher: multiprocessing.process.BaseProcess) -> None:
    """The last resort, for a job that hangs or was forked in the moment when the server died."""
    wait([launcher.sentinel])
    time.sleep(GRACE_SECONDS)
    os.killpg(0, signal.SIGKILL)


def kill_group(pid: int) -> None:
    """What a job left behind when it was killed: workers of its loaders, the other processes of a DDP run."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:  # nothing
        return
