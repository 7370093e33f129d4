"""What is read from source must be what an import would say; a wrong command line must not pay for an import."""

import json
import pkgutil
import subprocess
import sys
from inspect import Parameter

import pytest
import yaml

from command import ROOT, TINY
from litconv.config.composed import CONF
from litconv.config.declared import declared, imported, read
from litconv.config.declared.annotations import UNREAD
from litconv.config.types import matches

# Command lines, one after the other, each followed by its exit status and by what has been imported.
COMMANDS = """
import json, os, runpy, sys
from litconv.config import command_line as cli
watched, lines = map(json.loads, sys.argv[1:])
for line in lines:
    os.environ["HYDRA_FULL_ERROR"] = "0"
    cli._failures.clear()
    sys.argv = ["train.py", *line.split()]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        print("\\nstatus", end.code, "imported", sorted(set(watched) & set(sys.modules)), flush=True)
        print("end", file=sys.stderr, flush=True)
"""


def after(watched: list[str], *lines: str) -> list[tuple[str, str]]:
    """What is said of each, and what it printed as an error."""
    command = [sys.executable, "-c", COMMANDS, json.dumps(watched), json.dumps(lines)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    said = [line for line in done.stdout.splitlines() if line.startswith("status ")]
    return list(zip(said, done.stderr.split("end\n"), strict=False))


def targets() -> list[str]:
    found = set()

    def walk(node: object) -> None:
        if isinstance(node, dict):
            found.update({node["_target_"]} if "_target_" in node else ())
            for child in node.values():
                walk(child)

    for path in CONF.rglob("*.yaml"):
        walk(yaml.safe_load(path.read_text()))
    return sorted(name for name in found if not name.startswith(("hydra_plugins", "litconv.sweep")))


@pytest.mark.parametrize("name", targets())
def test_what_is_read_of_a_class_is_what_an_import_says(name):
    said, true = read(name), imported(pkgutil.resolve_name(name))
    assert (said.home, said.is_class) == (true.home, true.is_class)
    assert list(said.parameters) == list(true.parameters)
    for key, parameter in true.parameters.items():
        mine = said.parameters[key]
        assert mine.kind == parameter.kind, key
        assert (mine.default is Parameter.empty) == (parameter.default is Parameter.empty), key
        assert mine.default is UNREAD or mine.default == parameter.default, key
        if parameter.default is Parameter.empty:  # an object that litconv passes, or a value that its yaml must have
            continue
        for value in (None, 1, 1.5, True, "word"):
            assert matches(value, mine.annotation) >= matches(value, parameter.annotation), (key, value)
            if mine.annotation is not object:
                assert matches(value, mine.annotation) == matches(value, parameter.annotation), (key, value)
    for key in {"name", "tasks", "monitor", "mode", "in_channels"} & true.constants.keys():
        if isinstance(true.constants[key], str | int | frozenset):
            assert said.constants[key] == true.constants[key], key


def test_what_no_source_says_is_imported():
    with pytest.raises(AttributeError):
        declared("litconv.conv.Nothing")
    assert list(declared("decimal.Decimal").parameters) == ["value", "context"]  # of C


ENDS_EARLY = {
    "--help": 0,
    "conv=groupd": 1,
    "grups=4": 1,
    "conv=standard groups=4": 1,
    "optim.lr=abc": 1,
    "trainer.precision=7": 1,
    "seed=-1 epochs=0": 1,
    "head=fcn": 1,
}


def test_a_wrong_command_line_is_answered_without_the_heavy_imports():
    found = after(["torch", "pytorch_lightning", "wandb", "fvcore"], *ENDS_EARLY)
    for (said, error), (line, status) in zip(found, ENDS_EARLY.items(), strict=True):
        assert said == f"status {status} imported []", line
        assert bool(error) == bool(status), (line, error)


def test_a_run_that_logs_nothing_to_wandb_does_not_import_it_nor_what_the_comparison_needs(tmp_path):
    unused = ["wandb", "tensorboard", "mlflow", "pandas", "statsmodels", "plotly", "jinja2", "optuna"]
    ((said, error),) = after([*unused, "fvcore"], " ".join([*TINY, "logger=csv", f"output_dir={tmp_path}"]))
    assert said == "status 0 imported ['fvcore']", error
