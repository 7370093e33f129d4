"""Latency over MACs, one panel for each place in which the arms were measured, all on the same axes."""

from math import ceil, isnan, nan

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from litconv.compare.deployed.scales import Scale, batch_label, batches, median, scales
from litconv.compare.deployed.view import axis, axis_label, x
from litconv.compare.drawing.style import MARKERS, colours, marker
from litconv.compare.drawing.ticks import log_ticks
from litconv.compare.result import Result

DRAWN = 24  # arms in the legend


def small_multiples(result: Result, figure: Figure) -> None:
    """Of the first batch size that was measured."""
    batch = batches(result)[0]
    found = scales(result, batch)
    base = axis(result, found)
    shown = [scale for scale in found if scale.milliseconds and scale is not base]
    across = 2 if len(shown) in (2, 4) else min(3, len(shown))
    down = ceil(len(shown) / across)
    figure.set_size_inches(6.8, 1.0 + 2.2 * down)
    panels = list(figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).flat)
    for axes, scale in zip(panels, shown, strict=False):
        panel(result, base, scale, axes)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    for one in (panels[0].xaxis, panels[0].yaxis):  # the others share it
        log_ticks(one)
    figure.supxlabel(f"{axis_label(base)}, log scale", fontsize=9)
    figure.supylabel(f"latency (ms), {batch_label(result, batch)}, log scale", fontsize=9)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles[:DRAWN], labels[:DRAWN], loc="outside upper center", ncols=4, fontsize=7, frameon=False)


def panel(result: Result, base: Scale, scale: Scale, axes: Axes) -> None:
    """Points of every arm, so that the legend of one panel is that of all; bars: 10th to 90th percentile."""
    colour, shape = colours(result.arms, result.baselines), marker(result.arms, result.baselines)
    for arm in result.arms:
        there = base.has(arm) and scale.has(arm)
        at, ms = (x(base, arm), x(scale, arm)) if there else (nan, nan)
        low, high = (median(arm, key) for key in (scale.low, scale.high))
        form = "D" if arm in result.baselines else MARKERS[shape[arm.name]]
        axes.scatter([at], [ms], s=26, marker=form, color=colour[arm.name], label=arm.name, zorder=2.5)
        if there and not (isnan(low) or isnan(high)):
            axes.vlines(at, low, high, colors=colour[arm.name], lw=1.2)
    axes.set_title(scale.label, fontsize=8, loc="left")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.margins(x=0.12, y=0.1)
    axes.tick_params(labelsize=7)
