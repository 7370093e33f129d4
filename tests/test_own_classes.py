"""A user's own modules and callbacks, looked at before anything runs; help into a pipe."""

import subprocess
import sys
from pathlib import Path

import pytest

from command import command
from litconv.config import checks
from litconv.config.composed import compose
from litconv.config.signatures import signature
from litconv.errors import ConfigError

ROOT = Path(__file__).parent.parent

SOURCE = """
import os.path
import numbers
from numbers import Number

class Own:
    def __init__(self, a: Number = 1, b: numbers.Real = 1, c: os.PathLike = None, d: "b c" = None): ...
"""


def test_a_class_whose_annotations_python_cannot_evaluate_still_says_what_it_takes(tmp_path, monkeypatch):
    (tmp_path / "own_annotations.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    parameters = signature("own_annotations.Own").parameters
    assert list(parameters) == ["a", "b", "c", "d"]
    assert isinstance(0.5, parameters["a"].annotation)
    assert isinstance(0.5, parameters["b"].annotation)


@pytest.mark.parametrize("text", ["def broken(:", "raise RuntimeError('at import')\nclass Own: ..."])
def test_a_module_that_cannot_be_loaded_is_one_line(tmp_path, monkeypatch, text):
    (tmp_path / "own_broken.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"own_broken\.Own cannot be loaded"):
        checks.check(compose(["allowed_packages=[own_broken]", "conv._target_=own_broken.Own"]))


STOP = "callbacks.extra.a={_target_:pytorch_lightning.callbacks.EarlyStopping,monitor:val/loss,mode:min,patience:two}"


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("+callbacks.extra=5", "must name callbacks"),
        ("+callbacks.extra=[1]", "must name callbacks"),
        ("+callbacks.extra={a:null}", "must name callbacks"),
        ("allowed_packages=5", "must be a list"),
        ("output_dir=5", "output_dir=5 must be a string"),
        (f"+{STOP}", "callbacks.extra.a.patience=two must be an integer"),
    ],
)
def test_values_of_the_wrong_kind_are_one_line(override, reason):
    with pytest.raises(ConfigError, match=reason):  # noqa: PT012 either may refuse it
        checks.check(config := compose([override]))
        checks.check_libraries(config)


def test_help_ends_quietly_when_its_reader_does():
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} train.py --help | true; exit ${{PIPESTATUS[0]}}"],
        cwd=ROOT,
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_typo_beside_an_operator_of_ones_own_with_a_yaml_is_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "own_operator.py").write_text("from litconv.conv import Standard\nclass Op(Standard): ...\n")
    (tmp_path / "conf" / "conv").mkdir(parents=True)
    (tmp_path / "conf" / "conv" / "mine.yaml").write_text(
        "_target_: own_operator.Op\n_partial_: true\nkernel_size: 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    own = ["conv=mine", f"hydra.searchpath=[file://{tmp_path / 'conf'}]", "conv.kernel_siz=5"]
    for allowed in (["allowed_packages=[own_operator]"], []):
        assert command(*own, *allowed, f"output_dir={tmp_path / 'o'}") == 1
        said = "error: conv.kernel_siz: unknown key (did you mean 'conv.kernel_size'?); "
        assert capsys.readouterr().err.startswith(said)
