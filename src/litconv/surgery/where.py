"""Which layers are meant: by name, by stage, by kernel, or by a function of the user's own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import NamedTuple

from torch import nn

from litconv.errors import ConfigError, did_you_mean, some


class Layer(NamedTuple):
    """A convolution as the probe image met it."""

    name: str
    module: nn.Module
    kernel: tuple[int, int]
    groups: int
    stage: int  # 1: the finest maps at which convolutions other than the first put out; then coarser and coarser
    is_first: bool  # of all convolutions of the forward


@dataclass(frozen=True)
class Where:
    """All that is given must hold; what is empty says nothing."""

    name: (
        str | Sequence[str]
    ) = ()  # patterns such as layer3.* or *.conv2; one must fit, and none of those with ! in front
    stage: int | Sequence[int] = ()
    kernel: int | Sequence[int] = ()  # 7: 7×7
    first: bool = False  # whether the first convolution, which reads the image, may be among them
    grouped: bool = (
        False  # whether layers that are grouped or depthwise already may be; the operator then has all channels
    )

    def __post_init__(self) -> None:
        for option, kind, what in (
            ("stage", int, "numbers from 1 on"),
            ("kernel", int, "sizes"),
            ("name", str, "patterns"),
        ):
            value = getattr(self, option)
            values = (value,) if isinstance(value, kind) else tuple(value) if isinstance(value, Sequence) else (None,)
            if not all(isinstance(v, kind) and not isinstance(v, bool) and v not in (0, "") for v in values):
                raise ConfigError(f"where: {option}={value} must be {what}")
            object.__setattr__(self, option, values)
        for option in ("first", "grouped"):
            if not isinstance(value := getattr(self, option), bool):
                raise ConfigError(f"where: {option}={value} must be true or false")

    def __call__(self, layer: Layer) -> bool:
        return (
            (self.first or not layer.is_first)
            and (self.grouped or layer.groups == 1)
            and self.is_named(layer.name)
            and (not self.stage or layer.stage in self.stage)
            and (not self.kernel or any(layer.kernel == (k, k) for k in self.kernel))
        )

    def is_named(self, name: str) -> bool:
        wanted = [pattern for pattern in self.name if not pattern.startswith("!")]
        unwanted = [pattern[1:] for pattern in self.name if pattern.startswith("!")]
        return (not wanted or any(fnmatchcase(name, pattern) for pattern in wanted)) and not any(
            fnmatchcase(name, pattern) for pattern in unwanted
        )

    def idle(self, layers: Sequence[Layer]) -> str:
        """Of what is given, the first that fits no layer, and what there is; "" where all do."""
        names = [layer.name for layer in layers]
        there = {
            "stage": sorted({layer.stage for layer in layers}),
            "kernel": list(dict.fromkeys(layer.kernel[0] for layer in layers if len(set(layer.kernel)) == 1)),
        }
        for option, values in there.items():
            for value in getattr(self, option):
                if value not in values:
                    return f"where.{option}={value} matches no layer; there are {', '.join(map(str, values)) or 'none'}"
        for pattern in self.name:
            if not any(fnmatchcase(name, pattern.removeprefix("!")) for name in names):
                return f"where.name={pattern} matches no layer; there are {some(names)}"
        return ""


Choice = Where | str | Sequence[str] | Mapping[str, object] | Callable[[str, nn.Module], bool] | None


def chooser(where: Choice) -> Callable[[Layer], bool]:
    """A string is a pattern of names, a list several, a mapping the fields of `Where`; a function is asked with name and layer,
    of the first convolution, too, but of none that is grouped."""
    if where is None:
        return Where()
    if isinstance(where, Where):
        return where
    if isinstance(where, str | list | tuple):
        return Where(name=where)
    if isinstance(where, Mapping):
        known = [field.name for field in fields(Where)]
        for key in where:
            if key not in known:
                hint = did_you_mean(str(key), known)
                raise ConfigError(f"where: {key}: unknown{hint}; accepted here: {', '.join(known)}")
        return Where(**where)
    if callable(where):
        return lambda layer: layer.groups == 1 and bool(where(layer.name, layer.module))
    raise ConfigError(
        f"where={where!r} must be a pattern of names or several, a mapping, a litconv.Where or a function of name and layer"
    )
