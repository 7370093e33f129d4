"""A time that is measured in turns with the reference's."""

from typing import Any

from litconv import build
from litconv.config import composed
from litconv.cost.latency import Latency
from litconv.data.problem import Problem
from litconv.match.budget import MeasuredBudget


class InTurns:
    """Milliseconds of a batch: the reference's, times the ratio of the two in turns. Weights are those before training, on which
    speed does not depend. A subclass says what runs (`session`) and how it is timed (`time`), and is ready for both before it
    calls this `__init__`."""

    def __init__(self, budget: MeasuredBudget, config: Any, problem: Problem) -> None:
        self.budget, self.problem = budget, problem
        self.twin, self.reference = None, None
        self.target = budget.to
        if not budget.is_number:
            self.twin = composed.with_operator(composed.of_model(config), budget.to)
            self.reference = self.session(self.twin)
            self.target = self.time(self.reference, None, budget.confirming).median_ms

    def __call__(self, config: Any) -> float:
        return self.of(config, self.budget.seconds)

    def confirm(self, config: Any) -> float:
        return self.of(config, self.budget.confirming)

    def of(self, config: Any, seconds: float) -> float:
        if self.reference is None:
            return self.time(self.session(config), None, seconds).median_ms
        if composed.plain(config) == composed.plain(self.twin):
            return self.target
        return self.target * self.time(self.session(config), self.reference, seconds).ratio

    def session(self, config: Any) -> Any:
        """What runs: the network itself, or a runtime that has opened its file."""
        return build.assemble(config, self.problem.in_channels, self.problem.num_classes)

    def time(self, session: Any, reference: Any | None, seconds: float) -> Latency:
        raise NotImplementedError
