"""Points become tasks of a batch, and the cluster gets them."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig

from litconv.cluster import batch as batches
from litconv.cluster.batch import Batch
from litconv.cluster.options import TaskOptions
from litconv.cluster.protocol import Cluster
from litconv.config.places import commands
from litconv.errors import ConfigError
from litconv.sweep.points import SweepPoint, of_its_run


class Shape(NamedTuple):
    """Of the task that trains a point: its nodes, and the processes on each that srun starts."""

    nodes: int = 1
    per_node: int = 1


@dataclass(frozen=True)
class HandingOver:
    sweep: Path
    cluster: Cluster
    options: TaskOptions

    def shape(self, config: DictConfig) -> Shape:
        nodes, devices = config.trainer.get("num_nodes", 1), config.trainer.get("devices")
        if nodes == 1:  # its processes, if it has several, it starts itself
            return Shape()
        if not self.cluster.spans_nodes:
            raise ConfigError(
                f"trainer.num_nodes={nodes} with hydra/launcher={self.cluster.launcher}: a run on several nodes is started by "
                "srun; use hydra/launcher=slurm"
            )
        if not isinstance(devices, int) or devices < 1:
            raise ConfigError(
                f"trainer.devices={devices} with trainer.num_nodes={nodes}: Slurm is told how many processes a node gets; "
                "set trainer.devices to that number"
            )
        return Shape(nodes, devices)

    def in_batches(self, points: Sequence[SweepPoint], shapes: Mapping[str, Shape]) -> list[Batch]:
        """One for each shape of a task; `shapes`: by the point's name."""
        return [
            self.one_batch([point for point in points if shapes[point.name] == shape], shape)
            for shape in dict.fromkeys(shapes[point.name] for point in points)
        ]

    def one_batch(self, points: Sequence[SweepPoint], shape: Shape) -> Batch:
        by_name = {point.name: point for point in points}
        is_alone = shape.nodes == 1
        tasks = batches.chunks(list(by_name), self.cluster.points_per_task if is_alone else 1)
        batch = Batch(
            batches.new_folder(self.sweep),
            launcher=self.cluster.launcher,
            script=[sys.executable, str(commands()["train"])],
            options=self.options.command_line if is_alone else self.options.of_one_run(),
            tasks=tasks,
            nodes=shape.nodes,
            per_node=shape.per_node,
            restarts_rerun="failed" if self.options.rerun == "all" else self.options.rerun,
        )
        batch.write_points([[of_its_run(by_name[name].overrides) for name in names] for names in tasks])
        batch.write()  # before it is submitted: a task may begin at once
        try:
            batch.job = self.cluster.submit(batch)
        except Exception:
            (batch.folder / "batch.json").unlink()
            raise
        batch.write()
        return batch


def said(batch: Batch) -> str:
    """A line on what was submitted."""
    most = len(batch.tasks[0])
    points = f"{most} points" if most > 1 else "a point"
    if len(batch.tasks) == 1:
        tasks = f"one task of {points}"
    else:
        tasks = f"{len(batch.tasks)} tasks of {'up to ' * (most > 1)}{points} each"
    return f"submitted: job {batch.job}, {tasks}; what they print is in {batch.folder}"
