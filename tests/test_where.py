"""where=…: a comparison of some of the runs that are there."""

import re
import shlex

import pytest

from command import command
from litconv.compare import Question, analyse, load
from litconv.config.spelling import as_hydra_reads
from litconv.errors import ConfigError
from made_runs import make_run


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Six runs of 3 epochs, two of 2, two of a wide picture; one of another task; one that failed."""
    root = tmp_path_factory.mktemp("where")
    for seed in range(2):
        for conv in ("standard", "grouped", "dilated"):
            make_run(root, conv, seed, epochs=3)
        make_run(root, "standard", seed, epochs=2)
        make_run(root, "standard", seed, epochs=3, config={"data.image_size": [32, 48]})
    make_run(root, "standard", 0, epochs=3, task="segmentation")
    make_run(root, "bottleneck", 0, epochs=3, summary={"status": "failed", "error": "no"})
    return root


def picked(root, *where):
    return analyse(load(root / "sweeps"), "made", Question(where=where))


FITS = {
    "epochs=2": 2,
    "data.image_size=[32,48]": 2,
    "data.image_size=[32, 48]": 2,
    "conv=grouped": 2,
    "cost/macs=20800000.0": 0,
    "optim.lr=5e-3": 10,
    "task=segmentation": 1,
    "trainer.max_epochs=2.0": 2,
    "git_dirty=FALSE": 10,
}


@pytest.mark.parametrize("where", [one for one, count in FITS.items() if count])
def test_runs_are_picked_by_any_key_however_its_value_is_spelt(where, root):
    others = () if where.startswith("task") else ("task=classification",)
    result = analyse(load(root / "sweeps"), "made", Question(where=(*others, where), mix=True))
    assert len(result.runs) == FITS[where]


def test_several_conditions_must_all_be_true_and_a_note_says_how_many_runs_are_left(root):
    result = picked(root, "task=classification", "epochs=3", "data.image_size=32")
    assert {arm.name for arm in result.arms} == {"standard", "grouped", "dilated"}
    assert result.notes[0] == "chosen by 'where=[task=classification,epochs=3,data.image_size=32]': 7 of 12 runs"
    assert [problem.status for problem in result.problems] == ["failed"]


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (["epochs=5"], "where=epochs=5 leaves no run; epochs here: 3 (10 runs), 2 (2 runs)"),
        (["epochs=2", "conv=grouped"], "where=conv=grouped leaves no run; conv here: standard (2 runs)"),
        (["epoch=3"], "where=epoch=3: no run here has epoch (did you mean 'epochs'?); it can be epochs, data, task, or any"),
    ],
)  # fmt: skip
def test_conditions_that_leave_nothing_are_refused_with_the_values_there_are(where, said, root):
    with pytest.raises(ConfigError, match=re.escape(said)):
        picked(root, *where)


def test_the_refusal_of_unlike_runs_proposes_the_largest_group_and_that_is_compared(root, capsys):
    assert command(f"output_dir={root}", "sweep=made", "samples=0", "where=task=classification", module="compare") == 1
    said = capsys.readouterr().err
    (proposed,) = re.findall(r"choose those that agree \((.*), or folders=", said)
    assert shlex.split(proposed) == ["where=[task=classification,data.image_size=32,epochs=3]"]
    assert command(f"output_dir={root}", "sweep=made", "samples=0", *shlex.split(proposed), module="compare") == 0
    assert "7 of 12 runs" in capsys.readouterr().out


@pytest.mark.parametrize("where", ["where=epochs", "where==2", "where=[epochs=]"])
def test_what_is_no_condition_is_refused(where, root, capsys):
    assert command(f"output_dir={root}", "sweep=made", where, module="compare") == 1
    assert "must be KEY=VALUE, such as where=epochs=2, or a list of them" in capsys.readouterr().err


def test_an_equals_sign_in_a_value_is_quoted_for_hydra_unless_it_is_already():
    assert as_hydra_reads("where=epochs=2") == 'where="epochs=2"'
    assert as_hydra_reads("where=[a=1,b=[2,3],'c=4']") == """where=["a=1","b=[2,3]",'c=4']"""
    assert as_hydra_reads("where=null") == "where=null"
    assert as_hydra_reads("reference=deformable in stage 3") == "reference=deformable in stage 3"
    assert as_hydra_reads("reference=grouped groups=4, ×1.2 wide") == 'reference="grouped groups=4, ×1.2 wide"'
