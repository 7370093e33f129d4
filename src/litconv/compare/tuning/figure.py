"""The metric over the tuned key, an arm a line; the chosen value is marked."""

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from litconv.compare.drawing.style import colours
from litconv.compare.result import Result
from litconv.compare.tuning.view import curve, is_log
from litconv.sweep.choice import written


def tuning_curves(result: Result, axes: Axes) -> None:
    tuning, colour = result.tuning, colours(result.arms, result.baselines)
    tried = set()
    for arm in result.arms:
        line, ink = curve(tuning, arm), colour[arm.name]
        tried.update(line.x)
        axes.fill_between(line.x, line.low, line.high, color=ink, alpha=0.13, lw=0)
        axes.plot(line.x, line.mean, "o-", color=ink, lw=1.6, ms=3.5, label=arm.name)
        axes.plot(line.x[line.chosen], line.mean[line.chosen], "o", color=ink, ms=10, mfc="none", mew=1.8)
    if is_log(tuning):
        axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(sorted(tried)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: written(value)))
    axes.set_xlabel(f"{tuning.keys[0]}{', log scale' if is_log(tuning) else ''}")
    axes.set_ylabel(tuning.metric.label)
    axes.set_title(f"mean, lowest to highest of {len(tuning.seeds)} seeds; circles: chosen", fontsize=8, loc="left")
    axes.legend(frameon=False, fontsize=8)
