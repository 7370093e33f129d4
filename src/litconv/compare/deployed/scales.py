"""What arms are put in order by: their MACs, PyTorch's latency, the latency of each runtime and device in each precision."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isnan, nan

from litconv.compare.arms import Arm
from litconv.compare.result import Result
from litconv.cost.deployed_keys import PRECISIONS, Place, place_of

MACS = "cost/macs"
STEMS = {"single": "latency_single", "batch": "latency"}  # of one image at a time, of a batch
EQUAL = 1.04  # counts within 2 % of their middle are no order, as with budgets
UNKNOWN_NOISE = 1.1  # of a latency without percentiles


@dataclass(frozen=True)
class Scale:
    label: str
    key: str  # of what is put in order
    milliseconds: str | None = None  # None: counted, not measured
    low: str | None = None  # 10th and 90th percentile, in milliseconds
    high: str | None = None
    place: Place | None = None  # of a runtime or a device

    def of(self, arm: Arm) -> float:
        return median(arm, self.key)

    def span(self, arm: Arm) -> tuple[float, float]:
        """Where a repeated measurement may fall; of a count, what is still equal to it."""
        value = self.of(arm)
        if self.milliseconds is None:
            return value / EQUAL**0.5, value * EQUAL**0.5
        middle, low, high = (median(arm, key) for key in (self.milliseconds, self.low, self.high))
        if isnan(middle) or isnan(low) or isnan(high):
            return value / UNKNOWN_NOISE**0.5, value * UNKNOWN_NOISE**0.5
        return value * low / middle, value * high / middle

    def less(self, one: Arm, other: Arm) -> bool:
        """Whether it costs less, beyond noise."""
        return self.span(one)[1] < self.span(other)[0]

    def has(self, arm: Arm) -> bool:
        return not isnan(self.of(arm))


def scales(result: Result, batch: str) -> list[Scale]:
    """`batch`: of STEMS. MACs and PyTorch first, then the places in which some arm was measured."""
    counted = [Scale("MACs", MACS)] if MACS in result.cost_keys else []
    pytorch = [one for one in [timed(result, "PyTorch", "cost/", batch, None)] if one]
    found = [timed(result, place.label, place.key(""), batch, place) for place in places(result)]
    return [*counted, *pytorch, *(one for one in found if one)]


def timed(result: Result, label: str, prefix: str, batch: str, place: Place | None) -> Scale | None:
    """By the ratios to standard, measured in turns, where every arm that was measured has one."""
    stem = f"{prefix}{STEMS[batch]}"
    milliseconds, ratio = f"{stem}_ms", f"{stem}_ratio"
    having = [arm for arm in result.arms if not isnan(median(arm, milliseconds))]
    if not having:
        return None
    key = milliseconds if any(isnan(median(arm, ratio)) for arm in having) else ratio
    return Scale(label, key, milliseconds, f"{stem}_p10_ms", f"{stem}_p90_ms", place)


def places(result: Result) -> list[Place]:
    """Runtime by runtime, float32 before int8."""
    found = [place for key in result.runs.columns if (place := place_of(str(key)))]
    runtimes = list(dict.fromkeys(place.runtime for place in found))
    return sorted(set(found), key=lambda place: (runtimes.index(place.runtime), precision_order(place.precision)))


def precision_order(precision: str) -> tuple[int, str]:
    return PRECISIONS.index(precision) if precision in PRECISIONS else len(PRECISIONS), precision


def latency_key(result: Result, place: Place) -> str | None:
    """Of a place's Pareto plot, in milliseconds; None where no latency was measured there."""
    stems = [f"{stem}_ms" for stem in STEMS.values()]
    return next((key for stem in stems if (key := place.key(stem)) in result.cost_keys), None)


def batches(result: Result) -> list[str]:
    """Of STEMS, those in which some place was measured."""
    return [batch for batch in STEMS if any(scale.place for scale in scales(result, batch))]


def batch_label(result: Result, batch: str) -> str:
    if batch == "single":
        return "one image"
    sizes = sorted({f"{size:g}" for size in numbers(result, "deploy/batch")})
    return f"batch {sizes[0]}" if len(sizes) == 1 else "a batch"


def numbers(result: Result, key: str) -> Iterable[float]:
    return (float(one) for one in result.runs[key] if one == one) if key in result.runs else ()


def median(arm: Arm, key: str | None) -> float:
    """Over the runs that have it; NaN where none has."""
    if key is None or key not in arm.runs:
        return nan
    values = arm.column(key)
    return float(values[values > 0].median())
