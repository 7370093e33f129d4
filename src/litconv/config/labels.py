"""What a choice is called: by the class that fills the group, not by the file that was named.

A yaml copied under another name is the same choice, and `conv._target_=mine.Op` is not `standard` although its group still
says so.
"""

import re
from functools import cache

from omegaconf import DictConfig

from litconv.config.composed import CONF, brings_own_head

OWN_HEAD = "own"  # of a backbone that is a whole network
GROUPS = ("conv", "backbone", "head", "upsample", "task", "data", "optim", "schedule")


def by_class(config: DictConfig, choices: dict[str, str]) -> dict[str, str]:
    """The choices, those of GROUPS by their class: `conv@conv_stage2` is the group `conv` at the key `conv_stage2`."""
    named = dict(choices)
    for place, choice in choices.items():
        group, _, key = place.partition("@")
        node = config.get(key or group) if group in GROUPS else None
        if isinstance(node, DictConfig) and "_target_" in node:
            named[place] = label(group, choice, str(node["_target_"]))
    built = [config.get(group) for group in ("backbone", "head")]
    if all(isinstance(node, DictConfig) and "_target_" in node for node in built) and brings_own_head(config):
        named["head"] = OWN_HEAD
    return named


def label(group: str, choice: str, target: str) -> str:
    """litconv's own yaml for this class; the class' name where it has taken the place of another; else the choice."""
    own = own_targets(group)
    if own.get(choice) == target:
        return choice
    yamls = [name for name, of in own.items() if of == target]
    if yamls:
        return yamls[0]
    return target.rpartition(".")[2] if choice in own else choice


@cache
def own_targets(group: str) -> dict[str, str]:
    """The name of each of litconv's yamls for this group → its class."""
    texts = {path.stem: path.read_text() for path in sorted((CONF / group).glob("*.yaml"))}
    targets = {name: re.search(r"^ *_target_: (\S+)", text, re.MULTILINE) for name, text in texts.items()}
    return {name: target[1] for name, target in targets.items() if target}
