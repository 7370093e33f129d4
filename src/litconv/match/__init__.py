"""Equal budgets: `match=macs` finds the width at which an operator costs what a reference costs, and trains that."""

from litconv.match.budget import Budget, LatencyBudget
from litconv.match.matching import Width, find_width

__all__ = ["Budget", "LatencyBudget", "Width", "find_width"]
