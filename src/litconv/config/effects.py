"""Overrides that would change nothing, or not what they say."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from litconv.config.command_line import arguments
from litconv.config.composed import (
    CONF,
    LAUNCH_KEYS,
    SHORT_NAMES,
    declared,
    hydra_state,
    is_set,
    launcher,
    load,
    raw,
    select,
    short_names_used,
    takes,
)  # fmt: skip
from litconv.config.keys import added_key_faults

WRITE_INSTEAD = {"backbone.width": "width", "data.seed": "seed"}


def effect_faults(config: Mapping) -> Iterator[str]:
    overrides, chosen, multirun = hydra_state(config)
    for group, name in chosen.items():
        if ".." in name:
            yield f"{group}={name}: write {group}={Path(name).name}"
    used = short_names_used(config)
    for name in SHORT_NAMES:
        if is_set(config, name) and name not in used and not (multirun and swept(name, "conv")):
            yield without_effect(name, config[name], chosen)
    for override in overrides:
        yield from override_faults(config, override, chosen, multirun)
    for name, node in (config.callbacks.get("extra") or {}).items():
        if node.get("monitor") and "mode" not in node and takes(node, "mode"):
            yield (
                f"callbacks.extra.{name} monitors {node.monitor} without a mode, and the default may be the wrong extreme; "
                f"add callbacks.extra.{name}.mode=max or min"
            )
    task = declared(config.task).constants["name"]
    if task not in declared(config.head).constants["tasks"]:
        heads = heads_that(lambda node: task in declared(node).constants["tasks"])
        yield f"head={chosen.get('head')} is not for task={chosen.get('task')}; heads that are: {heads}"


def override_faults(config: Mapping, override: str, chosen: dict[str, str], multirun: bool) -> Iterator[str]:
    key, _, value = override.lstrip("+~").partition("=")
    group = key.partition("@")[0]
    if key in WRITE_INSTEAD:
        yield f"{key}={value}: write {WRITE_INSTEAD[key]}={value}, which the summary and the name follow"
    if override.startswith("+") and not (CONF / group).is_dir():
        yield from added_key_faults(config, key)
    if group.partition(".")[0] == "upsample" and not takes(config.head, "upsample") and not multirun:
        heads = heads_that(lambda node: takes(node, "upsample"))
        yield f"{key}={value} has no effect: head={chosen.get('head')} has no upsampler; heads that do: {heads}"
    if key in LAUNCH_KEYS and not multirun:
        yield f"{key}={value} has no effect: it is for the jobs of a sweep; remove it, or add -m"
    elif key in LAUNCH_KEYS and key != "rerun" and launcher(config) != "local":
        yield f"{key}={value} has no effect: hydra/launcher={launcher(config)} has options of its own, hydra.launcher.…"
    if key == "compile.mode" and not select(config, "compile.enabled"):
        yield f"{key}={value} has no effect: compile.enabled=false; add compile.enabled=true, or remove it"
    if key == "epochs" and raw(config)["trainer"]["max_epochs"] != "${epochs}":
        yield (
            f"epochs={value} has no effect: trainer={chosen.get('trainer')} sets max_epochs="
            f"{config.trainer.max_epochs}; remove epochs, or set trainer.max_epochs={value}"
        )


def without_effect(name: str, value: Any, chosen: dict[str, str]) -> str:
    takers = [p.stem for p in sorted((CONF / "conv").glob("*.yaml")) if f"select:{name}," in p.read_text()]
    return (
        f"{name}={value} has no effect: conv={chosen.get('conv')} has no {name}; operators that do: "
        f"{', '.join(takers)}; remove {name} or choose one of them"
    )


def heads_that(suit: Callable[[Mapping], bool]) -> str:
    return ", ".join(path.stem for path in sorted((CONF / "head").glob("*.yaml")) if suit(load(path)))


def swept(*names: str) -> bool:
    """Whether the command line gives one of these keys several values."""
    given = [a.partition("=") for a in arguments()]
    return any(key.partition("@")[0] in names and re.search(r",|\(", value) for key, _, value in given)
