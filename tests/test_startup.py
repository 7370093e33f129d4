"""What is read from source must be what an import would say; a wrong command line must not pay for an import."""

import pkgutil
import subprocess
import sys
from inspect import Parameter

import pytest
import yaml

from command import ROOT
from litconv.checks.types import matches
from litconv.config import CONF
from litconv.declared import declared, imported, read
from litconv.declared.annotations import UNREAD

ENDS_EARLY = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    print("status", end.code, "heavy", sorted({"torch", "pytorch_lightning", "wandb", "fvcore"} & set(sys.modules)))
"""


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


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ("--help", 0),
        ("conv=groupd", 1),
        ("grups=4", 1),
        ("conv=standard groups=4", 1),
        ("optim.lr=abc", 1),
        ("trainer.precision=7", 1),
        ("seed=-1 epochs=0", 1),
        ("head=fcn", 1),
    ],
)
def test_a_wrong_command_line_is_answered_without_the_heavy_imports(arguments, status):
    command = [sys.executable, "-c", ENDS_EARLY, "train.py", *arguments.split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"status {status} heavy []", done.stdout + done.stderr
    assert bool(done.stderr) == bool(status)


def test_a_run_that_logs_nothing_to_wandb_does_not_import_it_nor_what_the_comparison_needs(tmp_path):
    unused = ("wandb", "pandas", "statsmodels", "plotly", "jinja2", "optuna")
    script = ENDS_EARLY.replace('{"torch", "pytorch_lightning", "wandb", "fvcore"}', repr(set(unused) | {"fvcore"}))
    arguments = ["trainer=debug", "trainer.accelerator=cpu", "logger=csv", "cost.latency.enabled=false"]
    command = [sys.executable, "-c", script, "train.py", *arguments, f"output_dir={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "status 0 heavy ['fvcore']", done.stdout + done.stderr
