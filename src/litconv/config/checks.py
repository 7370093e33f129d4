"""What a command line may not say: all that Hydra would let through.

Keys that no class takes, values of the wrong type, and overrides without an effect, since two equal points in an
ablation are a lie. Every fault is one clause that names the key, the value and what would be accepted. Nothing is
imported for it that takes long: classes are read, not loaded (`declared`).
"""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any, Literal

from litconv import secrets
from litconv.config import targets
from litconv.config.composed import allowed_packages, declared, hydra_state, plain, raw, select
from litconv.config.effects import effect_faults
from litconv.config.keys import keys
from litconv.config.messages import LOGGER_OF_ONES_OWN, written_before
from litconv.config.ranges import AT_LEAST
from litconv.config.types import describe, matches, shown, type_faults, unknown_faults
from litconv.errors import ConfigError
from litconv.files import local
from litconv.run.naming import check_sweep_name

__all__ = ["check", "keys"]

ROOT_TYPES = {
    "seed": int,
    "epochs": int,
    "width": float,
    "memory_format": Literal["channels_last", "contiguous", "auto"],
    "matmul_precision": Literal["default", "highest", "high", "medium"],
    "compile.enabled": bool,
    "compile.mode": Literal["default", "reduce-overhead", "max-autotune"],
    "output_dir": str,
    "cost.allow_uncounted": bool,
    "cost.effective_field": bool,
    "cost.latency.enabled": bool,
    "cost.latency.batch": int,
    "cost.latency.seconds": float,
    "cost.latency.device": str,
    "n_jobs": int,
    "slots_per_gpu": int,
    "time_limit_minutes": float,
    "rerun": Literal["failed", "all", "none"],
}
REQUIRED = ("conv", "backbone", "head", "task", "data", "optim", "schedule", "trainer", "logger", *ROOT_TYPES)


def check(config: Mapping) -> None:
    """Refuse unknown keys, wrong types and overrides without effect; every fault found stands in one message."""
    for group in dict.fromkeys(key.partition(".")[0] for key in ROOT_TYPES if "." in key):
        if group in config and not isinstance(config[group], Mapping):
            inner = ", ".join(key for key in ROOT_TYPES if key.startswith(f"{group}."))
            raise ConfigError(f"{group}={shown(config[group])} replaces several keys; set them one by one: {inner}")
    for key in REQUIRED:
        if select(config, key) is None:
            raise ConfigError(
                f"{key} is missing or null, and every run needs one; remove the override that takes it away"
            )
    check_loggers(config.logger)
    settings = plain(config)
    targets.check_nested(settings, allowed_packages(config), look=targets.declared_by)
    secrets.refuse(settings)
    local(str(config.output_dir), "output_dir")
    check_extra(select(config, "callbacks.extra"))
    if config.sweep is not None:
        check_sweep_name(str(config.sweep))
    faults = [*effect_faults(config), *value_faults(config)]
    overrides, _, _ = hydra_state(config)
    added = {o.lstrip("+").partition("=")[0] for o in overrides if o.startswith("+")}  # effect_faults speaks of these
    nodes = {key: config[key] for key, node in raw(config).items() if isinstance(node, dict) and "_target_" in node}
    loggers = {f"logger.{name}": node for name, node in config.logger.items()}
    for key, node in (nodes | loggers).items():
        faults.extend(unknown_faults(key, node, added) if key not in added else ())
        faults.extend(type_faults(key, node))
    for node in loggers.values():
        faults.extend(library_faults(node))
    for name, node in (select(config, "callbacks.extra") or {}).items():
        faults.extend(type_faults(f"callbacks.extra.{name}", node))
    if faults:
        raise ConfigError("; ".join(dict.fromkeys(faults)))


def check_extra(extra: Any) -> None:
    """The user's own callbacks stand there by name."""
    nodes = {} if extra is None else extra
    if not isinstance(nodes, Mapping) or not all(isinstance(n, Mapping) and "_target_" in n for n in nodes.values()):
        raise ConfigError(
            f"callbacks.extra={shown(extra)} must name callbacks; write +callbacks.extra.NAME._target_=package.module.Class"
        )


def check_loggers(loggers: Any) -> None:
    """Each stands there by name, with a class."""
    if not isinstance(loggers, Mapping):
        raise ConfigError(f"logger={shown(loggers)} is no logger; write {LOGGER_OF_ONES_OWN}")
    for name, node in loggers.items():
        if not isinstance(node, Mapping) or "_target_" not in node:
            key = f"logger.{name}"
            raise ConfigError(
                written_before(key, shown(node)) or f"{key}={shown(node)} is no logger; write {LOGGER_OF_ONES_OWN}"
            )


def library_faults(logger: Mapping) -> list[str]:
    """A library that its class says it needs and that is not installed."""
    missing = [(m, pip) for m, pip in declared(logger).constants.get("needs", {}).items() if find_spec(m) is None]
    return [
        f"logger={logger._key()} needs the library {module}, which is not installed: pip install '{pip}'"
        for module, pip in missing[:1]
    ]


def value_faults(config: Mapping) -> Iterator[str]:
    """Of the keys that are in no group."""
    values = {key: select(config, key) for key in ROOT_TYPES}
    right = {key: value for key, value in values.items() if matches(value, ROOT_TYPES[key])}
    for key in [key for key in values if key not in right]:
        yield f"{key}={shown(values[key])} must be {describe(ROOT_TYPES[key])}"
    for key, least in AT_LEAST.items():
        if matches(value := select(config, key), float) and value < least:
            yield f"{key}={value} must be at least {least}"
    if right.get("width", 1) <= 0:
        yield f"width={config.width} must be greater than 0"
    for key, most in {"cost.latency.batch": 2**16, "cost.latency.seconds": 3600}.items():
        if key in right and not 0 < right[key] <= most:
            yield f"{key}={right[key]} must be more than 0 and at most {most}"
    if right.get("memory_format") == "auto" and select(config, "match.by") == "latency":
        yield "memory_format=auto: match=latency measures in one layout; choose memory_format=channels_last or contiguous"
    if not 0 <= right.get("seed", 0) < 2**32:
        yield f"seed={config.seed} must be at least 0 and less than 2**32"
    if right.get("n_jobs", 1) != -1 and right.get("n_jobs", 1) < 1:
        yield f"n_jobs={config.n_jobs} must be at least 1, or -1: as many as there are slots for"
    for key in ("slots_per_gpu", "time_limit_minutes"):
        if right.get(key, 1) <= 0:
            yield f"{key}={config[key]} must be greater than 0"
