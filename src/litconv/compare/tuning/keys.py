"""Which settings of a run a tuned key stands for, and what it was there."""

from collections.abc import Sequence
from typing import Any

from litconv.compare.settings import OPTIONS, Settings
from litconv.sweep.choice import as_number, written

Value = tuple[Any, ...]  # one for each tuned key


def without(keys: Sequence[str], options: Settings) -> Settings:
    return {name: value for name, value in options.items() if not any(covers(key, name) for key in keys)}


def covers(key: str, name: str) -> bool:
    """Whether this setting of a run is decided by this key of a command line: itself, an option of it, what its short name
    stands for."""
    stage = key.partition("@")[2]
    return (
        name in (key, f"choices.{key}", {"epochs": "trainer.max_epochs"}.get(key))
        or name.startswith((f"{key}.", f"{stage}.") if stage else f"{key}.")
        or (key in OPTIONS and name.startswith("conv") and name.endswith(f".{key}"))
    )


def values_of(keys: Sequence[str], options: Settings) -> Value:
    """None of a key that the run does not have."""

    def value(key: str) -> Any:
        names = [name for name in options if covers(key, name)]
        first = [name for name in (key, f"choices.{key}") if name in names] + names
        found = options[first[0]] if first else None
        return float(found) if type(found) is int else found  # 1 and 1.0 are one value

    return tuple(map(value, keys))


def shown(keys: Sequence[str], values: Value) -> str:
    return " ".join(f"{key}={as_text(value)}" for key, value in zip(keys, values, strict=True))


def as_text(value: Any) -> str:
    return str(value) if (number := as_number(value)) is None else written(number)
