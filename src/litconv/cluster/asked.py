"""Whether what a launcher of ours is asked for on the command line, `hydra.launcher.…`, can be."""

from collections.abc import Mapping
from typing import Any, get_type_hints

from litconv.config.root_keys import Bound
from litconv.config.types import describe, matches, shown
from litconv.errors import ConfigError

KEY = "hydra.launcher"


def check_asked(asked: Any, bounds: Mapping[str, Bound]) -> None:
    """`asked`: a dataclass, whose annotations are the types of its options."""
    for name, hint in get_type_hints(type(asked)).items():
        value = getattr(asked, name)
        if not matches(value, hint):
            raise ConfigError(f"{KEY}.{name}={shown(value)} must be {describe(hint)}")
        if hint == list[str] and not all(isinstance(item, str) for item in value):
            raise ConfigError(f"{KEY}.{name}={value} must be a list of strings; quote numbers")
        if value is not None and name in bounds and not bounds[name].holds(value):
            or_else = ", or left out" if matches(None, hint) else ""
            raise ConfigError(f"{KEY}.{name}={value} must be {bounds[name].words}{or_else}")
