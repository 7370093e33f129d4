"""What a claim's yaml may hold: hypotheses of two sorts."""

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

import pandas as pd

from litconv.claims.finding import Finding
from litconv.compare.inference.statistics import Rule

Say = Callable[[str], None]


@runtime_checkable
class Computed(Protocol):
    """Found out without training."""

    says: str

    def find(self, say: Say) -> Finding: ...


@runtime_checkable
class Trained(Protocol):
    """Judged by runs."""

    says: str
    grounds: Mapping[str, str]  # ground → overrides of the runs there, besides the ground's own

    @property
    def arms(self) -> Mapping[str, str]:
        """Label → overrides."""

    def judge(self, runs: Mapping[str, pd.DataFrame], rule: Rule, ground: str) -> Finding:
        """By the completed runs of each arm, one row a seed."""
