"""`--help`: what may stand on the command line, as the configuration's own files say it, comments included.

Hydra's own lists the groups in a second and leaves the comments out.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from litconv.config.composed import load
from litconv.config.front import as_written, spelled
from litconv.config.own_yamls import yamls
from litconv.config.places import CONF
from litconv.config.printing import reader_may_leave

FLAGS = """\
-m, --multirun      several values, separated by commas, are a sweep: conv=standard,grouped
--cfg job           the whole configuration, as it would be used
--config-dir FOLDER yamls of yours, FOLDER/conv/mine.yaml and the like: conv=mine
--hydra-help        Hydra's own options"""


def print_out(config_name: str, arguments: list[str]) -> None:
    with reader_may_leave():
        show(config_name, arguments)


def show(config_name: str, arguments: list[str]) -> None:
    """Print it, with the options of the groups that `arguments` choose."""
    path = CONF / f"{config_name}.yaml"
    listed = load(path).defaults
    defaults = [item for item in listed if not isinstance(item, str)]
    chosen = {str(key): value for item in defaults for key, value in item.items() if "override" not in str(key)}
    chosen |= {key: value for key, _, value in (a.partition("=") for a in arguments) if key.partition("@")[0] in chosen}
    several = {group: re.findall(r"\w+", str(value or "")) for group, value in chosen.items()}
    print(as_written(sys.modules["__main__"].__doc__ or ""))
    if chosen:
        print("Groups: write group=option. * stands for the default or what was chosen.\n")
        for group in dict.fromkeys(name.partition("@")[0] for name in chosen):
            print(f"  {group:<12}{options_in(group, several.get(group, ()), arguments)}")
        print(f"  {'conv@conv_stage1 … 5':<12}  one stage's operator\n")
    print(f"Keys: write key=value, cost.latency.batch=8 where one is nested.\n\n{indented(own_keys(path))}\n")
    if "train" in listed:
        train = " ".join(spelled("train"))
        print(f"And all that a run takes: {train} --help (epochs, optim and the like change no cost)\n")
    for group, option in ((group, option) for group, options in several.items() for option in options):
        if file := yamls(group.partition("@")[0], arguments).get(option):
            place = f"logger.{option}" if group == "logger" else group.rpartition("@")[2]
            print(f"{group}={option}: write {place}.key=value\n\n{indented(options_of(file))}\n")
    print(f"Flags:\n\n{indented(FLAGS)}")


def options_in(group: str, chosen: Sequence[str], arguments: Sequence[str]) -> str:
    """The options of a group: litconv's, then the user's."""
    files = yamls(group, arguments)
    own = [option for option, file in files.items() if not file.is_relative_to(CONF)]
    marked = {option: f"*{option}" if option in chosen else option for option in sorted(files)}
    of_user = f"; yours: {', '.join(marked[option] for option in own)}" if own else ""
    return ", ".join(text for option, text in marked.items() if option not in own) + of_user


def own_keys(path: Path) -> str:
    """What stands between the defaults and Hydra's part."""
    text = path.read_text().partition("\n\n")[2]
    return text.partition("\nhydra:")[0].strip()


def options_of(path: Path) -> str:
    lines = path.read_text().strip().splitlines()
    return "\n".join(line for line in lines if not line.startswith("_partial_") and "@package" not in line)


def indented(text: str) -> str:
    return "\n".join(f"  {line}" if line else "" for line in text.splitlines())
