"""Overrides that would change nothing, or not what they say."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from litconv.config.composed import (
    CONF,
    declared,
    is_set,
    load,
    own_head_tasks,
    raw,
    select,
    short_name_in,
    short_names_used,
    takes,
)  # fmt: skip
from litconv.config.deploying import calibrates_nothing
from litconv.config.environment import arguments
from litconv.config.hydra_state import hydra_state, launcher_reads, sweep_of, sweeper_reads
from litconv.config.keys import keys
from litconv.config.messages import unknown_key
from litconv.config.own_yamls import yamls
from litconv.config.root_keys import LAUNCH_KEYS, OF_SWEEPER, SHORT_NAMES
from litconv.config.types import shown

WRITE_INSTEAD = {"backbone.width": "width", "data.seed": "seed", "backbone.seed": "seed"}


def effect_faults(config: Mapping) -> Iterator[str]:
    overrides, chosen, multirun = hydra_state(config)
    for group, name in chosen.items():
        if ".." in name:
            yield f"{group}={name}: write {group}={Path(name).name}"
    used = short_names_used(config)
    for name in SHORT_NAMES:
        if is_set(config, name) and name not in used and not (multirun and is_swept("conv", name)):
            yield without_effect(name, config[name], chosen)
    for argument in [] if multirun else arguments():
        if argument.lstrip("+").startswith(("hydra/launcher", "hydra.launcher", "hydra/sweeper", "hydra.sweeper")):
            yield f"{argument} has no effect: it is for the jobs of a sweep; remove it, or add -m"
    for override in overrides:
        yield from override_faults(config, override, chosen, multirun)
    if not multirun:
        yield from recipe_faults(config)
    yield from backbone_faults(config, overrides, chosen, multirun)
    task, tasks = declared(config.task).constants.get("name"), declared(config.head).constants.get("tasks")
    if tasks is not None and task not in tasks:
        heads = heads_that(lambda node: task in declared(node).constants["tasks"])
        yield f"head={chosen.get('head')} is not for task={chosen.get('task')}; heads that are: {heads}"


def override_faults(config: Mapping, override: str, chosen: dict[str, str], multirun: bool) -> Iterator[str]:
    key, _, value = override.lstrip("+~").partition("=")
    group = key.partition("@")[0]
    if key in WRITE_INSTEAD:
        yield f"{key}={value}: write {WRITE_INSTEAD[key]}={value}, which the summary and the name follow"
    if (CONF / group).is_dir() and re.fullmatch(r"\{\s*\}", value):
        yield f"{key}={value} has no effect: it changes nothing of {key}={chosen.get(key)}; remove it"
    if override.startswith("+") and not is_known(config, key):
        yield f"{override[: -len(override.lstrip('+'))]}{unknown_key(key, keys())}"
    if group.partition(".")[0] == "upsample" and not takes(config.head, "upsample") and not multirun:
        heads = heads_that(lambda node: takes(node, "upsample"))
        yield f"{key}={value} has no effect: head={chosen.get('head')} has no upsampler; heads that do: {heads}"
    if (CONF / group).is_dir() and group not in ("logger", "experiment") and value.startswith("["):
        yield f"{key}={value}: a run has one {key}; several are a sweep: add -m and write {key}={value.strip('[] ')}"
    if key == "logger" and (twice := [n for n, count in Counter(re.findall(r"\w+", value)).items() if count > 1]):
        yield f"{key}={value} names {', '.join(twice)} more than once; name each logger once"
    if key in LAUNCH_KEYS and not multirun:
        yield f"{key}={value} has no effect: it is for the jobs of a sweep; remove it, or add -m"
    elif key in OF_SWEEPER and not sweeper_reads(config, key):
        yield f"{key}={value} has no effect: the chosen hydra/sweeper does not read it; remove it, or choose hydra/sweeper=grid"
    elif key == "tuning_seeds" and select(config, "best_of") is None:
        yield f"{key}={value} has no effect: nothing is tuned; name what is, such as best_of=optim.lr, or remove {key}"
    elif key in LAUNCH_KEYS and key not in ("rerun", "seeds", *OF_SWEEPER) and not launcher_reads(config, key):
        yield f"{key}={value} has no effect: {unread_by_launcher(key)}"
    if key == "compile.mode" and not select(config, "compile.enabled"):
        yield f"{key}={value} has no effect: compile.enabled=false; add compile.enabled=true, or remove it"
    if group.startswith("deploy.") and key != "deploy.runtimes" and not select(config, "deploy.runtimes"):
        yield f"{key}={value} has no effect: nothing is deployed; add deploy=onnxruntime or deploy=openvino, or remove it"
    if group.startswith("deploy.calibration.") and (why := calibrates_nothing(select(config, "deploy.precision"))):
        yield f"{key}={value} has no effect: {why}; remove it, or add int8 to deploy.precision"
    if group.startswith("distillation.") and select(config, "distill") is None:
        yield f"{key}={value} has no effect: nobody teaches; add distill=RUN, or remove it"
    if key == "epochs" and (limit := raw(config)["trainer"].get("max_epochs")) != "${epochs}":
        yield (
            f"epochs={value} has no effect: trainer={chosen.get('trainer')} sets max_epochs={shown(limit)}; "
            f"remove epochs, or set trainer.max_epochs={value}"
        )


def unread_by_launcher(key: str) -> str:
    if key == "wait":
        return "the chosen hydra/launcher trains on this machine, until its command ends; hydra/launcher=slurm does not"
    return "the chosen hydra/launcher has options of its own, hydra.launcher.…"


def backbone_faults(config: Mapping, overrides: list[str], chosen: dict[str, str], multirun: bool) -> Iterator[str]:
    """What a backbone of another library does not serve for, or has something of its own in place of."""
    says, name = declared(config.backbone).constants, chosen.get("backbone")
    task = declared(config.task).constants.get("name")
    if task not in says.get("tasks", frozenset({task})):
        others = [
            other
            for other, path in sorted(yamls("backbone").items())
            if task in declared(load(path)).constants.get("tasks", frozenset())
        ]
        yield f"backbone={name} is not for task={chosen.get('task')}; models of other libraries that are: {', '.join(others)}"
    for override in [] if multirun else overrides:
        key, _, value = override.lstrip("+~").partition("=")
        group = key.partition(".")[0]
        if group in ("head", "upsample") and task in own_head_tasks(config.backbone):
            option = says.get("own_head_option")
            instead = f", or set backbone.{option}=null" if option else ""
            yield f"{key}={value} has no effect: backbone={name} is a whole network with a head of its own; remove it{instead}"
        if says.get("own_kernels") and key.rpartition(".")[2] == "kernel_size":
            yield f"{key}={value} has no effect: backbone={name} keeps the kernel of each of its layers; remove it"


def recipe_faults(config: Mapping) -> Iterator[str]:
    """A recipe that is a sweep, without -m: not one of its points is what anybody means who names none of its values."""
    written = dict(argument.lstrip("+").split("=", 1) for argument in arguments() if "=" in argument)
    recipe = written.get("experiment")
    swept = sweep_of(config) if recipe else {}
    if swept and not written.keys() & (swept.keys() - {"seed"}):
        values = " ".join(f"{key}={values}" for key, values in swept.items())
        yield f"experiment={recipe} is a sweep ({values}): add -m; for one run of it give a value of each"


def is_known(config: Mapping, key: str) -> bool:
    """Whether the key is a group, a node with a class or an option of one, which judges it itself (`types`), or one that is
    there already: a plus is not needed then, and does no harm."""
    parts = key.split(".")
    nodes = (select(config, ".".join(parts[:length])) for length in range(1, len(parts) + 1))
    is_option = any(isinstance(node, Mapping) and "_target_" in node for node in nodes)
    return is_option or (CONF / key.partition("@")[0]).is_dir() or key in keys()


def without_effect(name: str, value: Any, chosen: dict[str, str]) -> str:
    operators = [
        operator
        for operator, path in sorted(yamls("conv").items())
        if any(short_name_in(str(written)) == name for written in raw(load(path)).values())
    ]
    return (
        f"{name}={value} has no effect: conv={chosen.get('conv')} has no {name}; operators that do: "
        f"{', '.join(operators)}; remove {name} or choose one of them"
    )


def heads_that(suit: Callable[[Mapping], bool]) -> str:
    return ", ".join(head for head, path in sorted(yamls("head").items()) if suit(load(path)))


def is_swept(*keys: str) -> bool:
    """Whether the command line gives one of these keys several values."""
    written = [argument.partition("=") for argument in arguments()]
    return any(key.partition("@")[0] in keys and re.search(r",|\(", value) for key, _, value in written)
