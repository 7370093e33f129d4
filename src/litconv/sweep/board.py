"""What a sweep shows: a line for each job that ends, on a terminal the running ones below, and a table at the end."""

import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litconv.run.state import epochs_done
from litconv.sweep.folders import asking
from litconv.sweep.outcome import NOT_STARTED, Outcome

REDRAW_SECONDS = 1.0
LISTED = 8  # points that are left out, a line each; more stand in one line
ROWS = 200  # of the table at the end
COMPLETED_BEFORE, EQUAL = "completed before in this sweep", "equal to another point of this sweep"
METRICS = ("val/accuracy", "val/miou", "test/accuracy", "test/miou")


@dataclass
class Running:
    name: str
    folder: Path
    epochs: int
    started: float  # monotonic

    def progress(self) -> tuple[int, int]:
        """(epochs done, of)"""
        return min(epochs_done(self.folder), self.epochs), self.epochs


class Board:
    def __init__(self, folder: Path) -> None:
        """`folder`: of the sweep."""
        self.folder = folder
        self.live = sys.stdout.isatty()
        self.height = 0  # of what is to be drawn over
        self.drawn = 0.0
        self.started = time.monotonic()

    def say(self, line: str) -> None:
        """A line that stays."""
        self.clear()
        print(line, flush=True)

    def show(self, outcomes: Sequence[Outcome]) -> None:
        """As a table; of very many those that failed and those that were trained now."""
        shown = sorted(outcomes, key=lambda outcome: (outcome.status == "completed", not outcome.trained))[:ROWS]
        self.say(table(shown))
        if rest := len(outcomes) - len(shown):
            self.say(f"and {rest:,} more: {asking(self.folder)}")

    def say_left_out(self, names_of: Mapping[str, Sequence[str]]) -> None:
        """`names_of`: why points are not trained → their names."""
        for why, names in names_of.items():
            for who in names if len(names) <= LISTED else [f"{len(names):,} points"]:
                self.say(f"{who}: {why}; not trained again")

    def say_refused(self, points_of: Mapping[str, Sequence[str]]) -> None:
        """Of each fault the points that have it: a wrong value on the command line is in all of them."""
        self.clear()
        for fault, points in points_of.items():
            more = f" (and the same at {len(points) - 1} other points)" if len(points) > 1 else ""
            print(f"error: {points[0]}: {fault}{more}", file=sys.stderr)

    def clear(self) -> None:
        if self.height:
            print(f"\x1b[{self.height}A\x1b[J", end="")
            self.height = 0
        self.drawn = 0.0

    def ended(self, outcome: Outcome, done: int, total: int) -> None:
        what = outcome.error or figure(outcome.summary)
        parts = (f"[{done}/{total}]", outcome.status, outcome.name, f"{outcome.seconds:.1f} s", what)
        self.say("  ".join(part for part in parts if part))

    def draw(self, running: list[Running], waiting: int, outcomes: list[Outcome]) -> None:
        """At most once a second, on a terminal only."""
        if not self.live or time.monotonic() - self.drawn < REDRAW_SECONDS:
            return
        self.clear()
        counts = Counter(outcome.status for outcome in outcomes if outcome.status != NOT_STARTED)
        ended = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
        head = ", ".join(filter(None, (f"sweep {self.folder.name}: {len(running)} running, {waiting} waiting", ended)))
        lines = [head + self.left(running, waiting, outcomes)]
        for job in running:
            done, epochs = job.progress()
            lines.append(f"  {job.name}  epoch {done}/{epochs}  {time.monotonic() - job.started:.0f} s")
        width, height = shutil.get_terminal_size()
        lines = lines[: max(1, height - 2)]
        print("\n".join(line[: width - 1] for line in lines), flush=True)
        self.height, self.drawn = len(lines), time.monotonic()

    def left(self, running: list[Running], waiting: int, outcomes: list[Outcome]) -> str:
        """By the epochs done so far in this launch, those of running jobs included."""
        done = sum(outcome.trained for outcome in outcomes)
        done += sum(epochs / of for epochs, of in (job.progress() for job in running))
        to_do = len(running) + waiting + sum(outcome.trained for outcome in outcomes) - done
        if not done:
            return ""
        return f"; about {duration(to_do * (time.monotonic() - self.started) / done)} left"


def figure(summary: Mapping[str, Any]) -> str:
    """The first of METRICS that it has, with its name; else nothing."""
    return next((f"{key} {summary[key]:.4f}" for key in METRICS if summary.get(key) is not None), "")


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def table(outcomes: Sequence[Outcome]) -> str:
    """Equal points of a sweep stand in it once."""
    metrics = [key for key in METRICS if any(outcome.summary.get(key) is not None for outcome in outcomes)]
    told: set[str] = set()  # errors that stand in a row above
    rows = [["status", "name", *metrics, "MACs", "seconds", "error"]]
    for outcome in sorted(outcomes, key=lambda outcome: outcome.number):
        figures = [f"{value:.4f}" if (value := outcome.summary.get(key)) is not None else "" for key in metrics]
        macs = f"{outcome.summary['cost/macs']:,}" if "cost/macs" in outcome.summary else ""
        seconds = f"{outcome.seconds:.1f}" if outcome.trained else "before" if outcome.summary else ""
        said = "the same" if outcome.error in told else outcome.error or "; ".join(outcome.summary.get("warnings", []))
        rows.append([outcome.status, outcome.name, *figures, macs, seconds, said])
        told |= {outcome.error} - {""}
    columns = [column for column in zip(*rows, strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in columns]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in zip(*columns, strict=True))
