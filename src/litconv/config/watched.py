"""What a run is judged by on validation: the task's own metric, or the one that `task.monitor` names."""

from collections.abc import Mapping
from typing import NamedTuple

from litconv.config.composed import declared
from litconv.errors import ConfigError


class Watched(NamedTuple):
    key: str  # val/…
    mode: str  # max or min


def watched(task: Mapping) -> Watched:
    """Of the node `task`; its class says what may be named."""
    says = declared(task).constants
    name, known = task.get("monitor"), says.get("logged", ())
    if name is None or not known:  # a class of the user's own says what it watches
        return Watched(says["monitor"], says["mode"])
    of_class = f"{name.partition('/')[0]}/<class>"
    if name not in known and not ("/" in name and of_class in known):
        raise ConfigError(f"task.monitor={name} is never logged; choose one of {', '.join(known)}")
    return Watched(f"val/{name}", "min" if name in says["minimised"] else "max")
