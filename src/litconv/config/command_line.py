"""The front of every command: one line for each fault a user can cause, a true exit status, no traceback.

`HYDRA_FULL_ERROR=1` shows the traceback instead.
"""

import functools
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError

from litconv import caches
from litconv.config import own_yamls
from litconv.config.environment import is_checked, pass_on_arguments
from litconv.config.hydra_parts import held_to_the_rule
from litconv.config.hydra_state import places
from litconv.config.messages import one_line
from litconv.config.quiet import quiet
from litconv.config.said_once import tell_end, tell_error
from litconv.config.slurm_step import Step, is_first
from litconv.config.spelling import SWEEPERS, as_hydra_reads, planned_seeds
from litconv.config.sweep_name import name_the_sweep
from litconv.config.written import check_written
from litconv.errors import BusyError, ConfigError, DataError, JobError, TrainingError
from litconv.signals import exit_status

HUNG_UP, INTERRUPTED, TERMINATED = 129, 130, 143  # 128 + SIGHUP, SIGINT, SIGTERM, as a shell reports them
OF_USER = (
    ConfigError,
    DataError,
    TrainingError,
    HydraException,
    OSError,
    MemoryError,
)  # one line each; others are bugs

NO_PLACE = (
    r"provider=hydra\.searchpath.*, path=(.*) is not available"  # Hydra goes on, and then says what it did not find
)
# Of the command that runs: what shows the table of its sweep and returns how many jobs failed.
_tables: ContextVar[list[Callable[[], int]]] = ContextVar("tables")


class RunError(BaseException):
    """A run's error on its way through Hydra, which for an Exception prints several lines of its own."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


def guarded(main: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """For a function under `hydra.main`. The error of a run reaches `command_line` as it is; that of a sweep's job is one
    line, and for its launcher a JobError."""

    @functools.wraps(main)
    def job(config: Any) -> Any:
        quiet(speaks=is_first(config.get("trainer")))
        if HydraConfig.get().mode is RunMode.MULTIRUN:
            return job_of_sweep(config)
        try:
            return main(config)
        except Exception as error:
            raise RunError(error) from error

    def job_of_sweep(config: Any) -> Any:
        overrides = list(HydraConfig.get().overrides.task)
        try:
            with as_single_run(main.__code__.co_filename, [*places(config), *overrides]):
                return main(config)
        except BusyError as error:
            # By the launcher of this machine, which comes back to it; the other processes of a run would wait for this one.
            if is_checked() or Step.of_run(config.get("trainer")):
                raise JobError(str(error)) from error
            print(f"{error}: an equal point, or another launch of this sweep; not trained again")
            return None
        except Exception as error:
            text = f"{' '.join(overrides)}: {one_line(error)}"
            if Step.of_run(config.get("trainer")):
                tell_error(text)
            else:
                print(f"error: {text}", file=sys.stderr)
            raise JobError(text) from error

    return job


@contextmanager
def as_single_run(script: str, overrides: list[str]) -> Iterator[None]:
    """`sys.argv` and `__main__` as if this job had been started alone: Lightning starts the other processes of a DDP run
    by them, and they must not start the sweep again."""
    main = sys.modules["__main__"]
    argv, spec = sys.argv, main.__spec__
    sys.argv, main.__spec__ = [os.path.abspath(script), *overrides], None  # noqa: PTH100 a string, as Lightning wants it
    try:
        yield
    finally:
        sys.argv, main.__spec__ = argv, spec


def at_end_of_sweep(show_table: Callable[[], int]) -> None:
    """Called as the command ends, whatever becomes of its sweep; returns how many of the jobs failed."""
    _tables.get([]).append(show_table)


def command_line(main: Callable[[], None], config_name: str = "train") -> int:
    """Run a Hydra main and return its exit status."""
    try:
        sys.argv[1:] = own_yamls.as_searchpath(sys.argv[1:])
        own_yamls.refuse_shadowed(sys.argv[1:])
    except ConfigError as error:
        tell_error(str(error))
        return 1
    if {"-h", "--help"} & set(sys.argv[1:]):
        from litconv.config import help as usage

        usage.print_out(config_name, sys.argv[1:])
        return 0
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR", "0") not in ("", "0")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing several lines and exiting
    if {"-m", "--multirun"} & set(sys.argv[1:]):
        sys.argv[1:] = ["-m", *(a for a in sys.argv[1:] if a not in ("-m", "--multirun"))]  # Hydra wants it first
        sys.argv = [SWEEPERS.get(a, a) for a in sys.argv]
        name_the_sweep(sys.argv)
        sys.argv += planned_seeds(sys.argv)
        if any(a.startswith("--") for a in sys.argv):  # argparse takes overrides in one stretch
            sys.argv[2:] = sorted(sys.argv[2:], key=lambda a: a.startswith("-") or "=" not in a)
    sys.argv[1:] = map(as_hydra_reads, sys.argv[1:])
    pass_on_arguments()
    before = _tables.set([])
    try:
        run(main, config_name, wants_traceback)
    except KeyboardInterrupt as end:
        tell_end("interrupted; give the same command again")
        return exit_status(end) or INTERRUPTED
    except SystemExit as end:  # of a run, by a signal (RunFolder), or of Hydra's own --help and the like
        if end.code in (HUNG_UP, INTERRUPTED, TERMINATED):
            tell_end("interrupted; the same command goes on from the last finished epoch")
        return end.code if isinstance(end.code, int) else 0
    except JobError as error:
        if wants_traceback and error.__cause__ is not None:
            raise
        failed = show_tables()
        tell_end(f"error: {f'{failed} runs of this sweep failed' if failed else error}")
        return 1
    except OF_USER as error:
        if wants_traceback:
            raise
        tell_error(one_line(error, config_name))
        return 1
    finally:
        show_tables()
        _tables.reset(before)
    return 0


def run(main: Callable[[], None], config_name: str, wants_traceback: bool) -> None:
    """Raises a run's own error as it is, and what Hydra or OmegaConf say of the command line as a ConfigError."""
    check_written(sys.argv[1:])
    caches.spare_the_home()
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # at its end, without a network, wandb waits for 10 to 20 s
    warnings.filterwarnings("error", message=NO_PLACE)
    try:
        with held_to_the_rule():
            main()
    except UserWarning as warning:
        place = re.match(NO_PLACE, str(warning))
        if place is None:
            raise
        raise ConfigError(
            f"hydra.searchpath: {place[1]} is not there; give folders, as file:///home/me/conf"
        ) from warning
    except MarkedYAMLError as fault:
        mark = fault.problem_mark
        if wants_traceback or mark is None:
            raise
        place = f"{mark.name}, line {mark.line + 1}"
        raise ConfigError(f"{place} is no YAML ({fault.problem}); correct the file") from fault
    except RunError as stopped:
        error = stopped.error
    except (ValueError, OmegaConfBaseException) as fault:
        if wants_traceback:
            raise
        raise ConfigError(one_line(fault, config_name)) from fault
    else:
        return
    raise error


def show_tables() -> int:
    tables = _tables.get()
    failed = sum(show() for show in tables)
    tables.clear()
    return failed
