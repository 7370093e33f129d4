"""The errors a user can cause. Each is one line: the key, the values, the remedy; of a wrong name the nearest right ones."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class ConfigError(ValueError):
    """A configuration that cannot be run, found before any data is read."""


class ExportError(ConfigError):
    """A model that a format cannot hold, or a file that does not compute what the model does."""


class BusyError(ConfigError):
    """A run that another process is writing."""


class DataError(ValueError):
    """A data set that cannot be used as it is, found before the first training step."""


class TrainingError(RuntimeError):
    """A training that cannot go on, such as a loss that is not finite."""


class LostProcessError(TrainingError):
    """Another process of the same run has ended, and this one cannot go on without it."""


class JobError(RuntimeError):
    """What a job of a sweep failed of, in one line. It crosses processes."""


def some(names: Sequence[str]) -> str:
    """The first six."""
    return f"{', '.join(names[:6])}{', …' if names[6:] else ''}"


def did_you_mean(name: str, options: Iterable[str], before: str = "", most: int = 1) -> str:
    """A clause that names at most so many of the options, with what stands `before` them; empty where none is near."""
    near = [repr(before + option) for option in get_close_matches(name, list(options), n=most, cutoff=0.6)]
    first = ", ".join(near[:-1])
    return f" (did you mean {f'{first} or ' * bool(first)}{near[-1]}?)" if near else ""
