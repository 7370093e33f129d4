"""What the arms cost, in words."""

from itertools import combinations
from math import isnan

from scipy.stats import kendalltau

from litconv.compare.arms import Arm
from litconv.compare.metric import cost_of, short
from litconv.compare.result import Result

EQUAL = 1.04  # costs within 2 % of their middle are one budget
LISTED = 12  # names in a sentence


def cost(result: Result, arm: Arm) -> str:
    shown = {"cost/macs": "MACs", "cost/params": "params", "cost/latency_ms": "latency"}
    ratios = {name: result.ratio(arm, key) for key, name in shown.items()}
    parts = [f"{ratio:.2f}× the {name}" for name, ratio in ratios.items() if not isnan(ratio)]
    return f", at {', '.join(parts)}" if parts else ""


def budgets(result: Result) -> list[str]:
    """At which costs the arms are equal, and how far apart they are at the others."""
    if len(result.arms) < 2 or not result.budget_keys:
        return []
    equal = [key for key in result.budget_keys if key not in uneven(result)]
    unequal = [f"{cost_of(key).heading} from {_range(result, key)}" for key in uneven(result)]
    if not equal:
        return [f"The arms are not at an equal cost: {', '.join(unequal)}."]
    same = " and ".join(f"{cost_of(key).heading} ({_range(result, key)})" for key in equal)
    return [f"All arms are within 2 % of the same {same}" + (f"; {', '.join(unequal)}." if unequal else ".")]


def uneven(result: Result) -> list[str]:
    """The costs in which the arms differ."""
    costs = {key: [arm.costs[key] for arm in result.arms if key in arm.costs] for key in result.budget_keys}
    return [key for key, values in costs.items() if max(values) > EQUAL * min(values)]


def fronts(result: Result) -> list[str]:
    if not result.metric.directed:
        return []
    clauses = []
    for key in uneven(result):
        if key in ("cost/params", "cost/activations"):  # the figures show these
            continue
        on = [arm.name for arm in result.arms if arm.name in result.fronts[key]]
        if len(result.arms) > 2 and len(on) <= LISTED:
            clauses.append(f"{cost_of(key).heading}: {', '.join(on)}")
    start = f"Pareto-optimal by the means ({result.metric.label} against cost)"
    return [f"{start}: {'; '.join(clauses)}."] if clauses else []


def disagreements(result: Result) -> list[str]:
    """The two costs that order the arms most differently."""
    worst: tuple[float, str, str] | None = None
    for one, other in combinations(uneven(result), 2):
        both = [arm for arm in result.arms if one in arm.costs and other in arm.costs]
        if len(both) > 2:
            tau = kendalltau([arm.costs[one] for arm in both], [arm.costs[other] for arm in both]).statistic
            if tau < 0.8 and (worst is None or tau < worst[0]):
                worst = tau, one, other
    if worst is None:
        return []
    tau, one, other = worst
    return [
        f"{cost_of(one).heading} and {cost_of(other).heading} order the arms differently (Kendall's τ = {tau:.2f})."
    ]


def _range(result: Result, key: str) -> str:
    costs = [arm.costs[key] for arm in result.arms if key in arm.costs]
    low, high, unit = short(min(costs)), short(max(costs)), cost_of(key).unit.replace("×", "")
    return (low if low == high else f"{low} to {high}") + (f" {unit}" if unit else "")
