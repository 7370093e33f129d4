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
from litconv.config.keys import keys_near
from litconv.config.signatures import imported, needs_import, read, signature
from litconv.config.stubs import UNREAD
from litconv.config.targets import nested
from litconv.config.types import matches

# Command lines, one after the other, each followed by its exit status and by what has been imported.
COMMANDS = """
import json, os, runpy, sys
watched, lines = map(json.loads, sys.argv[1:])
for line in lines:
    os.environ["HYDRA_FULL_ERROR"] = "0"
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
    """Every class that a yaml of conf/ names; those of claims are no part of a run."""
    yamls = [yaml.safe_load(path.read_text()) for path in CONF.rglob("*.yaml") if path.parent.name != "claims"]
    return sorted({node["_target_"] for content in yamls for _, node in nested(content)})


OWN = [name for name in targets() if name.startswith("litconv.") and not needs_import(name)]


def test_only_these_are_imported_to_learn_what_they_take():
    assert set(targets()) - set(OWN) == {
        "${backbone.path}",  # the class that a user names
        "torch.optim.SGD",
        "torch.optim.AdamW",
        "pytorch_lightning.Trainer",
        "litconv.sync_norm.SyncNorm",  # it inherits __init__ from Lightning
        "litconv.sweep.launch_file.LaunchFile",
        "litconv.sweep.plan_file.PlanFile",
        "litconv.sweep.pareto.ParetoFile",  # these are Hydra's affair
        "hydra_plugins.litconv_launcher.local.LocalLauncher",
        "hydra_plugins.litconv_launcher.slurm.SlurmLauncher",
        "hydra_plugins.litconv_launcher.ray.RayLauncher",
        "hydra_plugins.litconv_sweeper.grid.GridSweeper",
        "hydra_plugins.litconv_sweeper.listed.ListedSweeper",
    }


@pytest.mark.parametrize("name", OWN)
def test_what_is_read_of_a_class_is_what_an_import_says(name):
    said, true = read(name), imported(pkgutil.resolve_name(name))
    assert (said.module, said.name, said.is_class) == (true.module, true.name, true.is_class)
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
        signature("litconv.conv.Nothing")
    assert list(signature("decimal.Decimal").parameters) == ["value", "context"]  # of C


ALONE = """
import json, sys
from litconv.config.keys import keys, keys_near
near = keys_near(sys.argv[1], "train")
print(json.dumps([near, [name for name in ("torch", "pytorch_lightning") if name in sys.modules]]))
"""


@pytest.mark.parametrize(
    ("key", "loaded", "offered"),
    [("grups", [], "+backbone.channel_multiple"), ("optim.mometum", ["torch"], "+optim.maximize")],
)
def test_a_class_of_a_library_is_imported_only_for_a_key_of_its_own_group(key, loaded, offered):
    done = subprocess.run([sys.executable, "-c", ALONE, key], cwd=ROOT, capture_output=True, text=True, check=True)
    known, imports = json.loads(done.stdout)
    assert imports == loaded
    assert offered in known


def test_the_arguments_of_a_trainer_are_offered_where_one_is_mistyped():
    assert "+trainer.accumulate_grad_batches" in keys_near("trainer.acumulate_grad_batches", "train")


ENDS_EARLY = {
    "--help": 0,
    "conv=groupd": 1,
    "grups=4": 1,
    "conv=standard groups=4": 1,
    "width=abc": 1,
    "seed=-1 epochs=0": 1,
    "seed=-1 optim.lr=abc": 1,
    "schedule.warmup=abc": 1,
    "conv=standard ~backbone._target_": 1,
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
