"""The fork server of a sweep's jobs. Its imports take seconds, so it is started before anything else is done."""

import multiprocessing
import signal
import threading
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext

PRELOAD = "litconv.sweep.preload"


def start_early(arguments: list[str]) -> None:
    """Of a sweep that the local launcher will launch: it imports while this process imports Hydra and composes."""
    if not any(a in ("-h", "--help") or a.startswith("hydra/launcher=") for a in arguments):
        start()


def start() -> ForkServerContext:
    """Of this process; a second call finds the one that runs."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([PRELOAD])
    if threading.current_thread() is not threading.main_thread():
        forkserver.ensure_running()
        return context
    # Ignored, and so inherited: a Ctrl-C amid the server's imports is the launcher's affair.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, handler)
    return context
