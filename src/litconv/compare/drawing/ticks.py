"""The ticks of a log axis."""

from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from litconv.compare.metric import short


def log_ticks(axis: Axis) -> None:
    """2 M, 5 M, 10 M in place of powers of ten; more of them where the costs are near each other, fewer where they are far."""
    low, high = axis.get_view_interval()
    near, far = high <= 5 * low, high > 200 * low
    axis.set_major_locator(LogLocator(subs=(1, 1.2, 1.5, 2, 3, 4, 5, 6, 8) if near else (1,) if far else (1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axis.set_minor_formatter(NullFormatter())
