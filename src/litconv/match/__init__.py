"""Equal budgets: `match=macs` finds the width at which an operator costs what a reference costs, and trains that."""

from litconv.match.budget import Budget, DeployedBudget, LatencyBudget
from litconv.match.matching import Width, find_width

__all__ = ["Budget", "DeployedBudget", "LatencyBudget", "Width", "find_width"]
