"""One job, in a process of its own: a child of the fork server. Its summary.json and its exit status say how it ended."""

import faulthandler
import importlib
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

from hydra.core.utils import JobRuntime, run_job, setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig

from litconv.config.command_line import INTERRUPTED
from litconv.config.quiet import quiet
from litconv.errors import BusyError, JobError
from litconv.files import of_full_disk
from litconv.run.state import is_wanted
from litconv.sweep.outcome import FULL_DISK, mark, settle
from litconv.sweep.parenthood import adopt, become_a_job
from litconv.sweep.plan import Plan

BUSY = 75  # EX_TEMPFAIL: another launch of this sweep trains this point


def run(
    task: tuple[str, str], context: HydraContext, config: DictConfig, plan: Plan, environment: dict[str, str]
) -> None:
    """`task`: the module and the name of the task function, which itself refers to all of litconv. `config`: composed, with
    Hydra's own part."""
    import torch  # here: the launcher, which imports this module, does without

    try:
        become_a_job()
        adopt(environment)
        if "OMP_NUM_THREADS" in environment:
            torch.set_num_threads(int(environment["OMP_NUM_THREADS"]))
        write_to(Path(os.devnull))
        start_wandb(config.logger)
        sys.exit(train(task, context, config, plan))
    except BusyError:
        sys.exit(BUSY)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except OSError as error:
        if of_full_disk(error):
            sys.exit(FULL_DISK)
        raise


def train(task: tuple[str, str], context: HydraContext, config: DictConfig, plan: Plan) -> int:
    """The exit status."""
    from litconv.run.folder import RunFolder

    with RunFolder(plan.folder, {}) as folder:  # rerun=all: the output of this run is to lie in its new folder
        if folder.previous_status == "completed" and is_wanted("completed", config.rerun):
            folder.keep_aside()
    before = mark(plan.folder)
    write_to(plan.folder / "console.log")
    quiet()
    module, name = task
    function = getattr(importlib.import_module(module), name).__wrapped__  # under `hydra.main`
    setup_globals()
    JobRuntime.instance().set("name", config.hydra.job.name)
    done = run_job(function, config, "hydra.sweep.dir", "hydra.sweep.subdir", context)
    try:
        _ = done.return_value  # raises what the function raised
    except JobError as error:
        if isinstance(error.__cause__, BusyError):
            raise error.__cause__ from None
        full = of_full_disk(error)
        settle(plan.folder, plan.facts, before, "interrupted" if full else "failed", str(error))
        return FULL_DISK if full else 1
    return 0


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
