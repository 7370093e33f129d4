"""What a command line may not say: all that Hydra would let through.

Keys that no class takes, values of the wrong type, and overrides without an effect, since two equal points in an
ablation are a lie. Every fault is one clause that names the key, the value and what would be accepted.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from omegaconf import ListConfig

from litconv import secrets
from litconv.config import signatures, targets
from litconv.config.composed import allowed_packages, declared, plain, select
from litconv.config.deploying import deploy_faults
from litconv.config.effects import effect_faults
from litconv.config.hydra_state import hydra_state
from litconv.config.messages import LOGGER_OF_ONES_OWN, written_before
from litconv.config.root_keys import GROUPS, ROOT_KEYS, Group, Named, SaidByClass
from litconv.config.types import class_faults, describe, matches, shown
from litconv.errors import ConfigError
from litconv.files import local

__all__ = ["check", "check_libraries"]

TRAINER_AT_LEAST = {"accumulate_grad_batches": 1, "check_val_every_n_epoch": 1, "gradient_clip_val": 0}


def check(config: Mapping) -> None:
    """Refuse what can be refused without torch and Lightning: first all that needs no import, then what classes of the
    user's own say. The faults of either stand in one message."""
    if not select(config, "logger"):
        raise ConfigError("logger names none; logger=csv logs to nothing but metrics.csv, which every run writes")
    check_structure(config)
    check_loggers(config.logger)
    settings, allowed = plain(config), allowed_packages(config)
    nodes = list(targets.nested(settings))
    for key, node in nodes:
        targets.require_allowed(node["_target_"], allowed, key)
    secrets.refuse(settings)
    local(str(config.output_dir), "output_dir")
    check_extra(select(config, "callbacks.extra"))
    readable = [key for key, node in nodes if not signatures.needs_import(node["_target_"])]
    libraries = [fault for name, node in config.logger.items() for fault in library_faults(name, node)]
    refuse([*effect_faults(config), *value_faults(config), *faults_at(config, readable), *libraries])
    of_user = [key for key, node in nodes if targets.is_of_user(node["_target_"])]
    refuse(faults_at(config, of_user))


def check_libraries(config: Mapping) -> None:
    """The same for the options of classes of torch and Lightning (optim, trainer, callbacks), which this imports."""
    nodes = [(key, node["_target_"]) for key, node in targets.nested(plain(config))]
    refuse(
        faults_at(config, [k for k, name in nodes if signatures.needs_import(name) and not targets.is_of_user(name)])
    )


def refuse(faults: Iterable[str]) -> None:
    if clauses := dict.fromkeys(faults):
        raise ConfigError("; ".join(clauses))


def faults_at(config: Mapping, keys: Iterable[str]) -> Iterator[str]:
    overrides, _, _ = hydra_state(config)
    added = [override.lstrip("+").partition("=")[0] for override in overrides if override.startswith("+")]
    for key in keys:
        yield from class_faults(key, select(config, key), added)


def check_structure(config: Mapping) -> None:
    """Nothing that every run needs is missing, and what holds other keys still does."""
    for parent in dict.fromkeys(key.partition(".")[0] for key in ROOT_KEYS if "." in key):
        if parent in config and not isinstance(config[parent], Mapping):
            inner = ", ".join(key for key in ROOT_KEYS if key.startswith(f"{parent}."))
            raise ConfigError(f"{parent}={shown(config[parent])} replaces several keys; set them one by one: {inner}")
    for key, row in ROOT_KEYS.items():
        if row.required and select(config, key) is None:
            raise ConfigError(
                f"{key} is missing or null, and every run needs one; remove the override that takes it away"
            )
    for group in GROUPS:
        node = select(config, group)
        if node is not None and not (isinstance(node, Mapping) and node.get("_target_")):
            raise ConfigError(
                f"{group} names no class; choose one of its options with {group}=NAME, or set {group}._target_"
            )

    if "path" in config.backbone and config.backbone.path is None:
        raise ConfigError(
            "backbone.path names no class; write backbone.path=my_package.Net allowed_packages=[my_package]"
        )


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


def library_faults(name: str, logger: Mapping) -> list[str]:
    """A library that its class says it needs and that is not installed."""
    missing = [(m, pip) for m, pip in declared(logger).constants.get("needs", {}).items() if find_spec(m) is None]
    return [
        f"logger={name} needs the library {module}, which is not installed: pip install '{pip}'"
        for module, pip in missing[:1]
    ]


def value_faults(config: Mapping) -> Iterator[str]:
    """Of the keys that are in no group."""
    for key, row in ROOT_KEYS.items():
        value = select(config, key)
        if row.type in (Group, Named) or (value is None and not row.required):
            continue
        is_right = matches(value, float if row.type is SaidByClass else row.type)
        if not is_right and row.type is not SaidByClass:
            yield f"{key}={shown(value)} must be {describe(row.type)}"
        elif is_right and row.bound and not row.bound.holds(value):
            yield f"{key}={value} must be {row.bound.words}"
    if (devices := select(config, "trainer.devices")) is not None and not are_devices(devices):
        yield (
            f"trainer.devices={shown(devices)} must be auto, how many (at least 1; -1: all of them), or their indices, "
            "such as [0,1]"
        )
    if matches(interval := select(config, "trainer.val_check_interval"), float) and interval == 0:
        yield "trainer.val_check_interval=0 must be more than 0: a fraction of an epoch, or a number of batches"
    for option, least in TRAINER_AT_LEAST.items():
        value = select(config, f"trainer.{option}")
        if matches(value, float) and value < least:
            yield f"trainer.{option}={value} must be at least {least}"
    yield from deploy_faults(config)
    if select(config, "memory_format") == "auto" and select(config, "match.by") == "latency":
        yield "memory_format=auto: match=latency measures in one layout; choose memory_format=channels_last or contiguous"


def are_devices(devices: Any) -> bool:
    """As Lightning writes them; which of them there are is its affair."""
    if isinstance(devices, list | ListConfig):
        return len(devices) > 0 and all(type(index) is int and index >= 0 for index in devices)
    return re.fullmatch(r"auto|-1|[1-9]\d*|\d+,[\d, ]*", str(devices)) is not None
