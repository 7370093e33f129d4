"""hydra/sweeper=grid: every point of a grid, as Hydra's own sweeper; with `best_of` in two stages (`litconv.sweep.tuning`)."""

from collections.abc import Iterator, Sequence
from itertools import islice, product
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

# litconv is imported late: Hydra imports this file for every command.


class GridSweeper(Sweeper):
    """`params`: what a recipe sweeps, unless the command line says otherwise. `max_batch_size`: points that are launched
    at a time, None for all."""

    def __init__(
        self,
        best_of: Any,
        tuning_seeds: int,
        params: dict[str, str] | None = None,
        max_batch_size: int | None = None,
    ) -> None:
        self.best_of, self.tuning_seeds = best_of, tuning_seeds
        self.params, self.max_batch_size = params or {}, max_batch_size
        self.launched = 0

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        axes = self.axes([*(f"{key}={values}" for key, values in self.params.items()), *arguments])
        points = [list(point) for point in product(*axes.values())]
        if self.best_of is None and len(axes.get("best_of", ())) < 2:
            self.record()
            return [finished(returned) for returned in self.launch(points)]
        return self.two_stages(axes, points)

    def two_stages(self, axes: dict[str, list[str]], points: list[list[str]]) -> Any:
        from litconv.errors import JobError
        from litconv.sweep.memory import Memory
        from litconv.sweep.tuned_grid import Grid, key_of, refuse_swept
        from litconv.sweep.tuning import Tuned

        by_key = {key_of(key): overrides for key, overrides in axes.items()}
        refuse_swept(by_key.get("best_of", ()))
        grid = Grid.of(self.best_of, self.tuning_seeds, by_key, points)
        grid.check(self.config, by_key)
        grid.check_arms(self.compose, Memory.of(self.config).name_of)
        self.record()
        Tuned(grid, {}).write(self.folder)  # a comparison of what there is so far knows that it is tuned
        print(grid.plan(), flush=True)
        trials = [grid.overrides(arm, value, f"seed={seed}") for arm, value, seed in grid.trials()]
        tried = list(self.launch(trials))
        # Not by class: Hydra executes the files of plugins twice, and a class of the first time is not that of the second.
        if any(getattr(one, "is_under_way", False) for returned in tried for one in returned):
            print(
                "the trials are submitted; when they have ended, the same command chooses and hands over the runs that test"
            )
            return tried
        tuned = Tuned.of(grid, [result(one) for returned in tried for one in returned])
        tuned.write(self.folder)
        print("\n".join(tuned.lines()), flush=True)
        returns = [finished(returned) for returned in self.launch(grid.final(tuned.chosen))]
        if tuned.without:
            raise JobError(f"every trial failed of {', '.join(tuned.without)}, so that nothing could be tested of it")
        return returns

    def axes(self, overrides: list[str]) -> dict[str, list[str]]:
        """Key, with its plus if it has one → an override for each of its values; of two that give a key the later counts."""
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        axes = {}
        for override in parser.parse_overrides(overrides):
            key = override.get_key_element()
            if not override.is_sweep_override():
                axes[key] = [f"{key}={override.get_value_element_as_str()}"]
            elif override.is_discrete_sweep():
                axes[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
            else:
                raise HydraException(
                    f"{override.input_line}: an interval has no points to go through one by one; give values, as in 1,2,4, "
                    "or search it with hydra/sweeper=optuna"
                )
        return axes

    @property
    def folder(self) -> Path:
        return Path(str(self.config.hydra.sweep.dir))

    def record(self) -> None:
        """multirun.yaml, as Hydra's own sweeper leaves it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, self.folder / "multirun.yaml")

    def launch(self, points: Sequence[list[str]]) -> Iterator[Sequence[JobReturn]]:
        """In batches. Each point of one is composed before any is trained, by the launcher or to be recorded, so that it is
        not composed once more to be found legal."""
        waiting = iter(points)
        while batch := list(islice(waiting, self.max_batch_size)):
            first, self.launched = self.launched, self.launched + len(batch)
            self.record_points(batch, first)
            yield self.launcher.launch(batch, initial_job_idx=first)

    def record_points(self, batch: list[list[str]], first: int) -> None:
        """points.jsonl, for a launcher that does not leave it."""
        if getattr(self.launcher, "records_points", False):
            return
        from litconv.sweep.composing import points_of
        from litconv.sweep.points import add, planned

        add(self.folder, map(planned, points_of(self.config, self.hydra_context, batch, first)))

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        return self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))


def finished(returned: Sequence[JobReturn]) -> Sequence[JobReturn]:
    """The same, if none of them failed."""
    for one in returned:
        _ = one.return_value  # raises what stopped it
    return returned


def result(returned: JobReturn) -> tuple[float, float] | None:
    """What a search goes by; None of a trial that failed."""
    from litconv.errors import JobError

    try:
        score = returned.return_value
    except JobError:
        return None
    if score is None:
        raise JobError("another launch of this sweep has one of its trials; give the same command when that has ended")
    return score
