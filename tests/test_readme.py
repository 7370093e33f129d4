"""What the README says can be run as it stands there."""

import json
import re
import shlex
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from command import command
from golden.regenerate import with_every_choice
from litconv.config import checks
from litconv.config import composed as config
from litconv.prepare.checks import parts
from litconv.run.asked import Asked
from litconv.run.summary import table
from yamls import CONF, names

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


def test_beside_the_first_command_stand_the_size_of_what_it_downloads_and_the_form_without_cuda():
    beginning = README.partition("## What can be swapped")[0]
    assert "5.8 GB" in beginning
    (line,) = (line for line in beginning.splitlines() if "https://download.pytorch.org/whl/cpu" in line)
    assert re.match(r"pip install torch torchvision --index-url \S+ && pip install -e \. +# CPU only$", line)
    assert "uv pip install" in beginning


def test_the_table_that_it_shows_is_the_one_that_a_run_ends_with():
    shown = re.search(r"^(outputs/runs/\S+)\n((?:  .+\n)+)", BLOCKS, flags=re.MULTILINE)
    values = dict(re.split(r" {2,}", line.strip(), maxsplit=1) for line in shown[2].splitlines()[:-1])
    summary = {
        "monitor": "val/accuracy",
        "test/accuracy": float(values["accuracy"].split()[0]),
        "cost/params": int(values["params"].replace(",", "")),
        "cost/macs": int(values["MACs"].replace(",", "")),
        "cost/latency_ratio": float(values["latency ÷ standard"]),
        "train/seconds": float(values["training time"].removesuffix(" s")),
    }
    assert f"{table(summary)}\n" == shown[2]
    asked = Asked.of(config.compose(["conv=grouped", "groups=4"]))
    assert shown[1] == str(asked.folder)
    ledger = json.loads((ROOT / "tests" / "golden" / "cost.json").read_text())
    assert summary["cost/macs"] < ledger["resnet grouped"]["macs"]  # of two groups


@pytest.mark.parametrize("line", [c for c in COMMANDS if f"$ {c}" not in BLOCKS])
def test_every_training_command_is_accepted_and_builds(line):
    found = points(line)
    assert found
    arms = {tuple(o for o in overrides if not o.startswith("seed=")): overrides for overrides in found}
    for overrides in arms.values():
        composed = config.compose(overrides)
        checks.check(composed)
        if not any(o.startswith("data.root=") for o in overrides):  # a folder of the reader's
            parts(Asked.of(composed))


def offered() -> dict[str, set[str]]:
    """What the table says of each group."""
    rows = re.findall(r"^\| `([\w/]+)=` \| (.*) \|$", SWAPPED, flags=re.MULTILINE)
    return {group: set(re.findall(r"`([a-z_0-9]+)`", cell)) for group, cell in rows}


def test_the_table_offers_every_group_and_choice_of_conf_and_no_other():
    groups = {path.name: set(names(path.name)) for path in CONF.iterdir() if path.is_dir() and path.name != "hydra"}
    assert groups.pop("callbacks") == {"default"}  # nothing to choose from
    del groups["claims"]  # of scripts/claims.py
    table = offered()
    table.pop("hydra/launcher")
    assert table == groups


def test_a_choice_that_the_table_lacks_is_added_by_the_command_that_writes_the_ledger(tmp_path):
    assert with_every_choice(README, CONF) == README
    (tmp_path / "optim").mkdir()
    (tmp_path / "optim" / "lamb.yaml").touch()
    assert with_every_choice("| `optim=` | `sgd` (plain) |", tmp_path) == "| `optim=` | `sgd` (plain), `lamb` |"


def test_the_launchers_that_the_table_offers_are_litconvs_own_and_those_of_plugins():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        there = GlobalHydra.instance().config_loader().get_group_options("hydra/launcher")
    assert set(names("hydra/launcher")) < offered()["hydra/launcher"] <= set(there)


REFUSED = re.findall(r"^\$ python train\.py ([^\n]*)\n(error: [^\n]*)", BLOCKS, flags=re.MULTILINE)


@pytest.mark.parametrize(("arguments", "said"), REFUSED)
def test_what_it_shows_as_refused_is_refused_in_these_words(arguments, said, tmp_path, capsys):
    assert command(*shlex.split(arguments), f"output_dir={tmp_path}") == 1
    error = capsys.readouterr().err
    assert error.startswith(said.removesuffix("…")) if said.endswith("…") else error == f"{said}\n"
    assert not list(tmp_path.iterdir())


def test_ci_runs_what_the_readme_says():
    script = (ROOT / ".ci" / "run").read_text()
    assert "-e '.[dev]'" in script
    assert script.rstrip().endswith("pytest")
