"""Figures, each as PNG, SVG and PDF: Pareto plots, learning curves, the rankings by each cost, IoU or F1 by class."""

from collections.abc import Callable, Mapping
from math import isnan
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from litconv.compare.classes import ByClass, by_class
from litconv.compare.curves import Curve
from litconv.compare.deployed.figure import small_multiples
from litconv.compare.deployed.scales import batches, latency_key, places
from litconv.compare.drawing.pareto import LABELLED, pareto
from litconv.compare.drawing.style import colours
from litconv.compare.metric import cost_of
from litconv.compare.ranking import ranks
from litconv.compare.result import Result
from litconv.compare.tuning.figure import tuning_curves
from litconv.compare.tuning.view import is_curve
from litconv.cost.deployed_keys import place_of

DRAWN = 12  # arms in learning curves
MEASURED = (
    "deployed_latency",
    "rankings",
    "iou_by_class",
    "f1_by_class",
)  # their margins hold names; to measure these takes most of a figure's time
STYLE = {
    "svg.fonttype": "none",  # text stays text
    "pdf.fonttype": 42,  # TrueType, which publishers take and editors edit; not Type 3
    "svg.hashsalt": "litconv",  # equal figures are equal files
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
}


def write_figures(result: Result, folder: Path) -> list[str]:
    """The names of the figures that were drawn; what the runs do not hold is not."""
    drawn: dict[str, Callable[[Figure], None]] = {}
    deployed = [latency_key(result, place) for place in places(result)]
    for key in (*result.budget_keys, *filter(None, deployed)):
        name = key.removeprefix("deploy/").replace("/", "_") if place_of(key) else key.rpartition("/")[2]
        drawn[f"pareto_{name}"] = lambda figure, key=key: pareto(result, key, figure.subplots())
    if curves := result.curves.get(result.validation.key):
        drawn["learning_curves"] = lambda figure: learning_curves(result, curves, figure.subplots())
    if result.tuning and is_curve(result.tuning):
        name = f"tuning_{result.tuning.keys[0].replace('.', '_')}"
        drawn[name] = lambda figure: tuning_curves(result, figure.subplots())
    if len(result.arms) > 1 and result.budget_keys:
        drawn["rankings"] = lambda figure: rankings(result, figure.subplots())
    if len(result.arms) > 1 and batches(result):
        drawn["deployed_latency"] = lambda figure: small_multiples(result, figure)
    for figures in by_class(result)[:1]:
        drawn[f"{figures.kind}_by_class"] = lambda figure, figures=figures: class_heat(
            result, figures, figure.subplots()
        )
    with rc_context(STYLE):
        for name, draw in drawn.items():
            figure = Figure(figsize=(6.8, 4.6), dpi=120, layout="constrained" if name in MEASURED else None)
            if name not in MEASURED:
                figure.subplots_adjust(left=0.1, bottom=0.11, right=0.97, top=0.94)
            draw(figure)
            figure.savefig(folder / f"{name}.png")
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
            figure.savefig(folder / f"{name}.pdf", metadata={"CreationDate": None})
    return list(drawn)


def learning_curves(result: Result, curves: Mapping[str, Curve], axes: Axes) -> None:
    """The validation metric by epoch: mean over the seeds, the band from the lowest to the highest."""
    colour = colours(result.arms, result.baselines)
    drawn = [arm for arm in result.arms if arm.name in curves]
    kept = [arm for i, arm in enumerate(drawn) if i < DRAWN or arm in result.baselines]
    for arm in kept:
        curve = curves[arm.name]
        epochs = [epoch + 1 for epoch in curve.epochs]
        axes.plot(
            epochs, curve.mean, color=colour[arm.name], lw=1.6, label=arm.name, marker="." if len(epochs) < 3 else ""
        )
        axes.fill_between(epochs, curve.low, curve.high, color=colour[arm.name], alpha=0.15, lw=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel(result.validation.label)
    left_out = f"; {len(kept)} of {len(drawn)} arms" if len(kept) < len(drawn) else ""
    axes.set_title(f"mean over the seeds; band: lowest to highest{left_out}", fontsize=8, loc="left")
    axes.legend(fontsize=7, frameon=False, ncols=1 + len(kept) // 8)


def rankings(result: Result, axes: Axes) -> None:
    """The arms' places by score and by each cost, side by side: lines that cross are orders that disagree."""
    colour = colours(result.arms, result.baselines)
    kept = [arm for i, arm in enumerate(result.arms) if i < LABELLED or arm in result.baselines]
    columns = [ranks(kept, result.metric, key) for key in (None, *result.budget_keys)]
    headings = [result.metric.label, *(cost_of(key).heading for key in result.budget_keys)]
    for arm in kept:
        at = [(x, place[arm.name]) for x, place in enumerate(columns) if arm.name in place]
        axes.plot(*zip(*at, strict=True), color=colour[arm.name], marker="o", ms=5, lw=1.6)
        axes.text(at[0][0] - 0.08, at[0][1], arm.name, ha="right", va="center", fontsize=8, color=colour[arm.name])
    axes.invert_yaxis()
    axes.set_xticks(range(len(columns)), headings, fontsize=8)
    axes.xaxis.tick_top()
    axes.set_yticks([])
    axes.grid(False)
    axes.spines[:].set_visible(False)
    left_out = f"; {len(kept)} of {len(result.arms)} arms" if len(kept) < len(result.arms) else ""
    first = "the best score" if result.metric.directed else "the most"
    axes.set_title(f"first: {first}, the least cost{left_out}", fontsize=8, loc="left", y=-0.08)


def class_heat(result: Result, figures: ByClass, axes: Axes) -> None:
    """Means over the seeds, arm by class."""
    classes, arms = figures.classes, result.arms[:LABELLED]
    values = np.array([figures.means[arm.name] for arm in arms])
    axes.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(classes)), classes, rotation=40 if len(classes) <= 25 else 90, ha="right")
    axes.set_yticks(range(len(arms)), [arm.name for arm in arms])
    axes.set_title(f"{figures.label} by class, mean over the seeds", fontsize=8, loc="left")
    axes.grid(False)
    if len(classes) <= 25:
        for (row, column), value in np.ndenumerate(values):
            if not isnan(value):
                ink = "white" if value > 0.55 else "black"
                axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=ink)
    else:
        axes.tick_params(axis="x", labelsize=6)
        axes.get_figure().set_figwidth(0.11 * len(classes) + 2)
