"""Finished runs, one after the other: each where it is deployed, into its deployed.json. What is measured already is passed by.

Seeds of an arm have networks of one shape, so that latencies and memory are measured on the first one's and stand for all;
the metric is every run's own. A run's file is written as soon as it is known: whatever ends this, the same command goes on.
"""

import json
import logging
import sys
import time
from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from litconv import build
from litconv.config.messages import one_line
from litconv.data.module import DataModule
from litconv.deploy import record
from litconv.deploy.as_asked import as_asked
from litconv.deploy.record import Conditions
from litconv.deploy.run import deployed
from litconv.deploy.runs import Run, arms_of
from litconv.errors import ConfigError, DataError, TrainingError
from litconv.prepare.deployed import Bench, Deploying
from litconv.run import state
from litconv.run.checkpoints import load_into, read
from litconv.run.data_again import read_again

log = logging.getLogger(__name__)


class Session:
    def __init__(self, runs: Sequence[Run], deploying: Deploying, again: bool, data_root: str | None) -> None:
        self.runs, self.deploying, self.again, self.data_root = runs, deploying, again, data_root
        self.sets: dict[str, DataModule] = {}
        self.done = 0
        self.measured: list[Run] = []  # in this session, or before with the same settings
        self.failed: list[str] = []

    def go_through(self) -> None:
        """A run that cannot be deployed is said, and the others go on; alone, its error is raised."""
        with Bench(self.deploying) as bench:
            for runs in arms_of(self.runs).values():
                costs, measured_on = self.costs_of_arm(runs)
                for run in runs:
                    try:
                        costs, measured_on = self.one(bench, run, costs, measured_on)
                    except (ConfigError, DataError, TrainingError) as error:
                        if len(self.runs) == 1:
                            raise
                        self.say(run, f"error: {one_line(error)}", stream=sys.stderr)
                        self.failed.append(run.name)

    def one(self, bench: Bench, run: Run, costs: dict | None, measured_on: str) -> tuple[dict | None, str]:
        """Returns the costs that stand for the arm's other seeds, and whose they are."""
        finished = run.finished
        conditions = Conditions.of(self.deploying, finished.checkpoint)
        written = record.read(run.folder)
        if not self.again and is_measured(written, conditions, self.deploying):
            self.measured.append(run)
            self.say(run, "measured before with the same settings")
            return costs, measured_on
        started = time.monotonic()
        with state.lock(run.folder.resolve()):
            weights = read(finished.checkpoint)
            data = self.data_of(finished.config)
            task = build.task(finished.config, data)
            load_into(task, weights, finished.checkpoint)
            config = as_asked(finished.config, run.summary.get("overrides", []))
            made = deployed(bench, config, task, data, run.name, finished.checkpoint, costs, measured_on)
            made.write(run.folder)
        self.measured.append(run)
        self.say(run, f"{self.told(made.figures, task.monitor)}  {time.monotonic() - started:.0f} s")
        if costs is not None:
            return costs, measured_on
        return {key: value for key, value in made.figures.items() if record.is_cost(key)}, run.name

    def costs_of_arm(self, runs: Sequence[Run]) -> tuple[dict | None, str]:
        """Those that stand in a seed's file already."""
        for run in [] if self.again else runs:
            written = record.read(run.folder)
            try:
                conditions = Conditions.of(self.deploying, run.finished.checkpoint)
            except (ConfigError, OSError):
                continue
            if is_measured(written, conditions, self.deploying):
                costs = [record.costs_in(written["figures"], place) for place in self.deploying.places]
                return {key: value for place in costs for key, value in place.items()}, written["latencies_of"]
        return None, ""

    def data_of(self, config: DictConfig) -> DataModule:
        """Read once for all runs that are about the same; a run's own seed orders its training alone."""
        settings = OmegaConf.to_container(config.data, resolve=True)
        key = json.dumps([{**settings, "seed": None}, config.choices.task], sort_keys=True, default=str)
        if key not in self.sets:
            self.sets = {key: read_again(config, self.data_root)}
        return self.sets[key]

    def told(self, figures: dict[str, float], monitor: str) -> str:
        """The metric in each place."""
        name = monitor.rpartition("/")[2]
        return ", ".join(
            f"{place.label} {figures[key]:.4f}"
            for place in self.deploying.places
            if (key := place.key(name)) in figures
        )

    def say(self, run: Run, what: str, stream: object = None) -> None:
        self.done += 1
        print(f"[{self.done}/{len(self.runs)}] {run.name}  {what}", file=stream, flush=True)


def is_measured(written: dict, conditions: Conditions, deploying: Deploying) -> bool:
    return conditions.holds(written) and record.is_complete(written["figures"], deploying.places)
