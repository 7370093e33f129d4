"""What a configuration's network costs: counted on the meta device, or measured in turns with the reference."""

from typing import Any, Protocol

import torch
from torch import nn

from litconv import build
from litconv.config import composed
from litconv.cost.folding import in_deployed_form
from litconv.cost.latency import Latency
from litconv.cost.measurement import latency
from litconv.cost.tally import Tally, tally
from litconv.data.problem import Problem
from litconv.device import device_named
from litconv.match.budget import Budget, DeployedBudget, LatencyBudget
from litconv.match.in_turns import InTurns

MOST_PARAMS = 10**10


class Meter(Protocol):
    target: float

    def __call__(self, config: Any) -> float:
        """What it costs; a ValueError where it cannot be built."""

    def confirm(self, config: Any) -> float:
        """The same, of what the search has chosen."""


class Counter:
    def __init__(self, budget: Budget, config: Any, problem: Problem) -> None:
        self.by, self.problem = budget.by, problem
        self.target = budget.to if budget.is_number else self(composed.with_operator(config, budget.to))

    def __call__(self, config: Any) -> int:
        costs = self.tally(config)
        if costs.params > MOST_PARAMS:
            raise ValueError(f"match={self.by}: its target needs a network of more than {MOST_PARAMS:,} params")
        return getattr(costs, self.by)

    def tally(self, config: Any) -> Tally:
        """On the CPU where a forward cannot run without values."""
        for place in ("meta", "cpu"):
            with torch.device(place):
                network = build.assemble(config, self.problem.in_channels, self.problem.num_classes)
            try:
                return tally(in_deployed_form(network.eval()), self.problem.in_channels, self.problem.image_size)
            except (NotImplementedError, RuntimeError) as error:
                failure = error
        raise failure

    confirm = __call__


class Stopwatch(InTurns):
    """In PyTorch."""

    def __init__(self, budget: LatencyBudget, config: Any, problem: Problem, device: torch.device) -> None:
        self.settings = {
            "shape": (budget.batch, problem.in_channels, *problem.image_size),
            "device": device if budget.device == "auto" else device_named(budget.device, "match.device"),
            "precision": config.trainer.precision,
            "memory_format": build.memory_format(config),
        }
        super().__init__(budget, config, problem)

    def time(self, session: nn.Module, reference: nn.Module | None, seconds: float) -> Latency:
        try:
            return latency(session, reference, seconds=seconds, **self.settings)
        except torch.OutOfMemoryError as error:
            raise ValueError(
                f"match=latency: {self.settings['device']} has no memory for it; try a smaller match.batch"
            ) from error


def meter_of(budget: Budget, config: Any, problem: Problem, device: torch.device) -> Meter:
    if isinstance(budget, DeployedBudget):
        from litconv.match.deployed import OnDevice, OnRuntime

        return (OnDevice if budget.on_device else OnRuntime)(budget, config, problem)
    if isinstance(budget, LatencyBudget):
        return Stopwatch(budget, config, problem, device)
    return Counter(budget, config, problem)
