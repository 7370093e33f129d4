"""An arm's name for a person, from one run's own configuration: `grouped groups=4`, `deformable in stage 3`.

The operator, then those options of network, optimiser and task that are not as litconv's own yaml has them;
`grouped ×1.34 wide` stands for a width, be it asked for or found by `match=`. What runs must have in common to be compared
at all (task, data, trainer) is not in it.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from litconv.config import own_yamls, signatures
from litconv.config.labels import OWN_HEAD
from litconv.config.places import CONF
from litconv.config.root_keys import STAGES
from litconv.config.stubs import UnreadError
from litconv.run.naming import NOT_HASHED_IN, same_numbers

GROUPS = ("upsample", "head", "backbone", "optim", "schedule", "task")  # besides the operators
ROOT = ("ema", "memory_format", "matmul_precision")
STARTS = ("init_from", "distill")  # named by the run, or the file, alone
FOUND_BY_MATCH = {"backbone": ("base_channels",), "head": ("hidden",)}

Settings = Mapping[str, Any]


def arm_name(settings: Settings, choices: Mapping[str, str], matched_width: float | None = None) -> str:
    """`settings`: as config.yaml holds them; `matched_width`: the one that `match=` has found."""
    return " ".join(parts(settings, choices, matched_width))


def parts(settings: Settings, choices: Mapping[str, str], matched_width: float | None) -> Iterator[str]:
    conv = choices["conv"]
    stages = {str(n): choices[key] for n in STAGES if (key := f"conv@conv_stage{n}") in choices}
    yield operator(conv, stages)
    yield from differing(settings.get("conv"), "conv", conv)
    for number, stage in stages.items():
        for part in differing(settings.get(f"conv_stage{number}"), "conv", stage):
            yield f"{part} in stage {number}"
    if factor := wide(settings["width"] if matched_width is None else matched_width):
        yield factor
    usual = usual_choices(choices["task"])
    for group in GROUPS:
        if group in settings and group in choices:
            if group != "task" and choices[group] != OWN_HEAD and choices[group] != usual.get(group, choices[group]):
                yield f"{group}={choices[group]}"
            found = FOUND_BY_MATCH.get(group, ()) if settings.get("match") else ()
            yield from differing(settings[group], group, choices[group], f"{group}.", left_out=found)
    for key in ROOT:
        if key in settings and settings[key] != train_yaml()[key]:
            yield f"{key}={shown(settings[key])}"
    for key in STARTS:
        if settings.get(key) is not None:
            yield f"{key}={Path(str(settings[key])).name}"
    if settings.get("distill") is not None:
        yield from (
            f"distillation.{option}={shown(value)}"
            for option, value in settings["distillation"].items()
            if value != train_yaml()["distillation"][option]
        )
    if settings.get("compile", {}).get("enabled"):
        yield f"compile={settings['compile']['mode']}"


def operator(conv: str, stages: Mapping[str, str]) -> str:
    """`grouped`, `deformable in stage 3`, `grouped, deformable in stages 3 and 4`. `stages`: number → the operator in it."""
    places: dict[str, list[str]] = {}
    for number, stage in stages.items():
        if stage != conv:
            places.setdefault(stage, []).append(number)
    inside = [f"{stage} in stage{'s' * (len(at) > 1)} {listed(at)}" for stage, at in places.items()]
    return ", ".join(inside if inside and conv == "standard" else [conv, *inside])


def listed(words: list[str]) -> str:
    """2, 3 and 4"""
    return " and ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)


def wide(width: float) -> str:
    """`×1.34 wide`; nothing of a network as wide as it was published."""
    return "" if f"{width:.3g}" == "1" else f"×{width:.3g} wide"


def differing(
    node: Settings | None, group: str, choice: str, prefix: str = "", left_out: tuple[str, ...] = ()
) -> Iterator[str]:
    """The options of a group that are neither as its yaml has them nor as its class does."""
    usual = usual_options(group, own_yamls.path_of(group, choice), str((node or {}).get("_target_", "")))
    for option, value in (node or {}).items():
        silent = option.startswith("_") or option in (*NOT_HASHED_IN.get(group, ()), *left_out)
        if silent or refers_elsewhere(usual.get(option)):
            continue
        if option not in usual or same_numbers(value) != same_numbers(usual[option]):
            yield f"{prefix}{option}={shown(value)}"


@cache
def usual_options(group: str, path: Path | None, target: str) -> dict[str, Any]:
    """`path`: of the yaml that was chosen. Nothing is imported for a class of the user's own: its yaml says what is usual."""
    try:
        taken = {name: parameter.default for name, parameter in signatures.read(target).parameters.items()}
    except UnreadError:
        taken = {}
    written = {} if path is None else yaml.safe_load(path.read_text())
    written = written.get(group, written)  # a task's yaml says more than the task
    return {**taken, **{option: default(value) for option, value in written.items()}}


@cache
def usual_choices(task: str) -> dict[str, str]:
    """Group → what is chosen in it unless the command line says otherwise."""
    path = CONF / "task" / f"{task}.yaml"
    of_task = yaml.safe_load(path.read_text()).get("defaults", []) if path.exists() else []
    entries = [entry for entry in [*train_yaml()["defaults"], *of_task] if isinstance(entry, dict)]
    return {key.removeprefix("override /"): choice for entry in entries for key, choice in entry.items()}


@cache
def train_yaml() -> dict[str, Any]:
    return yaml.safe_load((CONF / "train.yaml").read_text())


def default(value: Any) -> Any:
    """Of `${oc.select:groups,2}` the 2."""
    if isinstance(value, str) and value.startswith("${oc.select:"):
        return yaml.safe_load(value.removesuffix("}").partition(",")[2])
    return value


def refers_elsewhere(value: Any) -> bool:
    """`${width}` and the like: it is said there."""
    return isinstance(value, str) and value.startswith("${")


def shown(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(shown, value))}]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
