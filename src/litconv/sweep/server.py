"""The fork server of a sweep's jobs. Its imports take seconds, so it is started before anything else is done."""

import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext

PRELOAD = "litconv.sweep.preload"


def before_the_imports(arguments: list[str]) -> None:
    """The first thing that a command does: Ctrl-C during its imports ends it without a traceback (a run catches it
    itself), and the fork server of a sweep that the local launcher will launch imports while this process does."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    other = {"-h", "--help"} & set(arguments) or any(a.startswith("hydra/launcher=") for a in arguments)
    if {"-m", "--multirun"} & set(arguments) and not other:
        start()


def start() -> "ForkServerContext":
    """Of this process; a second call finds the one that runs."""
    import multiprocessing  # here: a single run does without
    from multiprocessing import forkserver

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
