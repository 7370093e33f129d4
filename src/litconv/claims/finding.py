"""What a hypothesis came to on one ground, and what a claim comes to by its findings."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import nan
from typing import Literal

Word = Literal["supported", "refuted", "cannot tell", "not run"]
COMPUTED = "computed"  # the ground of what needs no data


@dataclass(frozen=True)
class Line:
    """One figure of the evidence; with an interval where it is a measured difference, in the finding's unit."""

    label: str
    text: str
    word: Word
    value: float = nan
    low: float = nan
    high: float = nan


@dataclass(frozen=True)
class Finding:
    says: str  # the hypothesis
    ground: str
    word: Word
    because: str  # one sentence
    lines: list[Line] = field(default_factory=list)
    axis: str = ""  # what the lines' intervals are of; empty where they have none
    origin: float = 0.0  # where on it there is no difference
    commands: list[str] = field(default_factory=list)  # that make what it rests on
    rule: str = ""  # how it was judged


def all_of(words: Iterable[Word]) -> Word:
    """Supported if each is, refuted if one is."""
    return first_of(("refuted", "not run", "cannot tell", "supported"), words)


def any_of(words: Iterable[Word]) -> Word:
    """Supported if one is, refuted if each is."""
    return first_of(("supported", "not run", "cannot tell", "refuted"), words)


def first_of(order: tuple[Word, ...], words: Iterable[Word]) -> Word:
    there = set(words)
    return next((word for word in order if word in there), order[-1])
