"""What is to be equal, and to what."""

from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Literal

from litconv.cost.deployed_keys import PRECISIONS, RUNTIMES, Place
from litconv.errors import ConfigError, did_you_mean

UNITS = {"macs": "MACs", "params": "params", "activations": "activations", "latency": "ms", "deployed": "ms"}
CONFIRMING = 4  # times as long as each try of the search: the best of many noisy tries looks better than it is


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

    @property
    def facts(self) -> dict[str, str | int]:
        """Keys of summary.json, besides those of every match."""
        return {}

    @property
    def notes(self) -> list[str]:
        """What a reader must know of every match by it."""
        return []


@dataclass(frozen=True)
class MeasuredBudget(Budget):
    """Of the time that a batch takes; `to` may be milliseconds."""

    by: Literal["latency", "deployed"]
    to: str | float
    tolerance: float = 0.05
    batch: int = 32
    seconds: float = 1.0  # of measuring, for each width that is tried

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch < 1 or not self.seconds > 0:
            raise ConfigError(
                f"match.batch={self.batch} and match.seconds={self.seconds} must be at least 1 and greater than 0"
            )

    def shown(self, cost: float) -> str:
        return f"{cost:.3g} {UNITS[self.by]}"

    @property
    def confirming(self) -> float:
        """Seconds for what the search has chosen."""
        return CONFIRMING * self.seconds


@dataclass(frozen=True)
class LatencyBudget(MeasuredBudget):
    """In PyTorch."""

    by: Literal["latency"]
    device: str = "auto"  # the trainer's


@dataclass(frozen=True)
class DeployedBudget(MeasuredBudget):
    """Where the network will run."""

    by: Literal["deployed"]
    batch: int = 1
    runtime: str = "onnxruntime"  # or openvino; or what a device measured: rpi5.csv
    precision: Literal["float32", "int8"] = "float32"
    threads: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.runtime not in RUNTIMES and not self.on_device:
            meant = did_you_mean(self.runtime, list(RUNTIMES))
            raise ConfigError(
                f"match.runtime={self.runtime} must be {' or '.join(RUNTIMES)}{meant}, or a device's table such as rpi5.csv"
            )
        if self.precision not in PRECISIONS:
            raise ConfigError(f"match.precision={self.precision} must be {' or '.join(PRECISIONS)}")
        if self.threads < 1:
            raise ConfigError(f"match.threads={self.threads} must be at least 1")

    @property
    def on_device(self) -> bool:
        return self.runtime.endswith(".csv")

    @property
    def place(self) -> Place:
        return Place(Path(self.runtime).stem if self.on_device else self.runtime, self.precision)

    def shown(self, cost: float) -> str:
        return f"{super().shown(cost)} in {self.place.label}"

    @property
    def facts(self) -> dict[str, str | int]:
        return {"match/runtime": self.place.runtime, "match/precision": self.precision, "match/batch": self.batch}

    @property
    def notes(self) -> list[str]:
        calibrated = self.precision == "int8" and not self.on_device
        return ["int8 is calibrated with random images, since nothing is trained yet"] if calibrated else []
