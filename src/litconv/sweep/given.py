"""What was given to a sweep's launch, and the commands that launch again what is missing."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import yaml

from litconv.config.front import spelled
from litconv.config.own_yamls import as_flag

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it was compiled
Grid = dict[str, list[str]]  # override's key → its values, in the order of the command line


@dataclass(frozen=True)
class Given:
    """To a multirun, and the grid that an experiment brought."""

    overrides: dict[str, str]
    swept: dict[str, str]

    def covers(self, point: Mapping[str, str]) -> bool:
        """Whether each override of the point is among the values that were given."""
        known = self.swept | self.overrides
        return all(is_among(known.get(key, ""), value) for key, value in point.items())


def is_among(given: str, value: str) -> bool:
    """A point's `False` is the command line's `false`."""
    given, value = given.replace(" ", "").lower(), value.replace(" ", "").lower()
    return "(" in given or value == given or value in given.split(",")


def last_given(sweep: Path) -> Given | None:
    """To the last multirun in this sweep's folder, from Hydra's own record of it."""
    try:
        hydra = yaml.load((sweep / "multirun.yaml").read_text(), LOADER)["hydra"]
        given = dict(map(split, [*hydra["overrides"]["hydra"], *hydra["overrides"]["task"]]))
        swept = {str(k): str(v) for k, v in (hydra["sweeper"].get("params") or {}).items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        return None
    return Given({k: v for k, v in given.items() if k != "hydra.mode"}, swept)


def split(override: str) -> tuple[str, str]:
    key, _, value = override.partition("=")
    return key, value


def multirun(given: Mapping[str, str]) -> str:
    """The command, as whoever reads it writes it."""
    return shlex.join([*spelled("train"), "-m", *as_flag([f"{key}={value}" for key, value in given.items()])])


def merged(points: Iterable[Mapping[str, str]]) -> list[Grid]:
    """As few grids as span these points (each: key → value) and no other."""
    by_keys: dict[frozenset[str], list[Mapping[str, str]]] = {}
    for point in points:
        by_keys.setdefault(frozenset(point), []).append(point)
    return [grid for alike in by_keys.values() for grid in _grids(alike)]


def _grids(points: Sequence[Mapping[str, str]]) -> list[Grid]:
    values = {key: list(dict.fromkeys(point[key] for point in points)) for key in points[0]}
    if prod(map(len, values.values())) == len({tuple(p.items()) for p in points}):
        return [values]
    key = min((k for k in values if len(values[k]) > 1), key=lambda k: len(values[k]))
    return [grid for value in values[key] for grid in _grids([p for p in points if p[key] == value])]
