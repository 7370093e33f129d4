"""The fork server of a sweep's jobs. Its imports take seconds, so it is started before anything else is done."""

import multiprocessing
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext

PRELOAD = "litconv.sweep.preload"


def start() -> ForkServerContext:
    """Of this process; a second call finds the one that runs."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([PRELOAD])
    forkserver.ensure_running()
    return context
