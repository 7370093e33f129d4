"""A sweep that is trained elsewhere: what of it is to be trained is handed over in tasks, and then waited for, or not.

It imports no torch: it runs on a login node. What only a model knows is therefore found on the nodes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from litconv.cluster import batch as batches
from litconv.cluster.batch import Batch
from litconv.cluster.handing_over import HandingOver, said
from litconv.cluster.options import TaskOptions
from litconv.cluster.protocol import Cluster
from litconv.cluster.slurm import SlurmError
from litconv.cluster.waiting import Awaited, take_over, wait_for
from litconv.errors import ConfigError
from litconv.run import state
from litconv.sweep import points
from litconv.sweep.board import Board
from litconv.sweep.folders import asking
from litconv.sweep.memory import Memory
from litconv.sweep.outcome import NOT_STARTED, SUBMITTED, Outcome, mark
from litconv.sweep.points import SweepPoint
from litconv.sweep.running import Point


@dataclass
class Session:
    """All launches of one command, as `sweep.session` has them for this machine."""

    folder: Path  # of the sweep
    cluster: Cluster
    options: TaskOptions
    waits: bool
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    handed_over: list[Batch] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder = self.folder.resolve()
        self.board = Board(self.folder)

    @property
    def rerun(self) -> str:
        return self.options.rerun

    def launch(self, given: Sequence[Point], memory: Memory) -> list[Outcome]:
        """An outcome for each point; equal points share theirs. Without waiting it is `submitted` for those under way."""
        self.cluster.check()
        planned = [points.planned(point) for point in given]
        points.add(self.folder, planned)
        memory.add(planned)
        self.say_refused(planned)
        with batches.one_launch_at_a_time(self.folder):
            new, awaited = self.sorted_out(planned)
            batch_list = self.hand_over(planned, given, list(new))
        for batch in batch_list:
            self.board.say(said(batch))
            in_it = [point for point in new if point.name in batch.number_of]
            awaited += [Awaited(self.outcomes[p.key], self.folder / p.name, batch, new[p]) for p in in_it]
        self.handed_over += batch_list
        if self.waits:
            self.wait(awaited)
        else:
            self.leave(awaited)
        return [self.outcomes[point.key] for point in planned]

    def hand_over(
        self, planned: Sequence[SweepPoint], given: Sequence[Point], new: Sequence[SweepPoint]
    ) -> list[Batch]:
        handing = HandingOver(self.folder, self.cluster, self.options)
        try:
            named = [(point, one.config) for point, one in zip(planned, given, strict=True) if point.name]
            shapes = {point.name: handing.shape(config) for point, config in named}
            with self.cluster.undisturbed():
                return handing.in_batches(new, shapes)
        except Exception:
            self.outcomes.clear()  # the error says it all
            raise

    def sorted_out(self, planned: Sequence[SweepPoint]) -> tuple[dict[SweepPoint, tuple[int, int]], list[Awaited]]:
        """(those to be handed over, with the mark of the summary that stands there; those in tasks that are under way)"""
        under_way, new, awaited = self.under_way(), {}, []
        left_out: dict[str, list[str]] = {}
        for point in planned:
            if point.key in self.outcomes:
                continue
            run = self.folder / point.name
            before = mark(run)
            self.outcomes[point.key] = outcome = Outcome(point.number, point.key, NOT_STARTED)
            if point.error:
                outcome.status, outcome.error = "refused", point.error
            elif point.name in under_way:
                awaited.append(Awaited(outcome, run, under_way[point.name], before))
            elif state.is_wanted(state.status(run), self.rerun):
                new[point] = before
            else:
                take_over(outcome, run)
                left_out.setdefault(f"{outcome.status} before in this sweep", []).append(point.name)
        self.board.say_left_out(left_out)
        if awaited:
            count = len(awaited)
            self.board.say(f"{count} points are in tasks that were submitted before; they are not submitted again")
        return new, awaited

    def under_way(self) -> dict[str, Batch]:
        """Points in tasks of earlier launches that still wait or run: name → batch."""
        found = {}
        for batch in batches.batches(self.folder):
            if batch.launcher == self.cluster.launcher and batch not in self.handed_over:
                try:
                    live = self.cluster.tasks(batch)
                except SlurmError as error:
                    raise ConfigError(
                        f"hydra/launcher={batch.launcher}: no answer ({error}), so which points are under way is not known; "
                        "give the command again when it answers"
                    ) from None
                for task in live:
                    found |= dict.fromkeys(batch.tasks[task], batch)
        return found

    def say_refused(self, planned: Sequence[SweepPoint]) -> None:
        faults: dict[str, list[str]] = {}
        for point in planned:
            if point.error and point.key not in self.outcomes:
                faults.setdefault(point.error, []).append(point.key)
        self.board.say_refused(faults)

    def wait(self, awaited: list[Awaited]) -> None:
        try:
            wait_for(awaited, self.cluster, self.board)
        except KeyboardInterrupt:
            self.board.say("the tasks go on without this command")
            self.leave(awaited)
            raise

    def leave(self, awaited: Sequence[Awaited]) -> None:
        for point in awaited:
            point.outcome.status = SUBMITTED
        if awaited:
            self.board.say(f"{asking(self.folder)} shows how they are; cancel=true beside it cancels them")

    def show_table(self) -> int:
        """Of all points; returns how many of them failed."""
        outcomes = list(self.outcomes.values())
        if outcomes and self.waits:
            self.board.show(outcomes)
        return sum(outcome.status not in ("completed", SUBMITTED) for outcome in outcomes)
