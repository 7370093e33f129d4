"""What is to be equal, and to what."""

from dataclasses import dataclass
from math import inf
from typing import Literal

from litconv.errors import ConfigError

UNITS = {"macs": "MACs", "params": "params", "activations": "activations", "latency": "ms"}


@dataclass(frozen=True)
class Budget:
    """Of a cost that is counted."""

    by: Literal["macs", "params", "activations"]
    to: str | float  # an operator's name, or what it may cost
    tolerance: float = 0.02  # relative; what misses it is noted, what misses it fivefold is refused

    def __post_init__(self) -> None:
        if self.is_number and not 0 < self.to < inf:
            raise ConfigError(f"match.to={self.to} must be greater than 0, or the name of an operator")
        if not 0 < self.tolerance < 1:
            raise ConfigError(f"match.tolerance={self.tolerance} must be greater than 0 and less than 1")

    @property
    def is_number(self) -> bool:
        return isinstance(self.to, int | float)

    @property
    def limit(self) -> float:
        """What misses by more is no match."""
        return 5 * self.tolerance

    def error(self, cost: float, target: float) -> float:
        """Relative, signed: positive where it costs more than the target."""
        return cost / target - 1

    def shown(self, cost: float) -> str:
        return f"{cost:,.0f} {UNITS[self.by]}"


@dataclass(frozen=True)
class LatencyBudget(Budget):
    """Of the time that a batch takes; `to` may be milliseconds."""

    by: Literal["latency"]
    to: str | float
    tolerance: float = 0.05
    batch: int = 32
    seconds: float = 1.0  # of measuring, for each width that is tried
    device: str = "auto"  # the trainer's

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch < 1 or not self.seconds > 0:
            raise ConfigError(
                f"match.batch={self.batch} and match.seconds={self.seconds} must be at least 1 and greater than 0"
            )

    def shown(self, cost: float) -> str:
        return f"{cost:.3g} {UNITS[self.by]}"
