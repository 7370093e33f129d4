"""What our launchers share: a session trains the points, and what becomes of them goes to Hydra's sweeper."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from hydra.core.utils import JobReturn, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig

from hydra_plugins.litconv_launcher.returned import Returned

# litconv is imported late: Hydra imports this file for every command.


class OwnLauncher(Launcher):
    records_points = True

    def begin(self, session: Any, config: DictConfig, context: HydraContext) -> None:
        """`session`: a `litconv.sweep.composing.Session`. The last thing that `setup` does."""
        from litconv.config.command_line import at_end_of_sweep
        from litconv.sweep.memory import Memory

        self.session, self.config, self.context, self.memory = session, config, context, Memory.of(config)
        at_end_of_sweep(session.show_table)

    def attended(self) -> AbstractContextManager[None]:
        """Within, signals are the launcher's affair; by default they are the session's."""
        return nullcontext()

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from litconv.sweep.composing import outcomes_of

        setup_globals()
        with self.attended():
            outcomes = outcomes_of(self.session, self.config, self.context, self.memory, job_overrides, initial_job_idx)
        return [Returned(overrides, outcome) for overrides, outcome in zip(job_overrides, outcomes, strict=True)]
