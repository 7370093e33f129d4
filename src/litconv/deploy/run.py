"""One run where it is deployed: the files of its best checkpoint, its metric by them, what they cost."""

from collections.abc import Mapping
from pathlib import Path

from omegaconf import DictConfig

from litconv.cost.deployed_keys import FEWEST_CALIBRATION_IMAGES as FEWEST
from litconv.data.module import DataModule
from litconv.deploy.record import Conditions, Record, with_costs
from litconv.deploy.scoring import scores
from litconv.errors import DataError
from litconv.prepare.deployed import Bench
from litconv.runtimes.int8 import Calibration
from litconv.tasks.base import Task


def deployed(
    bench: Bench,
    config: DictConfig,
    task: Task,
    data: DataModule,
    name: str,
    checkpoint: Path,
    measured: Mapping[str, float] | None = None,
    measured_on: str = "",
) -> Record:
    """`config`: as it was asked for, before `match=` found a width. `task` has the weights of `checkpoint`. `measured`: costs of
    another seed of the arm, the run `measured_on`; None: they are measured."""
    deploying, problem = bench.deploying, data.problem
    calibration = calibration_of(bench, data) if deploying.needs_calibration else None
    files = bench.files(task.model, problem, calibration)
    found, disturbed = scores(task, data, files), []
    if measured is None:
        costs, disturbed = bench.costs(files, bench.reference(config, problem, calibration), problem)
        found = costs | found
    else:
        found |= {place.key("file_mb"): files.size_of(place) / 2**20 for place in deploying.places}
    record = Record(
        Conditions.of(deploying, checkpoint),
        found,
        name,
        data.test_split,
        None if calibration is None else len(calibration.images),
        files.quantised.facts() if files.quantised else {},
        disturbed,
    )
    return record if measured is None else with_costs(record, measured, measured_on)


def calibration_of(bench: Bench, data: DataModule) -> Calibration:
    images = data.training_images(bench.deploying.images).numpy()
    if len(images) < FEWEST:
        raise DataError(
            f"the training split has {len(images)} images, too few to calibrate int8 by ({FEWEST} at least); measure "
            "float32 alone: precision=float32, of train.py and scripts/cost.py deploy.precision=float32"
        )
    return Calibration(images, bench.deploying.method)
