"""The front of every command: one line for each fault a user can cause, a true exit status, no traceback.

`HYDRA_FULL_ERROR=1` shows the traceback instead.
"""

import functools
import hashlib
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, InstantiationException, OverrideParseException
from hydra.types import RunMode
from omegaconf.errors import OmegaConfBaseException

from litconv.errors import ConfigError, DataError, TrainingError

# Two OpenMP threads that spin while a third process wants their core slow a step down more than tenfold; threads that
# sleep cost next to nothing. Read when torch is loaded, so it stands here. A value that the user has set stands.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# What torch's C++ half prints about its profiler is for its developers. A user's own levels stand.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")

INTERRUPTED, TERMINATED = 130, 143  # 128 + SIGINT, 128 + SIGTERM, as a shell reports them

_failures: list[BaseException] = []


def guarded(main: Callable[[Any], None]) -> Callable[[Any], None]:
    """Keep a job's error for `command_line`, so that Hydra prints nothing of its own and a sweep goes on after it."""

    @functools.wraps(main)
    def job(config: Any) -> None:
        try:
            main(config)
        except Exception as error:
            _failures.append(error)
            if HydraConfig.get().mode is RunMode.MULTIRUN:
                overrides = " ".join(HydraConfig.get().overrides.task)
                print(f"error: {overrides}: {one_line(error, list)}", file=sys.stderr)

    return job


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


def command_line(main: Callable[[], None], keys: Callable[[], list[str]]) -> int:
    """Run a Hydra main and return its exit status. `keys` lists what may stand on the command line."""
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR", "0") not in ("", "0")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing several lines and exiting
    sweep = bool({"-m", "--multirun"} & set(sys.argv[1:]))
    if sweep:
        sys.argv[1:] = ["-m", *(a for a in sys.argv[1:] if a not in ("-m", "--multirun"))]  # Hydra wants it first
        name_the_sweep(sys.argv)
    try:
        for name in (a.removeprefix("sweep=") for a in sys.argv[1:] if a.startswith("sweep=")):
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", name):
                raise ConfigError(
                    f"sweep={name} must be letters, digits, '.', '_' and '-' (at most 80): it names a folder"
                )
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
        if end.code in (INTERRUPTED, TERMINATED):
            print("interrupted; the same command goes on from the last finished epoch", file=sys.stderr)
        return end.code if isinstance(end.code, int) else 0
    except (ConfigError, DataError, TrainingError, HydraException, OSError) as error:
        if wants_traceback:
            raise
        print(f"error: {one_line(error, keys)}", file=sys.stderr)
        return 1
    if _failures:
        print(f"error: {len(_failures)} runs of this sweep failed", file=sys.stderr)
    return 1 if _failures else 0


def name_the_sweep(argv: list[str]) -> None:
    """Give a multirun without `sweep=NAME` a name that its own arguments determine, so that the same command resumes
    the same sweep."""
    if any(a.startswith("sweep=") for a in argv):
        return
    argv.append(f"sweep=sweep-{hashlib.sha256(repr(sorted(argv[1:])).encode()).hexdigest()[:8]}")


def one_line(error: BaseException, keys: Callable[[], list[str]]) -> str:
    """What went wrong, in one line: Hydra's own multi-line messages are rewritten, with the nearest valid name."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}; choose another folder with output_dir=…, or check its permissions"
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        return one_line(error.__cause__, keys)
    text = str(error)
    if match := re.search(r"Could not find '([^']+)/([^'/]+)'", text):
        group, name = match.groups()
        options = re.findall(r"^\t(.+)$", text.partition("Config search path")[0], flags=re.MULTILINE)
        return f"{group}={name}: no such {group}{did_you_mean(name, options)}; choose from {', '.join(options)}"
    if match := re.search(r"Could not override '([^']+)'", text):
        return unknown_key(match[1], keys())
    if match := re.search(r"Could not append to config. An item is already at '([^']+)'", text):
        return f"+{match[1]}: the key exists, so write {match[1]}=… without the plus"
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override}: not an override that Hydra can read ({text.splitlines()[0]}); quote special characters"
        )
    return " ".join(text.split())


def unknown_key(key: str, keys: list[str]) -> str:
    if f"+{key}" in keys:
        return f"{key}: its yaml leaves it at the default; to set it write +{key}=…"
    siblings = sorted({k.lstrip("+") for k in keys if k.lstrip("+").rpartition(".")[0] == key.rpartition(".")[0]})
    accepted = ", ".join(siblings or sorted({k.partition(".")[0] for k in keys if not k.startswith("+")}))
    return f"{key}: unknown key{did_you_mean(key, [k.lstrip('+') for k in keys])}; accepted here: {accepted}"


def did_you_mean(name: str, options: list[str]) -> str:
    close = get_close_matches(name, options, n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def quiet() -> None:
    """Warnings of ours reach the terminal in one line each; Lightning's chatter does not."""
    console = logging.StreamHandler()
    console.setFormatter(logging.Formatter("%(message)s"))
    console.setLevel(logging.INFO)
    logging.getLogger("litconv").handlers = [console]
    logging.getLogger("litconv").setLevel(logging.DEBUG)  # train.log keeps all, a failed run's traceback included
    for lightning in ("pytorch_lightning", "pytorch_lightning.utilities.rank_zero"):  # importing it sets the first anew
        logging.getLogger(lightning).setLevel(logging.WARNING)
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning|torch.jit|fvcore|torch.optim.lr_scheduler")
