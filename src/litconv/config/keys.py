"""Which keys a command line may set."""

import re
from functools import cache
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig

from litconv.config import signatures
from litconv.config.composed import CONF, compose, declared, load, raw, select
from litconv.config.environment import arguments
from litconv.config.own_yamls import yamls
from litconv.config.root_keys import STAGES
from litconv.errors import ConfigError

# What litconv passes itself, whatever the default of the class, or has something of its own in place of.
LOGGER_PASSED = ("folder", "name", "group", "job_type", "tags", "config")
CALLBACKS_PASSED = ("folder", "monitor", "mode")
PASSED = {
    *("in_channels", "num_classes", "stride", "dilation", "stage_convs", "callbacks", "logger"),
    *("enable_progress_bar", "enable_checkpointing", "default_root_dir", "barebones"),
}

OF_HYDRA = ("hydra.launcher.", "hydra.sweeper.")


def keys(config_name: str = "train") -> list[str]:
    """Every key, dotted: those of the groups that the command line chooses, and the groups themselves. `+key` is an
    argument that a class takes and its yaml leaves at the default; classes that must be imported for that are not asked."""
    return known_keys(config_name, "", *choices_and_places())


def keys_near(key: str, config_name: str) -> list[str]:
    """The same, and the arguments of the class in whose group this key stands, even if it must be imported for that."""
    if key.startswith(OF_HYDRA) and (of_hydra := keys_of_hydra_s(".".join(key.split(".")[:2]))):
        return of_hydra
    return known_keys(config_name, key.partition(".")[0], *choices_and_places())


def keys_of_hydra_s(part: str) -> list[str]:
    """`part`: hydra.launcher or hydra.sweeper. Of the one that is chosen; none of one that is not ours."""
    group = part.replace(".", "/")
    default = {"hydra/launcher": "local", "hydra/sweeper": "grid"}[group]
    chosen = [a.partition("=")[2] for a in arguments() if a.startswith(f"{group}=")] or [default]
    path = CONF / group / f"{chosen[-1]}.yaml"
    return [f"{part}.{key}" for key in load(path) if not key.startswith("_")] if path.exists() else []


def choices_and_places() -> list[str]:
    """Of the arguments those that choose in a group, and those that say where groups are looked for."""
    written = [(a, a.lstrip("+").partition("=")[0].partition("@")[0]) for a in arguments() if "=" in a]
    return [first_value(a) if (CONF / group).is_dir() else a for a, group in written if is_place_or_group(group)]


def first_value(argument: str) -> str:
    """Of several values in a sweep the first, which may itself be a list."""
    return re.match(r"[^=]*=(\[[^\]]*\]|[^,]*)", argument)[0]


def is_place_or_group(key: str) -> bool:
    return key in ("hydra.searchpath", "allowed_packages") or (CONF / key).is_dir()


@cache  # it composes a configuration, for every key that a point of a sweep adds
def known_keys(config_name: str, asked: str, *chosen: str) -> list[str]:
    backup, GlobalHydra.instance().hydra = GlobalHydra.instance().hydra, None  # this may run inside a Hydra job
    try:
        config = compose(list(chosen), config_name)
    except HydraException:  # a choice is at fault itself
        GlobalHydra.instance().clear()
        config = compose([], config_name)
    finally:
        GlobalHydra.instance().hydra = backup
    known = []
    if "conv" in config:
        groups = [path.name for path in CONF.iterdir() if path.is_dir()]
        known = [g if g in config else f"{g}=…" for g in groups] + [f"conv@conv_stage{n}" for n in STAGES]

    def walk(node: dict[str, Any], prefix: str) -> None:
        for key, child in node.items():
            known.append(f"{prefix}{key}")
            if isinstance(child, dict):
                target = child.get("_target_")
                if target and ((prefix, key) == ("", asked) or not signatures.needs_import(target)):
                    known.extend(
                        f"+{prefix}{key}.{option}" for option in left_at_default(select(config, f"{prefix}{key}"))
                    )
                walk(child, f"{prefix}{key}.")

    walk(raw(config), "")
    return [key for key in known if not key.rpartition(".")[2].startswith("_")]


def choices_that_take(option: str, place: str) -> list[str]:
    """Of the group at this place (conv, conv_stage3, backbone, …) those whose class takes the option; one that must be
    imported for that is not asked."""
    group = re.sub(r"_stage\d$", "", place)
    nodes = {name: load(path) for name, path in sorted(yamls(group).items())}
    targets = {name: node["_target_"] for name, node in nodes.items() if "_target_" in node}
    return [
        name
        for name, target in targets.items()
        if not signatures.needs_import(target) and option in signatures.signature(target).parameters.keys() - PASSED
    ]


def left_at_default(node: DictConfig) -> list[str]:
    """None of a class that cannot be loaded: what is wrong with it is not said here."""
    try:
        parameters = declared(node).parameters.values()
    except ConfigError:
        return []
    return [p.name for p in parameters if p.default is not p.empty and p.name not in {*node, *PASSED}]
