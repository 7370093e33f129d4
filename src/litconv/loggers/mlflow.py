"""MLflow: a local store in the run's `mlflow/`, through Lightning's MLFlowLogger; nothing goes over a network.

`mlflow ui --backend-store-uri sqlite:///…/mlflow/mlflow.db` shows it. The configuration is its parameters, the summary's
numbers are metrics, its texts tags. A resumed run goes on in the same MLflow run.
"""

import logging
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from litconv.loggers.kept_ids import keep_id, kept_ids
from litconv.loggers.scalars import scalars

KILLED = (129, 130, 143)  # by a signal


class Mlflow:
    needs = {  # noqa: RUF012 read from the source
        "mlflow": "litconv[mlflow]",
        "sqlalchemy": "litconv[mlflow]",
        "alembic": "litconv[mlflow]",
    }

    def __init__(
        self, folder: Path, *, name: str, group: str, job_type: str, tags: list[str], config: dict[str, Any]
    ) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it would ask a server at its import
        from pytorch_lightning.loggers import MLFlowLogger

        # Each tells that it makes what is not there yet.
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        logging.getLogger("pytorch_lightning.loggers.mlflow").setLevel(logging.ERROR)
        store = (folder / "mlflow").absolute()
        store.mkdir(exist_ok=True)
        address = f"sqlite:///{store / 'mlflow.db'}"  # its store of plain files is refused by MLflow's newer versions
        earlier = kept_ids(folder).get("mlflow")
        self.logger = MLFlowLogger(
            experiment_name=group,
            run_name=name,
            tracking_uri=address,
            tags={"job_type": job_type, **dict.fromkeys(tags, "")},
            artifact_location=(store / "artifacts").as_uri(),
            run_id=earlier,
        )
        self.client, self.run_id = self.logger.experiment, self.logger.run_id
        if earlier is None:  # MLflow refuses to change a parameter, such as where the data lie
            keep_id(folder, "mlflow", self.run_id)
            self.logger.log_hyperparams(allowed_names(config))
        else:
            self.client.update_run(earlier, status="RUNNING")
        self.step = 0

    def steps_held(self) -> set[int]:
        return {point.step for point in self.client.get_metric_history(self.run_id, "epoch")}

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        self.step = step
        self.logger.log_metrics(values, step)

    def table(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """In the form of `mlflow.load_table`."""
        table = {"columns": list(columns), "data": [list(row) for row in rows]}
        self.client.log_dict(self.run_id, table, f"{key}.json")

    def image(self, key: str, image: np.ndarray, caption: str) -> None:
        self.client.log_image(self.run_id, image, f"{key}_step{self.step}.png")
        self.client.log_text(self.run_id, caption, f"{key}_step{self.step}.txt")

    def finish(self, exit_code: int, summary: Mapping[str, Any]) -> None:
        self.logger.log_metrics(scalars(summary), self.step)
        for key, value in {**summary, "exit_code": exit_code}.items():
            if isinstance(value, str) or key == "exit_code":
                self.client.set_tag(self.run_id, key, value)
        self.logger.finalize("FINISHED" if exit_code == 0 else "KILLED" if exit_code in KILLED else "FAILED")


def allowed_names(config: Any) -> Any:
    """With `_` for what MLflow refuses in a parameter's name: conv@conv_stage4."""
    if not isinstance(config, dict):
        return config
    return {re.sub(r"[^\w.: -]", "_", str(key)): allowed_names(value) for key, value in config.items()}
