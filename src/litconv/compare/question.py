"""What is asked of a table of runs: which of them, held against what, and how claims are made."""

from collections.abc import Sequence
from dataclasses import dataclass

MARGIN = 1.0  # points
TESTS = ("student", "exact")
FEWEST_SEEDS = 3  # with which anything is claimed


@dataclass(frozen=True)
class Question:
    reference: str | None = None  # an arm, or a choice such as `standard`; None: `standard`, or else the costliest
    metric: str | None = None  # None: the test metric of the task
    mix: bool = False  # whether unlike runs are compared all the same
    where: Sequence[str] = ()  # conditions such as `epochs=2`, of the runs that are compared
    best_of: str | Sequence[str] | None = (
        "auto"  # keys of which each arm stands at its best value; "auto": as the sweep was tuned
    )
    test: str = "student"  # or `exact`
    margin: float | None = MARGIN  # in points of a metric that is a fraction, else in its own unit; None: not asked
    seeds: int | None = None  # how many were planned, where no plan stands


USUAL = Question()
