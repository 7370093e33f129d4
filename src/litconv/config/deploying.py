"""`deploy=onnxruntime,openvino`: which runtimes and precisions are asked for, and whether there are such. No torch."""

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from litconv.config.composed import select
from litconv.config.hydra_state import hydra_state
from litconv.config.root_keys import ROOT_KEYS
from litconv.config.types import describe, matches, shown
from litconv.cost.deployed_keys import NEEDS, PRECISIONS, RUNTIMES
from litconv.errors import ConfigError, did_you_mean

RUNTIME_KEY, PRECISION_KEY = "deploy.runtimes", "deploy.precision"


def deploy_faults(config: Mapping) -> Iterator[str]:
    """Of a run."""
    runtimes, precisions = select(config, RUNTIME_KEY), select(config, PRECISION_KEY)
    yield from choice_faults("deploy", runtimes, PRECISION_KEY, precisions)


def choice_faults(runtime_key: str, runtimes: Any, precision_key: str, precisions: Any) -> Iterator[str]:
    """What is no list is said elsewhere."""
    faults = [
        *unknown(runtime_key, "runtime", runtimes, list(RUNTIMES)),
        *unknown(precision_key, "precision", precisions, list(PRECISIONS)),
    ]
    yield from faults
    if not faults and runtimes:
        if not precisions:
            yield f"{precision_key}=[] names none; choose from {', '.join(PRECISIONS)}"
        yield from missing(runtime_key, runtimes)


def unknown(key: str, kind: str, names: Any, known: Sequence[str]) -> Iterator[str]:
    if not isinstance(names, Sequence) or isinstance(names, str):
        return
    for name in names:
        if name not in known:
            yield f"{key}={name}: no such {kind}{did_you_mean(str(name), list(known))}; choose from {', '.join(known)}"
    if len(set(names)) < len(names):
        yield f"{key}={','.join(map(str, names))} names a {kind} more than once; name each once"


def missing(key: str, runtimes: Sequence[str]) -> Iterator[str]:
    for runtime in runtimes:
        absent = [package for package in NEEDS[runtime] if find_spec(package) is None]
        if absent:
            are = "is" if len(absent) == 1 else "are"
            yield f"{key}={runtime} needs {' and '.join(absent)}, which {are} not installed; run pip install 'litconv[deploy]'"


def calibrates_nothing(precisions: Any) -> str:
    """Why calibration changes nothing; empty where it does."""
    return "" if not isinstance(precisions, Sequence) or "int8" in precisions else "float32 has no ranges to calibrate"


def check_command(arguments: Mapping) -> None:
    """Of scripts/deploy.py, whose keys stand at the root: one line for all faults."""
    faults = list(choice_faults("runtime", arguments.runtime, "precision", arguments.precision))
    if not arguments.runtime:
        faults.append(f"runtime names none; choose from {', '.join(RUNTIMES)}")
    for key in ("threads", "batch", "seconds", "calibration.images", "calibration.method"):
        row, value = ROOT_KEYS[f"deploy.{key}"], select(arguments, key)
        if not matches(value, row.type):
            faults.append(f"{key}={shown(value)} must be {describe(row.type)}")
        elif row.bound and not row.bound.holds(value):
            faults.append(f"{key}={value} must be {row.bound.words}")
    for override in hydra_state(arguments)[0]:
        if override.startswith("calibration.") and (why := calibrates_nothing(arguments.precision)):
            faults.append(f"{override} has no effect: {why}; remove it, or add int8 to precision")
    if not isinstance(arguments.again, bool):
        faults.append(f"again={arguments.again} must be true or false")
    if faults:
        raise ConfigError("; ".join(faults))
