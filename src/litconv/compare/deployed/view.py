"""What the page's section and deployed.md show of where the networks run: tables as texts, and what is drawn."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from litconv.compare.deployed.order import compared_scales, equal, ranks
from litconv.compare.deployed.quantised import Change, changes
from litconv.compare.deployed.scales import MACS, Scale, batch_label, batches, median, scales
from litconv.compare.deployed.within import Choice, choices
from litconv.compare.deployed.words import (
    change_words,
    correlations,
    cost_words,
    disagreements,
    gap_words,
    sentences,
    signed,
)
from litconv.compare.result import Result
from litconv.cost.deployed_keys import place_of

ABOUT = re.compile("deploy/[^/]+/about")  # of a device


@dataclass(frozen=True)
class Cell:
    rank: int | None
    text: str  # "3.21 ms"
    ratio: str  # to standard, "" where it was not measured
    share: float  # of the way from the first place to the last


@dataclass(frozen=True)
class Orders:
    """Of one batch size."""

    key: str  # of scales.STEMS
    label: str
    headings: list[str]
    rows: dict[str, list[Cell]]  # name of an arm → one a heading
    correlations: list[tuple[str, list[str]]]  # heading of a row, one a heading; "" where there is none
    disagreements: list[str]
    choices: list[list[str]]  # of CHOICE_HEADINGS
    lacking: list[str]  # arms without a figure
    axis: str  # what the latencies are drawn over
    equal: str  # the cost that is the same for all arms, "" where it is not


@dataclass(frozen=True)
class Deployed:
    summary: list[str]
    orders: list[Orders]
    changes: list["ChangeRow"]
    about: str  # on what it was measured


def deployed_view(result: Result) -> Deployed | None:
    """None where no arm was deployed."""
    measured = batches(result)
    found = [change_row(result, change) for change in changes(result)]
    if not measured and not found:
        return None
    return Deployed(sentences(result), [orders(result, batch) for batch in measured], found, about(result))


def orders(result: Result, batch: str) -> Orders:
    found = scales(result, batch)
    columns = [column(result, scale) for scale in found]
    rows = {arm.name: [cells[arm.name] for cells in columns] for arm in result.arms}
    known = {base.label: {scale.label: rho for scale, rho in row} for base, row in correlations(result, found)}
    rhos = [(base, [signed(row[s.label]) if s.label in row else "" for s in found]) for base, row in known.items()]
    said = [disagreements(result, base, scale) for base, scale in compared_scales(found)]
    chosen = choices(result, found)
    lacking = [f"{one.scale.label}: {', '.join(one.without)}" for one in chosen if one.without]
    return Orders(
        batch,
        batch_label(result, batch),
        [scale.label for scale in found],
        rows,
        rhos,
        [one for one in said if one],
        [choice_row(result, one) for one in chosen],
        lacking,
        axis_label(axis(result, found)),
        "".join(scale.label for scale in found if scale.key == MACS and equal(result.arms, scale)),
    )


def column(result: Result, scale: Scale) -> dict[str, Cell]:
    """Name of an arm → its cell; where all are equal none has a rank."""
    places = {} if equal(result.arms, scale) else ranks(result.arms, scale)
    last = max(places.values(), default=1)
    cells = {}
    for arm in result.arms:
        rank = places.get(arm.name)
        ratio = f"{scale.of(arm):.2f}×" if scale.has(arm) and scale.milliseconds not in (None, scale.key) else ""
        text = cost_words(scale, arm) if scale.has(arm) else "–"
        cells[arm.name] = Cell(rank, text, ratio, (rank - 1) / (last - 1) if rank and last > 1 else 0.0)
    return cells


CHOICE_HEADINGS = (
    "by the cost of",
    "cheapest",
    "costs",
    "scores",
    "gap to the best",
    "beyond chance",
    "best",
)


def choice_row(result: Result, one: Choice) -> list[str]:
    best = f"{one.best.arm.name} {one.metric.value(one.best.score)}"
    by = one.scale.label
    if one.cheapest is None:
        return [by, "none that was measured", "–", "–", "–", "–", best]
    arm = one.cheapest.arm
    sure = "yes" if one.cheapest.shown(result.rule.margin) else "no"
    if sure == "no" and one.shown:
        sure = f"no; {one.shown.arm.name} is ({cost_words(one.scale, one.shown.arm)})"
    score = one.metric.value(one.cheapest.score)
    judged = place_of(one.metric.key)
    if one.scale.place and one.scale.place != judged:
        score += f" ({judged.label if judged else 'as tested'})"
    return [by, arm.name, cost_words(one.scale, arm), score, gap_words(result, one.cheapest), sure, best]


CHANGE_HEADINGS = ("arm", "where", "float32", "int8", "difference", "int8 is")


@dataclass(frozen=True)
class ChangeRow:
    arm: str
    cells: list[str]  # of CHANGE_HEADINGS, without the arm
    sorted: list[float | str]  # what each is sorted by


def change_row(result: Result, change: Change) -> ChangeRow:
    value, word = result.metric.value, change.comparison.word
    cells = [change.place.label, value(change.float32), value(change.int8), change_words(result, change), word]
    return ChangeRow(change.arm.name, cells, [cells[0], change.float32, change.int8, change.comparison.mean, word])


def about(result: Result) -> str:
    """Processor, threads and versions, where the runs agree in them all are named once."""
    parts = []
    for key, word in {"processor": "{}", "threads": "{} threads"}.items():
        parts += [word.format(one).replace("1 threads", "1 thread") for one in values(result, f"deploy/{key}")]
    versions = [key for key in map(str, result.runs.columns) if key.startswith("deploy/versions/")]
    parts += [f"{key.rpartition('/')[2]} {' and '.join(values(result, key))}" for key in versions]
    devices = [key for key in map(str, result.runs.columns) if ABOUT.fullmatch(key)]
    return "; ".join([", ".join(parts)] * bool(parts) + [one for key in devices for one in values(result, key)])


def values(result: Result, key: str) -> list[str]:
    written = result.runs[key].dropna() if key in result.runs else ()
    return list(dict.fromkeys(f"{one:g}" if isinstance(one, float) else str(one) for one in written))


def drawing(result: Result) -> dict[str, Any] | None:
    """For the page's script: latency of each arm by each place, over MACs; over PyTorch's latency where MACs are equal."""
    drawn = {batch: panels(result, scales(result, batch)) for batch in batches(result)}
    return drawn or None


def panels(result: Result, found: Sequence[Scale]) -> dict[str, Any]:
    base = axis(result, found)
    shown = [scale for scale in found if scale.milliseconds and scale is not base]
    return {
        "x": {"label": axis_label(base), "values": {a.name: x(base, a) for a in result.arms if base.has(a)}},
        "panels": [{"label": scale.label, "values": spans(result, scale)} for scale in shown],
    }


def axis(result: Result, found: Sequence[Scale]) -> Scale:
    bases = [scale for scale in found if scale.place is None] or list(found)
    return next((scale for scale in bases if not equal(result.arms, scale)), bases[0])


def axis_label(scale: Scale) -> str:
    return scale.label if scale.milliseconds is None else f"{scale.label}'s latency (ms)"


def x(scale: Scale, arm: Any) -> float:
    return median(arm, scale.milliseconds or scale.key)


def spans(result: Result, scale: Scale) -> dict[str, list[float]]:
    """Median, 10th and 90th percentile in milliseconds."""
    having = [arm for arm in result.arms if scale.has(arm)]
    return {arm.name: [median(arm, key) for key in (scale.milliseconds, scale.low, scale.high)] for arm in having}
