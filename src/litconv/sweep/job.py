"""One job, in a process of its own: a child of the fork server."""

import faulthandler
import importlib
import os
import pickle
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra.core.utils import JobStatus
from omegaconf import DictConfig

from litconv.config.command_line import INTERRUPTED, quiet
from litconv.errors import BusyError
from litconv.run.state import is_wanted
from litconv.sweep import hydra_job
from litconv.sweep.parenthood import adopt, become_a_job

BUSY = 75  # EX_TEMPFAIL: another launch of this sweep trains this point


@dataclass
class Order:
    """What a job is told when it is forked, a job ahead of its turn; everything in it can be pickled."""

    config: DictConfig  # composed, with Hydra's own part
    callbacks: Callbacks  # Hydra's
    module: str  # where the task function is found: not by value, since it refers to all of litconv
    function: str
    folder: Path
    environment: dict[str, str]


@dataclass
class Turn:
    """What it is told when its turn has come."""

    environment: dict[str, str]  # of its place, besides the order's
    counts: bytes  # pickled: what an earlier job of this sweep has counted for its arm; or nothing


@dataclass
class Report:
    """What a job tells as it ends; a killed one tells nothing."""

    error: str
    counts: bytes  # pickled, so that the launcher needs none of their classes


def run(order: Order, turns: Connection, told: Connection) -> None:
    """Waits for its turn; exits with the run's own status; what it failed of is told to the launcher."""
    import torch  # here: the launcher, which imports this module, does without

    from litconv.prepare import costs as survey

    become_a_job()
    adopt(order.environment)
    write_to(Path(os.devnull))
    start_wandb(order.config.logger)
    try:
        turn = turns.recv()
    except EOFError:  # it never comes
        return
    os.environ.update(turn.environment)
    if "OMP_NUM_THREADS" in os.environ:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    if turn.counts:
        survey.known.update(pickle.loads(turn.counts))
    try:
        code, error = train(order)
    except BusyError:
        code, error = BUSY, ""
    except KeyboardInterrupt:
        code, error = INTERRUPTED, ""
    except SystemExit as end:
        code, error = end.code if isinstance(end.code, int) else int(end.code is not None), ""
    told.send(Report(error, pickle.dumps(survey.known)))
    sys.exit(code)


def train(order: Order) -> tuple[int, str]:
    from litconv.run.folder import RunFolder

    with RunFolder(order.folder, {}) as folder:  # rerun=all: the output of this run is to lie in its new folder
        if folder.previous_status == "completed" and is_wanted("completed", order.config.rerun):
            folder.keep_aside()
    write_to(order.folder / "console.log")
    quiet()
    done = hydra_job.run(task_function(order.module, order.function), order.config, order.callbacks)
    if done.status is JobStatus.COMPLETED:
        return 0, ""
    failure = done._return_value  # `return_value` would raise it
    if isinstance(failure.__cause__, BusyError):
        raise failure.__cause__
    return 1, str(failure)


def start_wandb(loggers: DictConfig) -> None:
    """wandb's own process takes 0.2 s to start, in which this one waits or makes its data. If it cannot, the logger says so."""
    mode = next((n.get("mode") for n in loggers.values() if n["_target_"] == "litconv.loggers.wandb.Wandb"), "disabled")
    if mode == "disabled":
        return
    if os.environ.get("WANDB_MODE") == "disabled":
        return

    def setup() -> None:
        import wandb

        with suppress(Exception):
            wandb.setup()

    threading.Thread(target=setup, daemon=True).start()


def task_function(module: str, name: str) -> Callable[[DictConfig], Any]:
    """The function under `hydra.main`."""
    return getattr(importlib.import_module(module), name).__wrapped__


def write_to(console: Path) -> None:
    """From here on everything that is printed, by C as well; a segfault with its stack."""
    console.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(console, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(file, stream.fileno())
        stream.reconfigure(line_buffering=True)
    os.close(file)
    faulthandler.enable()
