"""The front of every command: one line for each fault a user can cause, a true exit status, no traceback.

`HYDRA_FULL_ERROR=1` shows the traceback instead.
"""

import functools
import hashlib
import json
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf.errors import OmegaConfBaseException

from litconv.config.messages import one_line
from litconv.errors import BusyError, ConfigError, DataError, JobError, TrainingError
from litconv.run.naming import check_sweep_name
from litconv.secrets import Masking

# Two OpenMP threads that spin while a third process wants their core slow a step down more than tenfold; threads that
# sleep cost next to nothing. Read when torch is loaded, so it stands here. A value that the user has set stands.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# What torch's C++ half prints about its profiler is for its developers. A user's own levels stand.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")

HUNG_UP, INTERRUPTED, TERMINATED = 129, 130, 143  # 128 + SIGHUP, SIGINT, SIGTERM, as a shell reports them

COMMAND_LINE = "LITCONV_COMMAND_LINE"  # for a sweep's jobs, whose own sys.argv may be that of any launcher
CHECKED = "LITCONV_CHECKED"
# Of the launch, not of what is swept: they do not change a sweep's name.
LAUNCH_ARGUMENTS = re.compile(
    r"(n_jobs|slots_per_gpu|time_limit_minutes|rerun|output_dir|logger[^=]*|cost[^=]*|hydra[./]launcher[^=]*)="
)

SPELLINGS = {"hydra/sweeper=optuna": "hydra/sweeper=optuna_pareto"}

_failures: list[BaseException] = []
at_end: list[Callable[[], int]] = []  # of a sweep, whatever becomes of it: shows its table, returns how many failed


def guarded(main: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A run's error is kept for `command_line`, so that Hydra prints nothing of its own; that of a sweep's job is one
    line, and for its launcher a JobError."""

    @functools.wraps(main)
    def job(config: Any) -> Any:
        if HydraConfig.get().mode is RunMode.MULTIRUN:
            return job_of_sweep(config)
        try:
            return main(config)
        except Exception as error:
            _failures.append(error)
            return None

    def job_of_sweep(config: Any) -> Any:
        overrides = list(HydraConfig.get().overrides.task)
        try:
            with as_single_run(main.__code__.co_filename, overrides):
                return main(config)
        except BusyError as error:
            if is_checked():  # by the launcher of this machine, which comes back to it
                raise JobError(str(error)) from error
            print(f"{error}: an equal point, or another launch of this sweep; not trained again")
            return None
        except Exception as error:
            text = f"{' '.join(overrides)}: {one_line(error, list)}"
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


def arguments() -> list[str]:
    """What the user wrote after the script's name, in the jobs of a sweep as well."""
    return json.loads(os.environ[COMMAND_LINE]) if COMMAND_LINE in os.environ else sys.argv[1:]


def is_checked() -> bool:
    """Whether another process has checked this run's configuration: the launcher of its sweep, or the first process of a
    DDP run, which started this one."""
    return CHECKED in os.environ or os.environ.get("LOCAL_RANK", "0") != "0"


@contextmanager
def keep_going(overrides: list[str]) -> Iterator[None]:
    """The same for a point of a sweep that is no job of Hydra's; without overrides it is no sweep."""
    try:
        yield
    except Exception as error:
        if not overrides:
            raise
        _failures.append(error)
        print(f"error: {' '.join(overrides)}: {one_line(error, list)}", file=sys.stderr)


def command_line(main: Callable[[], None], keys: Callable[[], list[str]], config_name: str = "train") -> int:
    """Run a Hydra main and return its exit status. `keys` lists what may stand on the command line."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        from litconv.config import help as usage

        usage.print_out(config_name, sys.argv[1:])
        return 0
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR", "0") not in ("", "0")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing several lines and exiting
    sweep = bool({"-m", "--multirun"} & set(sys.argv[1:]))
    if sweep:
        sys.argv[1:] = ["-m", *(a for a in sys.argv[1:] if a not in ("-m", "--multirun"))]  # Hydra wants it first
        sys.argv = [SPELLINGS.get(a, a) for a in sys.argv]
        name_the_sweep(sys.argv)
    if not is_checked():
        os.environ[COMMAND_LINE] = json.dumps(sys.argv[1:])
    at_end.clear()
    try:
        for name in (a.removeprefix("sweep=") for a in sys.argv[1:] if a.startswith("sweep=")):
            check_sweep_name(name)
        try:
            main()
        except (ValueError, OmegaConfBaseException) as error:  # of the composition: a job's own are kept by `guarded`
            if wants_traceback:
                raise
            raise ConfigError(one_line(error, keys)) from error
        if _failures and (wants_traceback or not sweep):
            raise _failures[0]
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as end:  # of a run, by a signal (RunFolder), or of Hydra's own --help and the like
        if end.code in (HUNG_UP, INTERRUPTED, TERMINATED):
            print("interrupted; the same command goes on from the last finished epoch", file=sys.stderr)
        return end.code if isinstance(end.code, int) else 0
    except JobError as error:
        failed = end_sweep()
        print(f"error: {f'{failed} runs of this sweep failed' if failed else error}", file=sys.stderr)
        return 1
    except (ConfigError, DataError, TrainingError, HydraException, OSError) as error:
        if wants_traceback:
            raise
        print(f"error: {one_line(error, keys)}", file=sys.stderr)
        return 1
    finally:
        end_sweep()
    if _failures:
        print(f"error: {len(_failures)} runs of this sweep failed", file=sys.stderr)
    return 1 if _failures else 0


def end_sweep() -> int:
    failed = sum(finish() for finish in at_end)
    at_end.clear()
    return failed


def name_the_sweep(argv: list[str]) -> None:
    """Give a multirun without `sweep=NAME` a name that its own arguments determine, so that the same command resumes
    the same sweep: that of the recipe where `experiment=` stands alone."""
    if any(a.startswith("sweep=") for a in argv):
        return
    swept = sorted(a for a in argv[1:] if not LAUNCH_ARGUMENTS.match(a))
    recipe = next((a.partition("=")[2] for a in swept if re.fullmatch(r"\+?experiment=\w+", a)), None)
    digest = hashlib.sha256(repr(swept).encode()).hexdigest()[:8]
    alone = recipe and all(a == "-m" or "experiment=" in a for a in swept)
    argv.append(f"sweep={recipe}" if alone else f"sweep={recipe or 'sweep'}-{digest}")


def quiet() -> None:
    """Warnings of ours reach the terminal in one line each; Lightning's chatter does not."""
    console = logging.StreamHandler()
    console.setFormatter(Masking("%(message)s"))
    console.setLevel(logging.INFO)
    logging.getLogger("litconv").handlers = [console]
    logging.getLogger("litconv").setLevel(logging.DEBUG)  # train.log keeps all, a failed run's traceback included
    # importing Lightning sets the first of its loggers anew
    for name in ("pytorch_lightning", "pytorch_lightning.utilities.rank_zero", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning|torch.jit|fvcore|torch.optim.lr_scheduler")
