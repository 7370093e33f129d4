"""From runs to a verdict: collect, statistics, Pareto fronts, tables, figures, a page.

>>> import litconv.compare
>>> runs = litconv.compare.load("outputs/sweeps/operators")  # a pandas.DataFrame
>>> litconv.compare.analyse(runs, "operators").comparisons["grouped"].p_holm
"""

from litconv.compare.load import load
from litconv.compare.result import Result, analyse

__all__ = ["Result", "analyse", "load"]
