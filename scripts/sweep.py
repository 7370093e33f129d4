"""How a sweep is doing: python scripts/sweep.py sweep=NAME

Says of each point whether it is done, runs, waits, was interrupted, failed or was refused, whatever launches it, and prints the
command that trains what is missing. Without sweep= it lists the sweeps. The exit status is 0 where all points are done, 3 while
something is under way, and 1 otherwise.
"""

import sys

import hydra
from omegaconf import DictConfig

from litconv.cluster.status.arguments import check
from litconv.config import composed as configuration
from litconv.config.command_line import command_line, guarded
from litconv.config.printing import reader_may_leave


@hydra.main(version_base="1.3", config_path=str(configuration.CONF), config_name="sweep")
@guarded
def main(arguments: DictConfig) -> None:
    asked = check(configuration.raw(arguments))
    from litconv.cluster.status.as_json import as_json
    from litconv.cluster.status.cancelling import cancel
    from litconv.cluster.status.listing import listed
    from litconv.cluster.status.screen import standard_output
    from litconv.cluster.status.survey import survey
    from litconv.cluster.status.text import text
    from litconv.cluster.status.watching import watch

    if asked.sweep is None:
        with reader_may_leave():
            print(listed(asked.root, asked.json))
        return
    if asked.cancel:
        cancelled = cancel(survey(asked.sweep))
        print("\n".join(cancelled.said), flush=True)
        if not asked.watch:
            sys.exit(1 if cancelled.left else 0)
    if asked.watch:
        sys.exit(watch(asked.sweep).exit_status)
    looked = survey(asked.sweep)
    with reader_may_leave():
        print(as_json(looked) if asked.json else text(looked, standard_output()))
    sys.exit(looked.exit_status)


if __name__ == "__main__":
    sys.exit(command_line(main, "sweep"))
