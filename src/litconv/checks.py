"""What a command line may not say: all that Hydra would let through.

Keys that no class takes, values of the wrong type, and overrides without an effect, since two equal points in an
ablation are a lie. Every fault is one clause that names the key, the value and what would be accepted.
"""

import inspect
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException

from litconv import secrets, targets
from litconv.atomic import local
from litconv.cli import arguments, did_you_mean, unknown_key
from litconv.config import (
    CONF,
    LAUNCH_KEYS,
    SHORT_NAMES,
    STAGES,
    allowed_packages,
    compose,
    hydra_state,
    is_set,
    launcher,
    load,
    plain,
    raw,
    select,
    short_name_in,
    short_names_used,
    takes,
    target,
    written_and_resolved,
)  # fmt: skip
from litconv.errors import ConfigError
from litconv.naming import check_sweep_name

ROOT_TYPES = {
    "seed": int,
    "epochs": int,
    "width": float,
    "memory_format": Literal["channels_last", "contiguous"],
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
WRITE_INSTEAD = {"backbone.width": "width", "data.seed": "seed"}
PASSED = {
    *("in_channels", "stride", "dilation", "stage_convs", "callbacks", "logger"),  # by litconv, whatever the default
    *(
        "enable_progress_bar",
        "enable_checkpointing",
        "default_root_dir",
        "barebones",
    ),  # litconv's own stand in their place
}


def check(config: Mapping) -> None:
    """Refuse unknown keys, wrong types and overrides without effect; every fault found stands in one message."""
    overrides, chosen, multirun = hydra_state(config)
    for key in ("conv", "backbone", "head", "task", "data", "optim", "schedule", "trainer", "logger", *ROOT_TYPES):
        if select(config, key) is None:
            raise ConfigError(
                f"{key} is missing or null, and every run needs one; remove the override that takes it away"
            )
    settings = plain(config)
    targets.check_nested(settings, allowed_packages(config))
    secrets.refuse(settings)
    local(config.output_dir, "output_dir")
    if config.sweep is not None:
        check_sweep_name(str(config.sweep))
    used = short_names_used(config)
    faults = [f"{group}={name}: write {group}={Path(name).name}" for group, name in chosen.items() if ".." in name]
    for name in SHORT_NAMES:
        if is_set(config, name) and name not in used and not (multirun and swept(name, "conv")):
            faults.append(without_effect(name, config[name], chosen))
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        group = key.partition("@")[0]
        if key in WRITE_INSTEAD:
            faults.append(f"{key}={value}: write {WRITE_INSTEAD[key]}={value}, which the summary and the name follow")
        if override.startswith("+") and not (CONF / group).is_dir():
            faults.extend(added_key_faults(config, key))
        if group.partition(".")[0] == "upsample" and not takes(config.head, "upsample") and not multirun:
            heads = ", ".join(p.stem for p in sorted((CONF / "head").glob("*.yaml")) if head_upsamples(p))
            faults.append(
                f"{key}={value} has no effect: head={chosen.get('head')} has no upsampler; heads that do: {heads}"
            )
        if key in LAUNCH_KEYS and not multirun:
            faults.append(f"{key}={value} has no effect: it is for the jobs of a sweep; remove it, or add -m")
        elif key in LAUNCH_KEYS and key != "rerun" and launcher(config) != "local":
            faults.append(
                f"{key}={value} has no effect: hydra/launcher={launcher(config)} has options of its own, hydra.launcher.…"
            )
        if key == "epochs" and raw(config)["trainer"]["max_epochs"] != "${epochs}":
            faults.append(
                f"epochs={value} has no effect: trainer={chosen.get('trainer')} sets max_epochs="
                f"{config.trainer.max_epochs}; remove epochs, or set trainer.max_epochs={value}"
            )
    for name, node in (config.callbacks.get("extra") or {}).items():
        if node.get("monitor") and "mode" not in node and takes(node, "mode"):
            faults.append(
                f"callbacks.extra.{name} monitors {node.monitor} without a mode, and the default may be the wrong extreme; "
                f"add callbacks.extra.{name}.mode=max or min"
            )
    if target(config.task).name not in target(config.head).tasks:
        heads = ", ".join(p.stem for p in sorted((CONF / "head").glob("*.yaml")) if fits(p, target(config.task).name))
        faults.append(f"head={chosen.get('head')} is not for task={chosen.get('task')}; heads that are: {heads}")
    for key, hint in ROOT_TYPES.items():
        if not matches(value := select(config, key), hint):
            faults.append(f"{key}={shown(value)} must be {describe(hint)}")
    if matches(config.epochs, int) and config.epochs < 1:
        faults.append(f"epochs={config.epochs} must be at least 1")
    for key, most in {"cost.latency.batch": 2**16, "cost.latency.seconds": 3600}.items():
        if matches(value := select(config, key), ROOT_TYPES[key]) and not 0 < value <= most:
            faults.append(f"{key}={value} must be more than 0 and at most {most}")
    if matches(config.seed, int) and not 0 <= config.seed < 2**32:
        faults.append(f"seed={config.seed} must be at least 0 and less than 2**32")
    if matches(config.n_jobs, int) and config.n_jobs != -1 and config.n_jobs < 1:
        faults.append(f"n_jobs={config.n_jobs} must be at least 1, or -1: as many as there are slots for")
    for key in ("slots_per_gpu", "time_limit_minutes"):
        if matches(config[key], float) and config[key] <= 0:
            faults.append(f"{key}={config[key]} must be greater than 0")
    for key, node in raw(config).items():
        if isinstance(node, dict) and "_target_" in node:
            faults.extend(type_faults(key, config[key]))
    if faults:
        raise ConfigError("; ".join(dict.fromkeys(faults)))


def keys(config_name: str = "train") -> list[str]:
    """Every key that a command line may set, dotted: those of the groups that it chooses, and the groups themselves."""
    chosen = [
        a.split(",")[0] for a in arguments() if (CONF / a.partition("=")[0].partition("@")[0]).is_dir() and "=" in a
    ]
    return _keys(config_name, *chosen)


@cache  # it composes a configuration, for every key that a point of a sweep adds
def _keys(config_name: str, *chosen: str) -> list[str]:
    backup, GlobalHydra.instance().hydra = GlobalHydra.instance().hydra, None  # this may run inside a Hydra job
    try:
        config = compose(list(chosen), config_name)
    except HydraException:  # a choice is at fault itself
        GlobalHydra.instance().clear()
        config = compose([], config_name)
    finally:
        GlobalHydra.instance().hydra = backup
    found = []
    if "conv" in config:
        groups = [p.name for p in CONF.iterdir() if p.is_dir()]
        found = [g if g in config else f"{g}=…" for g in groups] + [f"conv@conv_stage{n}" for n in STAGES]

    def walk(node: dict[str, Any], prefix: str) -> None:
        for key, child in node.items():
            found.append(f"{prefix}{key}")
            if isinstance(child, dict):
                if "_target_" in child:  # what its class takes and its yaml leaves at the default: for a plus
                    parameters = inspect.signature(target(child)).parameters.values()
                    left = [p.name for p in parameters if p.default is not p.empty and p.name not in {*child, *PASSED}]
                    found.extend(f"+{prefix}{key}.{name}" for name in left)
                walk(child, f"{prefix}{key}.")

    walk(raw(config), "")
    return [k for k in found if not k.rpartition(".")[2].startswith("_")]


def without_effect(name: str, value: Any, chosen: dict[str, str]) -> str:
    takers = [p.stem for p in sorted((CONF / "conv").glob("*.yaml")) if f"select:{name}," in p.read_text()]
    return (
        f"{name}={value} has no effect: conv={chosen.get('conv')} has no {name}; operators that do: "
        f"{', '.join(takers)}; remove {name} or choose one of them"
    )


def fits(head: Path, task: str) -> bool:
    return task in target(load(head)).tasks


def swept(*names: str) -> bool:
    """Whether the command line gives one of these keys several values."""
    given = [a.partition("=") for a in arguments()]
    return any(key.partition("@")[0] in names and re.search(r",|\(", value) for key, _, value in given)


def head_upsamples(path: Path) -> bool:
    return takes(load(path), "upsample")


def added_key_faults(config: Mapping, key: str) -> list[str]:
    """`+key=…` may add an argument that a class takes and its yaml leaves at the default, and nothing else."""
    parent, _, leaf = key.rpartition(".")
    node = select(config, parent) if parent else None
    if key in keys():
        return []  # `++` on a key that is there, or a short name with a needless plus: judged like any other
    if parent == "callbacks.extra" and isinstance(own := select(config, key), Mapping) and "_target_" in own:
        return [fault for name in own if name != "_target_" for fault in added_key_faults(config, f"{key}.{name}")]
    if not isinstance(node, Mapping) or "_target_" not in node:
        return [f"+{unknown_key(key, keys())}"]
    if leaf in ("_target_", "_partial_"):
        return []
    parameters = inspect.signature(target(node)).parameters
    if leaf in PASSED:
        return [
            f"+{key} has no effect: litconv itself settles {leaf} of {node['_target_'].rpartition('.')[2]}; remove it"
        ]
    if leaf in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return []
    name = node["_target_"].rpartition(".")[2]
    return [f"+{key}: {name} takes no {leaf!r}{did_you_mean(leaf, list(parameters))}; it takes {', '.join(parameters)}"]


def type_faults(path: str, node: Mapping) -> list[str]:
    """Values that are not of the type in the signature of the class; short names are called by their short name."""
    cls = target(node)
    hints = get_type_hints(cls.__init__ if inspect.isclass(cls) else cls)
    defaults = {name: parameter.default for name, parameter in inspect.signature(cls).parameters.items()}
    faults = []
    written, resolved = written_and_resolved(node)
    for key, value in resolved.items():
        if key in hints and value != defaults.get(key) and not matches(value, hints[key]):
            short = short_name_in(written[key]) if isinstance(written[key], str) else None
            linked = re.fullmatch(r"\$\{(\w+)\}", written[key]) if isinstance(written[key], str) else None
            name = short or (linked[1] if linked else f"{path}.{key}")
            faults.append(f"{name}={shown(value)} must be {describe(hints[key])}")
    return faults


def shown(value: Any) -> str:
    return "''" if value == "" else "null" if value is None else str(value)


def matches(value: Any, hint: Any) -> bool:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint in (bool, str, type(None)):
        return isinstance(value, hint)
    if origin is Literal:
        return value in arguments
    if origin is Union or type(hint).__name__ == "UnionType":
        return any(matches(value, a) for a in arguments)
    if inspect.isclass(hint) and (value is None or isinstance(value, str | int | float)):
        return isinstance(value, hint)
    return True


def describe(hint: Any) -> str:
    names = {
        int: "an integer",
        float: "a number",
        bool: "true or false",
        str: "a text",
        list: "a list",
        type(None): "null",
    }
    if hint in names:
        return names[hint]
    if get_origin(hint) is Literal:
        return " or ".join(map(str, get_args(hint)))
    parts = [describe(a) for a in get_args(hint) if a in names or get_origin(a) is Literal]
    return " or ".join(parts) if parts else str(hint)
