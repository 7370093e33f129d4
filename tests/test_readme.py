"""What the README says can be run as it stands there."""

import re
import shlex
from pathlib import Path

import pytest

from litconv.config import checks
from litconv.config import composed as config
from litconv.prepare.checks import parts
from litconv.run.asked import Asked

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
SWAPPED = README.partition("## What can be swapped")[2].partition("Short names")[0]
BLOCKS = "\n".join(re.findall(r"^```\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL))
COMMANDS = sorted(set(re.findall(r"(?:^|&& )(python train\.py[^\n]*)", BLOCKS, flags=re.MULTILINE)))


def points(command: str) -> list[list[str]]:
    """The overrides of each run that a command starts, refusals left out."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser

    everything = ",".join(sorted(p.stem for p in (ROOT / "conf" / "conv").glob("*.yaml")))
    words = [w.replace("glob(*)", everything) for w in shlex.split(command, comments=True)[2:]]
    overrides = OverridesParser.create().parse_overrides([w for w in words if w != "-m"])
    return [list(point) for batch in BasicSweeper.split_arguments(overrides, None) for point in batch]


def test_the_two_commands_that_the_project_promises_are_there():
    assert "pip install -e . && python train.py conv=grouped groups=4" in BLOCKS
    assert "pip install -e '.[dev]' && pytest" in BLOCKS


@pytest.mark.parametrize("command", [c for c in COMMANDS if f"$ {c}" not in BLOCKS])
def test_every_training_command_is_accepted_and_builds(command):
    found = points(command)
    assert found
    arms = {tuple(o for o in overrides if not o.startswith("seed=")): overrides for overrides in found}
    for overrides in arms.values():
        composed = config.compose(overrides)
        checks.check(composed)
        if not any(o.startswith("data.root=") for o in overrides):  # a folder of the reader's
            parts(Asked.of(composed))


def test_every_choice_that_the_table_offers_exists():
    for group, cell in re.findall(r"^\| `(\w+)=`.*?\| (.*) \|$", SWAPPED, flags=re.MULTILINE):
        offered = set(re.findall(r"`([a-z_0-9]+)`", cell))
        there = {p.stem for p in (ROOT / "conf" / group).glob("*.yaml")}
        assert offered, group
        assert offered <= there, group


def test_ci_runs_what_the_readme_says():
    script = (ROOT / ".ci" / "run").read_text()
    assert "-e '.[dev]'" in script
    assert script.rstrip().endswith("pytest")
