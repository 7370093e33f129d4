"""What the loggers' own libraries read of a run's folder."""

import csv
import os
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it would ask a server at its import

from mlflow import MlflowClient
from mlflow.entities import Run
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def only_run(folder: Path) -> Path:
    (run,) = (folder / "runs").iterdir()
    return run


def events(run: Path) -> EventAccumulator:
    """What TensorBoard itself reads of a run."""
    reader = EventAccumulator(str(run / "tensorboard"))
    reader.Reload()
    return reader


def stored(run: Path) -> tuple[MlflowClient, Run]:
    """MLflow's own client on a run's store, and the only run there."""
    client = MlflowClient(f"sqlite:///{run / 'mlflow' / 'mlflow.db'}")
    (kept,) = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    return client, kept


def column(run: Path, key: str) -> list[float]:
    with (run / "metrics.csv").open() as file:
        return [float(row[key]) for row in csv.DictReader(file)]
