"""The metric against a cost, with names that do not overlap."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import isnan

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba

from litconv.compare.drawing.places import places
from litconv.compare.drawing.style import MARKERS, colours, marker
from litconv.compare.drawing.ticks import log_ticks
from litconv.compare.metric import cost_heading
from litconv.compare.result import Result

LABELLED = 24  # arms; of more, those on the front and the references


def pareto(result: Result, key: str, axes: Axes) -> None:
    """The metric against a cost: means with their 95 % intervals, the front drawn, what is beaten pale."""
    metric = result.scored_by(key)
    arms = [arm for arm in result.arms if key in arm.costs and arm.has(metric.key)]
    on, colour, shape = result.fronts[key], colours(arms, result.baselines), marker(arms, result.baselines)
    inks = [to_rgba(colour[arm.name], 1.0 if arm.name in on or not on else 0.4) for arm in arms]
    x, y = [arm.costs[key] for arm in arms], [arm.mean_of(metric.key) for arm in arms]
    highs = [arm.interval_of(metric.key)[1] for arm in arms]
    halves = [0 if isnan(high) else high - mean for high, mean in zip(highs, y, strict=True)]
    axes.vlines(x, np.subtract(y, halves), np.add(y, halves), colors=inks, lw=1.2)
    shapes = ["D" if arm in result.baselines else MARKERS[shape[arm.name]] for arm in arms]
    for drawn in dict.fromkeys(shapes):
        at = [i for i, shape in enumerate(shapes) if shape == drawn]
        axes.scatter(
            [x[i] for i in at], [y[i] for i in at], s=36, marker=drawn, color=[inks[i] for i in at], zorder=2.5
        )
    front = steps([at for at, arm in zip(zip(x, y, strict=True), arms, strict=True) if arm.name in on])
    if front:
        axes.plot(*zip(*front, strict=True), color="#808080", lw=1, zorder=1)
    axes.set_xscale("log")
    axes.margins(x=0.12, y=0.1)
    log_ticks(axes.xaxis)
    axes.set_xlabel(f"{cost_heading(key)}, log scale")
    axes.set_ylabel(metric.heading)
    counts = sorted({arm.n for arm in arms})
    seeds = f"{counts[0]}–{counts[-1]}" if len(counts) > 1 else str(counts[0])
    line = "; line: Pareto front" if front else ""
    axes.set_title(f"mean of {seeds} seeds, 95 % interval{line}", fontsize=8, loc="left")
    named = arms if len(arms) <= LABELLED else [arm for arm in arms if arm.name in on or arm in result.baselines]
    points = {arm.name: point for arm, point in zip(arms, zip(x, y, strict=True), strict=True)}
    write_labels(axes, {arm.name: points[arm.name] for arm in named[:LABELLED]}, on, front)


def steps(front: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """What each budget buys: level until the next arm is affordable."""
    points = sorted(front)
    corners = [((x, y), (after[0], y)) for (x, y), after in pairwise(points)]
    return [point for corner in corners for point in corner] + points[-1:]


def write_labels(
    axes: Axes, named: Mapping[str, tuple[float, float]], on: set[str], front: Sequence[tuple[float, float]]
) -> None:
    """The arms' names beside their points; a thin line where a name had to go far."""
    texts = [axes.text(0, 0, name, fontsize=8, alpha=1 if name in on or not on else 0.6) for name in named]
    for text in texts:
        text.set_in_layout(False)
    axes.autoscale_view()  # so that positions are final
    points = [tuple(axes.transData.transform(point)) for point in named.values()]
    sizes = [(box.width, box.height) for box in (text.get_window_extent() for text in texts)]
    room = tuple(axes.get_window_extent().extents)
    spots = places(points, sizes, room, [tuple(axes.transData.transform(point)) for point in front])
    to_axes = axes.transAxes.inverted().transform  # the SVG has other pixels
    for text, box, point in zip(texts, spots, points, strict=True):
        if box is None:
            text.remove()
            continue
        text.set(transform=axes.transAxes, position=to_axes(box[:2]), verticalalignment="bottom")
        edge = np.clip(point, box[:2], box[2:])
        if np.hypot(*(edge - point)) > 14:
            axes.plot(
                *zip(to_axes(point), to_axes(edge), strict=True), transform=axes.transAxes, color="#999999", lw=0.5
            )
