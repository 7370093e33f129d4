"""An arm's figures as they are, and the one word of its verdict: what tables, page and wandb are made of."""

from math import isnan
from typing import Any

from litconv.compare.arms import Arm
from litconv.compare.inference.outlook import power
from litconv.compare.result import Result
from litconv.diagnostics.keys import DIAGNOSTIC_KEYS


def numbers(result: Result, arm: Arm) -> dict[str, Any]:
    """One arm, figures as they are: for CSV, wandb and the page."""
    c = result.comparisons.get(arm.name)
    low, high = arm.interval
    row: dict[str, Any] = {"arm": arm.name, "verdict": word(result, arm), "seeds": arm.n}
    row |= dict(zip(result.tuning.keys, result.tuning.of(arm).chosen.value, strict=True)) if result.tuning else {}
    row |= {"mean": arm.mean, "std": arm.std, "low": low, "high": high}
    if c is not None:
        row |= {"reference": result.references[arm.name].name, "pairs": c.n, "gap": c.mean, "gap_sd": c.sd}
        row |= {"gap_low": c.low, "gap_high": c.high, "p": c.p, "p_holm": c.p_holm, "test": c.rule.test}
        other = result.by_other_test[arm.name]
        row |= {f"p_holm_{other.rule.test}": other.p_holm, "seeds_planned": c.rule.planned}
        if c.rule.margin is not None:
            row |= {"margin": c.rule.margin, "equivalent": c.equivalent}
        if result.metric.fraction and not isnan(c.sd):
            row["power_for_1_point"] = power(0.01, c.sd, c.n, c.comparisons, c.rule)
    row |= arm.costs | diagnostics(arm)
    row |= {f"{key}_to_reference": result.ratio(arm, key) for key in arm.costs if not isnan(result.ratio(arm, key))}
    row["front"] = " ".join(key for key in result.cost_keys if arm.name in result.fronts[key])
    return row | ({"width": arm.width} if arm.width is not None else {}) | {"arm_hash": arm.hash}


def diagnostics(arm: Arm) -> dict[str, float]:
    """Mean and standard deviation over the seeds that have them."""
    found = {one.key: arm.column(one.key) for one in DIAGNOSTIC_KEYS if one.key in arm.runs}
    found = {key: values for key, values in found.items() if values.notna().any()}
    return {key: float(v.mean()) for key, v in found.items()} | {
        f"{key}_std": float(v.std()) for key, v in found.items()
    }


def word(result: Result, arm: Arm) -> str:
    c = result.comparisons.get(arm.name)
    if c is None:
        return "reference" if arm in result.baselines else "–"
    return result.metric.word(c.word)
