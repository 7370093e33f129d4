"""The wheel alone, in an environment of its own and an empty folder: docs/your_operator.md word for word."""

import os
import re
import shlex
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from command import ROOT

PAGE = (ROOT / "docs" / "your_operator.md").read_text()
FILES = dict(re.findall(r"^`(\S+)`:\n```\w+\n(.*?)```$", PAGE, flags=re.MULTILINE | re.DOTALL))
COMMANDS = re.findall(r"^(litconv [^\n]+)$", PAGE, flags=re.MULTILINE)
REFUSED = re.findall(r"^\$ (litconv [^\n]+)\n(error: [^\n]*)", PAGE, flags=re.MULTILINE)
KNOWN = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}  # which can lead back to a clone
BUILD = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Path:
    """A virtual environment with the wheel, which sees what else is installed here, but not this clone."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-c", BUILD, folder], cwd=ROOT, check=True)
    venv.create(folder / "venv", symlinks=True)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (site / "others.pth").write_text(sysconfig.get_path("purelib"))  # .pth files there are not followed
    (wheel,) = folder.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--python", folder / "venv", "install", "-q", "--no-deps", "--no-index", wheel]
    subprocess.run(pip, check=True, env=KNOWN)
    return folder / "venv"


@pytest.fixture(scope="module")
def said(environment, tmp_path_factory):
    """said(command): its exit status and what it printed, given in the page's folder by somebody without a clone."""
    folder = tmp_path_factory.mktemp("repository")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    paths = {"PATH": f"{environment / 'bin'}:{os.environ['PATH']}", "XDG_STATE_HOME": str(folder / ".state")}

    def say(command: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env={**KNOWN, **paths, "WANDB_MODE": "disabled"},
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout + done.stderr

    say.folder = folder
    return say


def test_without_a_command_they_are_listed_and_a_wrong_one_is_told_its_neighbour(said):
    status, listed = said("litconv")
    assert (status, listed) == said("litconv --help")
    scripts = {path.stem for path in (ROOT / "scripts").glob("*.py")}
    assert status == 0
    assert set(re.findall(r"^  (\w+) ", listed, flags=re.MULTILINE)) == {"train", *scripts}
    assert "python" not in listed
    assert said("litconv trian")[1].startswith(
        "error: litconv trian: no such command (did you mean 'train'?); commands: train"
    )
    assert said("litconv conv=grouped")[1].startswith("error: litconv conv=grouped: a command comes first, such as")


def test_the_list_of_commands_imports_next_to_nothing(said):
    code = "import sys; sys.argv = ['litconv']; from litconv.config.front import main; main(); print(*sys.modules)"
    status, printed = said(f"python -c {shlex.quote(code)}")
    assert status == 0
    assert not {"torch", "hydra", "omegaconf", "numpy"} & set(printed.split())


def test_the_package_is_that_of_the_wheel_and_its_yamls_are_those_of_conf(said, environment):
    code = "from litconv.config.places import CONF; print(CONF, *sorted(p.relative_to(CONF) for p in CONF.rglob('*.yaml')))"
    place, *yamls = said(f"python -c {shlex.quote(code)}")[1].split()
    assert Path(place).is_relative_to(environment)
    assert yamls == [str(path) for path in sorted(p.relative_to(ROOT / "conf") for p in ROOT.glob("conf/**/*.yaml"))]


def test_help_names_what_is_the_users_own(said):
    printed = said("litconv train --config-dir conf --help conv=shuffled")[1]
    assert re.search(
        r"^  conv +bottleneck, .*, standard, strip, wavelet; yours: \*shuffled$", printed, flags=re.MULTILINE
    )
    assert re.search(r"^  experiment +.*; yours: quick$", printed, flags=re.MULTILINE)
    assert "groups: ${oc.select:groups,2}" in printed
    assert "python" not in printed


@pytest.mark.parametrize(("command", "error"), REFUSED)
def test_the_page_is_right_about_what_is_refused(said, command, error):
    status, printed = said(command)
    assert status == 1
    assert re.fullmatch(".*".join(map(re.escape, error.split("…"))) + ".*", printed.strip())


@pytest.mark.slow
def test_the_pages_commands_work_word_for_word_and_write_nothing_beside_the_package(said, environment):
    def package() -> dict[str, int]:
        files = [path for path in (environment / "lib").rglob("*") if "__pycache__" not in path.parts]
        return {str(path): path.stat().st_mtime_ns for path in files if path.is_file()}

    before = package()
    assert len(COMMANDS) == 8
    for command in COMMANDS:
        status, printed = said(command)
        assert status == 0, (command, printed)
        assert "python train.py" not in printed, command
    assert package() == before
    assert "Seed 2 still to be run:\n  litconv train -m --config-dir conf" in said("litconv compare sweep=mine")[1]
    changed = "sed -i 's/^epochs: .*/epochs: 2/' outputs/sweeps/mine/shapes_resnet8_shuffled_seed0_*/config.yaml; "
    status, printed = said(f"{changed}{COMMANDS[-1]}")  # somebody else's, for all that anybody knows
    assert status == 1
    assert printed.startswith("error: conv._target_=my_operators.Shuffled may not be built")
