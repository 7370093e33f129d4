"""What a launch need not compose: points whose runs an earlier launch has found, and which are completed."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from unittest import mock

import hydra
import pytest
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.types import HydraContext, RunMode

from hydra_plugins.litconv_sweeper.grid import GridSweeper
from litconv.config import composed
from litconv.config.environment import COMMAND_LINE
from litconv.run.asked import Asked
from litconv.sweep import points
from litconv.sweep.board import Board
from litconv.sweep.composing import outcomes_of
from litconv.sweep.memory import FILE, Memory
from litconv.sweep.outcome import Outcome
from litconv.sweep.running import Point

GRID = ("conv=standard,grouped", "groups=2,4", "seed=0,1")  # of standard, which has no groups, pairs are equal
NAMES = 6


@dataclass
class Launch:
    """Of a sweep whose runs are completed as soon as they are asked for."""

    folder: Path
    rerun: str = "failed"
    composed: list[str] = field(default_factory=list)  # the overrides that tell each point that was composed
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.board = Board(Path("outputs/sweeps/s"))

    def launch(self, given: Sequence[Point], memory: Memory) -> list[Outcome]:
        planned = [points.planned(point) for point in given]
        self.composed += [point.told for point in planned]
        memory.add(planned)
        for point in planned:
            if point.error:
                self.outcomes[point.key] = Outcome(point.number, point.key, "refused", error=point.error)
            else:
                summary = {"status": "completed", "name": point.name}
                (self.folder / point.name).mkdir(parents=True, exist_ok=True)
                (self.folder / point.name / "summary.json").write_text(json.dumps(summary))
                self.outcomes[point.key] = Outcome(point.number, point.key, "completed", summary)
        return [self.outcomes[point.key] for point in planned]


def launched(root: Path, *arguments: str, rerun: str = "failed") -> tuple[Launch, list[Outcome]]:
    """As `train.py -m …` does it, without a process for each run."""
    given = [*arguments, "logger=csv", f"output_dir={root}", "sweep=s", "hydra.mode=MULTIRUN"]
    typed = mock.patch.dict(os.environ, {COMMAND_LINE: json.dumps(given)})
    with typed, hydra.initialize_config_dir(str(composed.CONF), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        config = loader.load_configuration("train", given, RunMode.MULTIRUN)
        sweeper = GridSweeper(None, 3)
        sweeper.hydra_context = context = HydraContext(loader, Callbacks())
        axes = sweeper.axes(list(config.hydra.overrides.task))
        session = Launch(root / "sweeps" / "s", rerun)
        jobs = [list(point) for point in product(*axes.values())]
        return session, outcomes_of(session, config, context, Memory.of(config), jobs, 0)


def names(outcomes: Sequence[Outcome]) -> list[str]:
    return [outcome.name for outcome in outcomes]


def test_a_second_launch_composes_nothing_and_finds_the_runs_that_composing_finds(tmp_path, capsys):
    first, found = launched(tmp_path, *GRID)
    by_hand = [
        Asked.of(composed.compose([f"conv={conv}", f"groups={groups}", f"seed={seed}"])).name
        for conv, groups, seed in product(("standard", "grouped"), (2, 4), (0, 1))
    ]
    assert names(found) == by_hand
    assert len(first.composed) == 8
    assert len({*by_hand}) == NAMES
    again, found = launched(tmp_path, *GRID, "n_jobs=1")
    assert again.composed == []
    assert names(found) == by_hand
    assert {outcome.status for outcome in found} == {"completed"}
    printed = capsys.readouterr().out
    assert printed.count("completed before in this sweep; not trained again") == NAMES
    assert printed.count("equal to another point of this sweep; not trained again") == 2


def test_a_sweep_that_grows_composes_what_is_new(tmp_path):
    launched(tmp_path, *GRID)
    more, found = launched(tmp_path, *GRID[:2], "seed=0,1,2")
    assert [told.split()[-1] for told in more.composed] == ["seed=2"] * 4
    assert len({*names(found)}) == NAMES + 3


def test_points_that_were_refused_are_refused_again(tmp_path):
    wrong = ("conv=standard,grouped", "groups=2", "seed=0,-1")
    _, first = launched(tmp_path, *wrong)
    again, second = launched(tmp_path, *wrong)
    assert [outcome.status for outcome in first] == ["completed", "refused"] * 2
    assert again.composed == [f"conv={conv} seed=-1" for conv in ("standard", "grouped")]
    assert [(o.name, o.status, o.error) for o in second] == [(o.name, o.status, o.error) for o in first]


def test_a_run_that_is_not_there_or_not_completed_is_composed_and_trained(tmp_path):
    _, found = launched(tmp_path, *GRID)
    sweep = tmp_path / "sweeps" / "s"
    (sweep / found[-1].name / "summary.json").unlink()
    (sweep / found[-1].name).rmdir()
    (sweep / found[-2].name / "summary.json").write_text('{"status": "failed"}')
    again, second = launched(tmp_path, *GRID)
    assert again.composed == [f"conv=grouped groups=4 seed={seed}" for seed in (0, 1)]
    assert names(second) == names(found)


def test_rerun_of_all_composes_all(tmp_path):
    launched(tmp_path, *GRID)
    assert len(launched(tmp_path, *GRID, rerun="all")[0].composed) == 8


@pytest.fixture
def places(tmp_path, monkeypatch) -> Path:
    """A folder of yamls, an environment variable that one of them reads, and a module of the user's."""
    for number in (1, 2):
        folder = tmp_path / f"conf{number}" / "experiment"
        folder.mkdir(parents=True)
        (folder / "mine.yaml").write_text("# @package _global_\nwidth: ${oc.decode:${oc.env:WIDE_FOR_A_TEST}}\n")
    (tmp_path / "ops_for_a_test.py").write_text("")
    monkeypatch.setenv("WIDE_FOR_A_TEST", "0.5")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def of_places(places: Path, number: int = 1) -> tuple[str, ...]:
    search = f"hydra.searchpath=[file://{places}/conf{number}]"
    return ("experiment=mine", "seed=0,1", "allowed_packages=[ops_for_a_test]", search)


def other_yaml(places: Path) -> int:
    (places / "conf1" / "conv").mkdir()
    (places / "conf1" / "conv" / "more.yaml").write_text("_target_: ops_for_a_test.More")
    return 1


def other_variable(places: Path) -> int:
    os.environ["WIDE_FOR_A_TEST"] = "0.75"
    return 1


def other_code(places: Path) -> int:
    (places / "ops_for_a_test.py").write_text("x = 1\n")
    return 1


def other_searchpath(places: Path) -> int:
    return 2


@pytest.mark.parametrize("change", [other_yaml, other_variable, other_code, other_searchpath])
def test_nothing_is_believed_when_what_it_was_composed_of_has_changed(places, change):
    _, first = launched(places, *of_places(places))
    assert launched(places, *of_places(places))[0].composed == []
    number = change(places)
    again, second = launched(places, *of_places(places, number))
    assert len(again.composed) == 2
    assert (names(second) == names(first)) == (change is not other_variable)


@pytest.mark.parametrize("value", ["${now:%S}", "${hydra:job.num}", "${oc.env:${oc.env:WHICH}}"])
def test_what_depends_on_more_than_can_be_traced_is_not_remembered(tmp_path, value):
    folder = tmp_path / "conf" / "experiment"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(f"# @package _global_\n# {value}\nwidth: 0.5\n")
    given = ("experiment=mine", "seed=0,1", f"hydra.searchpath=[file://{tmp_path}/conf]")
    for _ in range(2):
        assert len(launched(tmp_path, *given)[0].composed) == 2


def test_a_point_that_only_another_launch_excuses_is_refused(tmp_path):
    _, found = launched(tmp_path, "conv=standard,grouped", "groups=2", "seed=0,1")
    assert {outcome.status for outcome in found} == {"completed"}
    _, found = launched(tmp_path, "conv=standard", "groups=2", "seed=0,1")
    assert all(outcome.error.startswith("groups=2 has no effect") for outcome in found)


def test_a_launch_with_a_wrong_option_is_refused_although_all_its_points_are_completed(tmp_path):
    launched(tmp_path, *GRID)
    _, found = launched(tmp_path, *GRID, "n_jobs=0")
    assert {outcome.error for outcome in found} == {
        "n_jobs=0 must be at least 1, or -1: as many as there are slots for"
    }


def test_a_file_that_was_cut_short_loses_its_last_line_alone(tmp_path):
    launched(tmp_path, *GRID)
    file = tmp_path / "sweeps" / "s" / FILE
    file.write_text(file.read_text()[:-5])
    assert launched(tmp_path, *GRID)[0].composed == ["conv=grouped groups=4 seed=1"]
    assert launched(tmp_path, *GRID)[0].composed == []
