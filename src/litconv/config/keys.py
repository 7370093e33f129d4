"""Which keys there are, and those that a plus may add."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException

from litconv.config.command_line import arguments
from litconv.config.composed import CONF, STAGES, compose, declared, raw, select
from litconv.config.messages import did_you_mean, unknown_key

LOGGER_PASSED = ("folder", "name", "group", "job_type", "tags", "config")
PASSED = {
    *("in_channels", "stride", "dilation", "stage_convs", "callbacks", "logger"),  # by litconv, whatever the default
    *(
        "enable_progress_bar",
        "enable_checkpointing",
        "default_root_dir",
        "barebones",
    ),  # litconv's own stand in their place
}


def keys(config_name: str = "train") -> list[str]:
    """Every key that a command line may set, dotted: those of the groups that it chooses, and the groups themselves."""
    chosen = [
        re.match(r"[^=]*=(\[[^\]]*\]|[^,]*)", a)[0]  # of several values the first, which may be a list
        for a in arguments()
        if "=" in a and (CONF / a.partition("=")[0].partition("@")[0]).is_dir()
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
                    parameters = declared(child).parameters.values()
                    left = [p.name for p in parameters if p.default is not p.empty and p.name not in {*child, *PASSED}]
                    found.extend(f"+{prefix}{key}.{name}" for name in left)
                walk(child, f"{prefix}{key}.")

    walk(raw(config), "")
    return [k for k in found if not k.rpartition(".")[2].startswith("_")]


def added_key_faults(config: Mapping, key: str) -> list[str]:
    """`+key=…` may add an argument that a class takes and its yaml leaves at the default, and nothing else."""
    parent, _, leaf = key.rpartition(".")
    node = select(config, parent) if parent else None
    if key in keys():
        return []  # `++` on a key that is there, or a short name with a needless plus: judged like any other
    if (
        parent in ("callbacks.extra", "logger")
        and isinstance(own := select(config, key), Mapping)
        and "_target_" in own
    ):
        return [fault for name in own if name != "_target_" for fault in added_key_faults(config, f"{key}.{name}")]
    if not isinstance(node, Mapping) or "_target_" not in node:
        return [f"+{unknown_key(key, keys())}"]
    if leaf in ("_target_", "_partial_"):
        return []
    parameters = declared(node).parameters
    if leaf in (LOGGER_PASSED if parent.startswith("logger.") else PASSED):
        return [
            f"+{key} has no effect: litconv itself settles {leaf} of {node['_target_'].rpartition('.')[2]}; remove it"
        ]
    if leaf in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return []
    name = node["_target_"].rpartition(".")[2]
    return [f"+{key}: {name} takes no {leaf!r}{did_you_mean(leaf, list(parameters))}; it takes {', '.join(parameters)}"]
