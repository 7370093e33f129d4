"""--config-dir: the user's own yamls beside litconv's."""

import sys

import pytest

from command import command
from litconv.config import composed, own_yamls
from litconv.config.own_yamls import as_flag, as_searchpath, folders, refuse_shadowed
from litconv.config.places import CONF
from litconv.config.sweep_name import name_the_sweep
from litconv.errors import ConfigError
from litconv.run.asked import Asked


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder with conv/mine.yaml, below which commands are given."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # a module of the user's is looked for where the command is given
    folder = tmp_path / "my conf, two"
    (folder / "conv").mkdir(parents=True)
    (folder / "conv" / "mine.yaml").write_text("_target_: litconv.conv.Grouped\n_partial_: true\ngroups: 4\n")
    return folder


@pytest.mark.parametrize("flag", [["--config-dir", "{}"], ["--config-dir={}"], ["-cd", "{}"]])
def test_the_flag_is_hydras_searchpath_and_back(own, flag):
    read = as_searchpath(["-m", *(word.format(own.name) for word in flag), "conv=mine"])
    assert read[:2] == ["-m", "conv=mine"]
    assert folders(read) == [own]
    assert as_flag(read) == ["-m", "conv=mine", "--config-dir", own.name]
    assert composed.choices(composed.compose(read[1:]))["conv"] == "mine"


def test_a_searchpath_as_hydra_writes_it_is_read_too():
    assert [*map(str, folders(["hydra.searchpath=[file:///a,'file:///b c',pkg://d]"]))] == ["/a", "/b c"]


def test_several_folders_are_read(own, tmp_path):
    (tmp_path / "other").mkdir()
    assert folders(as_searchpath(["--config-dir", own.name, "--config-dir=other"])) == [own, tmp_path / "other"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--config-dir", "nope"], "--config-dir nope: no such folder"),
        (["--config-dir"], "--config-dir : no such folder"),
        (["--config-dir", ".", "hydra.searchpath=[file:///a]"], "say the same; give one of them"),
    ],
)
def test_a_folder_that_is_not_there_or_said_twice_is_one_line(own, arguments, reason):
    with pytest.raises(ConfigError, match=reason):
        as_searchpath(arguments)


def test_a_name_of_litconvs_own_is_refused_unless_it_is_a_copy(own):
    (own / "conv" / "grouped.yaml").write_bytes((CONF / "conv" / "grouped.yaml").read_bytes())
    refuse_shadowed(as_searchpath(["--config-dir", str(own)]))
    (own / "conv" / "grouped.yaml").write_text("_target_: mine.Grouped\n")
    with pytest.raises(ConfigError, match=r"litconv's own conv/grouped.yaml, .* such as conv/my_grouped.yaml"):
        refuse_shadowed(as_searchpath(["--config-dir", str(own)]))


def test_where_the_yamls_lie_does_not_change_a_sweeps_name(own):
    names = []
    for place in ([], as_searchpath(["--config-dir", str(own)])):
        name_the_sweep(argv := ["train.py", "-m", "conv=standard,grouped", *place])
        names.append(argv[-1])
    assert names[0] == names[1]


def test_an_operator_whose_yaml_says_its_options_is_called_by_its_name_alone(own, tmp_path, monkeypatch):
    (tmp_path / "mine_too.py").write_text("from litconv.conv import Grouped\nclass Op(Grouped): ...\n")
    (own / "conv" / "mine.yaml").write_text("_target_: mine_too.Op\n_partial_: true\ngroups: 4\n")
    given = [*as_searchpath(["--config-dir", str(own)]), "conv=mine", "allowed_packages=[mine_too]"]
    monkeypatch.setattr("sys.argv", ["train.py", *given])
    asked = Asked.of(composed.compose(given))
    assert asked.arm() == "mine"
    assert asked.overrides[0].startswith(own_yamls.SEARCHPATH)
    assert Asked.of(composed.compose([*given, "conv.groups=2"])).arm() == "mine groups=2"


def test_messages_and_help_name_them(own, capsys):
    assert command("--config-dir", str(own), "conv=min") == 1
    assert "did you mean 'mine'?" in capsys.readouterr().err
    assert command("--config-dir", str(own), "--help") == 0
    assert "*standard, strip, wavelet; yours: mine\n" in capsys.readouterr().out
    (own / "conv" / "mine.yaml").write_text("_target_: litconv.conv.Grouped\n_partial_: true\ngroups: ${groups}\n")
    assert command("--config-dir", str(own), "conv=standard", "groups=8") == 1
    assert "operators that do: depthwise_separable, grouped, mine;" in capsys.readouterr().err


def test_a_yaml_that_is_none_is_one_line_with_its_place(own, capsys):
    (own / "conv" / "bad.yaml").write_text("_target_: litconv.conv.Grouped\n_partial_: [true\n")
    assert command("--config-dir", str(own), "conv=bad") == 1
    said = capsys.readouterr().err
    assert f"error: {own / 'conv' / 'bad.yaml'}, line 3 is no YAML (expected ',' or ']'" in said
    assert "Traceback" not in said
    assert said.count("\n") == 1
