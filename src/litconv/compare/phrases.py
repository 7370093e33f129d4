"""The phrases that a verdict is made of: how an arm did against its reference, in a sentence; gaps, intervals, counts."""

from math import isinf

from litconv.compare.arms import Arm
from litconv.compare.inference.outlook import seeds_to_settle
from litconv.compare.inference.statistics import Comparison
from litconv.compare.price import cost
from litconv.compare.result import Result


def sentence(result: Result, arm: Arm, of: str = "") -> str:
    c, reference = comparison_of(result, arm), result.references[arm.name].name
    if c.n == 0:
        return f"{arm.name} has no seed in common with {reference}."
    at = cost(result, arm)
    match c.word:
        case "better":
            beats = "beats" if result.metric.directed else "is higher than"
            return f"{arm.name} {beats} {reference} by {amount(result, c.mean, False)}{of} ({interval(result, c)}){at}."
        case "worse":
            small = " (less than the margin)" if result.rule.margin is not None and c.low > -result.rule.margin else ""
            loses = "loses to" if result.metric.directed else "is lower than"
            return f"{arm.name} {loses} {reference} by {loss(result, arm)}{of}{small}{at}."
        case "as good":
            alike = "equivalent to" if c.equivalent else "as good as"
            return f"{arm.name} is {alike} {reference} within {margin(result)}{of} ({gap_words(result, c)}){at}."
    if c.n < c.seeds_needed:
        few = f" with {count(c.n, 'seed')}; {c.seeds_needed} are needed"
        return f"{arm.name}: cannot tell it from {reference}{few}{at}."
    needed = seeds_to_settle(c)
    more = (
        f"{needed} seeds would likely settle it"
        if needed
        else "no number of seeds that can be run would likely settle it"
    )
    return f"{arm.name}: cannot tell it from {reference} yet ({gap_words(result, c)}{at}); {more}."


def interval(result: Result, c: Comparison) -> str:
    """Of a claimed gap the sizes, since the words say which way it goes."""
    if isinf(c.low) and isinf(c.high):
        return "no interval from so few seeds"
    low, high = (c.low, c.high) if c.word != "worse" else (-c.high, -c.low)
    signed = c.word not in ("better", "worse") or low < 0
    return f"{result.metric.gap(low, signed)} to {result.metric.gap(high, signed)}"


def margin(result: Result) -> str:
    return f"{result.metric.size(result.rule.margin)}{unit(result, result.rule.margin)}"


def score(result: Result, arm: Arm) -> str:
    value = result.metric.value(arm.mean)
    return f"{value} ± {result.metric.value(arm.std)} ({arm.n} seeds)" if arm.n > 1 else f"{value} (1 seed)"


def comparison_of(result: Result, arm: Arm) -> Comparison:
    return result.comparisons[arm.name]


def word_of(result: Result, c: Comparison) -> str:
    return result.metric.word(c.word)


def gap_words(result: Result, c: Comparison) -> str:
    return f"gap {amount(result, c.mean)}, {interval(result, c)}"


def loss(result: Result, arm: Arm) -> str:
    c = comparison_of(result, arm)
    return f"{amount(result, c.mean, False)} ({interval(result, c)})"


def amount(result: Result, gap: float, signed: bool = True) -> str:
    return f"{result.metric.gap(gap, signed)}{unit(result, gap)}"


def unit(result: Result, gap: float) -> str:
    if not result.metric.unit:
        return ""
    one = result.metric.fraction and abs(gap) == 0.01
    return f" {'point' if one else result.metric.unit}"


def seeds_had(result: Result) -> str:
    counts = sorted({c.n for c in result.comparisons.values()})
    return f"{counts[0]} to {counts[-1]} seeds" if len(counts) > 1 else count(counts[0], "seed")


def count(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"


def arms_counted(n: int) -> str:
    return count(n, "arm")
