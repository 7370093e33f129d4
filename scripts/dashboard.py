"""A wandb workspace for a sweep: python scripts/dashboard.py sweep=NAME project=litconv

With a wandb key it is saved there. Without one, its spec is written beside the comparison and nothing is sent.
"""

import importlib.util
import json
import sys

import hydra
from omegaconf import DictConfig

from litconv.compare.arguments import check
from litconv.config import composed as configuration
from litconv.config.command_line import command_line, guarded
from litconv.errors import ConfigError


@hydra.main(version_base="1.3", config_path=str(configuration.CONF), config_name="dashboard")
@guarded
def main(config: DictConfig) -> None:
    given = check(configuration.raw(config))
    from litconv.compare import analyse, load
    from litconv.compare.dashboard import panels_in, spec, workspace
    from litconv.loggers.wandb import has_key

    runs = load(given.folders)
    result = analyse(runs, given.name, given.question)
    written = spec(result, config.entity, config.project)
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / "dashboard.json"
    path.write_text(json.dumps(written, indent=2))
    what = f"the workspace {written['name']!r} of {panels_in(written)} panels in project {config.project}"
    groups = ", ".join(written["groups"]) or "all runs"
    if not has_key():
        print(
            f"no wandb key (`wandb login`), so nothing was sent; with one this saves {what}, for the runs of {groups}"
        )
    elif importlib.util.find_spec("wandb_workspaces") is None:
        raise ConfigError(
            f"wandb-workspaces is not installed, so {what} was not saved; pip install 'litconv[dashboard]'"
        )
    else:
        print(save(workspace, written))
    print(path)


def save(workspace, written: dict) -> str:
    """The address of the saved workspace."""
    import wandb

    try:
        written["entity"] = written["entity"] or wandb.Api().default_entity
        return workspace(written).save().url
    except (OSError, ValueError, wandb.Error) as error:
        raise ConfigError(f"wandb did not take the workspace: {type(error).__name__}: {error}") from error


if __name__ == "__main__":
    sys.exit(command_line(main, "dashboard"))
