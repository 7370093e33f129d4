"""Equal budgets: `match=macs` finds the width at which an operator costs what a reference costs, and trains that."""

from litconv.match.budget import Budget, LatencyBudget
from litconv.match.matching import Matched, matched

__all__ = ["Budget", "LatencyBudget", "Matched", "matched"]
