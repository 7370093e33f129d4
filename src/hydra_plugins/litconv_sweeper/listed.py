"""hydra/sweeper=listed: the points of a file, a line of overrides each, at every value that the command line sweeps."""

import shlex
from itertools import product
from pathlib import Path
from typing import Any

from hydra_plugins.litconv_sweeper.grid import GridSweeper, finished

# litconv is imported late: Hydra imports this file for every command.


class ListedSweeper(GridSweeper):
    """`file`: a line a point, its overrides as a shell would split them; empty lines and those that begin with # are none.
    What the command line says wins over a line. `records`: whether multirun.yaml is left, as every sweep leaves it; a part
    of a sweep that is trained elsewhere does not."""

    def __init__(self, file: str, records: bool = True) -> None:
        super().__init__(best_of=None, tuning_seeds=0)
        self.file, self.records = Path(file), records

    def sweep(self, arguments: list[str]) -> Any:
        given = self.axes(arguments)
        lines = self.lines()
        points = []
        for values in product(*given.values()):
            for line in lines:
                own = {key: overrides for key, overrides in self.axes(line).items() if key not in given}
                points += [[*listed, *values] for listed in product(*own.values())]
        if self.records:
            self.record()
        return [finished(returned) for returned in self.launch(points)]

    def lines(self) -> list[list[str]]:
        from litconv.config.spelling import as_hydra_reads
        from litconv.errors import ConfigError

        try:
            written = self.file.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"hydra.sweeper.file={self.file} cannot be read: {error}") from error
        lines = [[*map(as_hydra_reads, shlex.split(line, comments=True))] for line in written]
        lines = [line for line in lines if line]
        if not lines:
            raise ConfigError(f"hydra.sweeper.file={self.file} has no points; write a line of overrides for each")
        return lines
