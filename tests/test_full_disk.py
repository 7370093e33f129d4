"""A disk that is full, at whatever file of a run: interrupted, with an error that says so, and the same command goes on."""

import errno
import json
import os
from pathlib import Path

import pytest
import torch

from command import TINY, command
from litconv.files import of_full_disk
from litconv.run import state
from litconv.sweep import outcome

RUN = (*TINY, "epochs=2", "logger=csv", "diagnostics=true")
FULL = """
import errno, os
from pathlib import Path
import pytorch_lightning as pl

class Full(pl.Callback):
    def __init__(self, marker):
        self.marker = Path(marker)

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == 1 and self.marker.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "some.file")
"""


def syncing(monkeypatch, do) -> None:
    """`do` is told the final name of each file that is written whole, before its bytes are safe."""
    fsync = os.fsync

    def told(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.name.endswith(".unfinished"):
            do(path.name[1:].rsplit(".", 2)[0])
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", told)


def test_whichever_file_of_a_run_finds_no_room_it_is_interrupted_and_goes_on_from_the_last_epoch(tmp_path, capsys):
    written: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        syncing(patch, written.append)
        assert command(*RUN, f"output_dir={tmp_path / 'whole'}") == 0
    (whole,) = (tmp_path / "whole" / "runs").iterdir()
    names = {name for name in written if any(whole.rglob(name))}  # a cache of data is done without
    assert {"config.yaml", "metrics.csv", "best.ckpt", "last.ckpt", "summary.json"} < names

    for name in sorted(names):
        stands: list[str] = []  # in the order of writing

        def fill(this: str, name: str = name, stands: list[str] = stands) -> None:
            if this == name and stands.count(name) == written.count(name) - 1:  # the last time that a run writes it
                raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
            stands.append(this)

        capsys.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            syncing(patch, fill)
            assert command(*RUN, f"output_dir={tmp_path / name}") == 1, name
        assert "Disk quota exceeded" in capsys.readouterr().err.splitlines()[-1], name
        folder = tmp_path / name / "runs" / whole.name
        if saved := stands.count("last.ckpt"):
            assert state.status(folder) == "interrupted", name
            epoch = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["epoch"]
            assert epoch == saved - 1, name  # no older than the last epoch that was saved
        assert state.status(folder) in (None, "interrupted"), name
        if (folder / "summary.json").exists():
            assert "Disk quota exceeded" in json.loads((folder / "summary.json").read_text())["error"], name
        assert command(*RUN, f"output_dir={tmp_path / name}") == 0, name
        assert state.status(folder) == "completed"
        assert len((folder / "metrics.csv").read_text().splitlines()) == 3, name


def test_a_sweep_shows_a_full_disk_as_interrupted_with_its_error_and_goes_on(tmp_path, monkeypatch, capfd):
    (tmp_path / "filling.py").write_text(FULL)
    monkeypatch.setenv("PYTHONPATH", f"{os.environ.get('PYTHONPATH', '')}{os.pathsep}{tmp_path}")
    monkeypatch.syspath_prepend(tmp_path)
    marker = tmp_path / "full"
    marker.touch()
    full = f"+callbacks.extra.full={{_target_: filling.Full, marker: {marker}}}"
    sweep = ("-m", *TINY, "epochs=2", "logger=csv", "conv=standard,grouped", "sweep=full", f"output_dir={tmp_path}")
    assert command(*sweep, "allowed_packages=[filling]", full) == 1
    said = capfd.readouterr().out
    table = [line.split() for line in said.splitlines() if line.startswith("interrupted")]
    assert [row[1] for row in table] == sorted(
        (p.name for p in (tmp_path / "sweeps" / "full").glob("shapes*")), reverse=True
    )
    assert said.count("No space left on device: 'some.file'") >= 2
    summaries = [json.loads(path.read_text()) for path in tmp_path.rglob("summary.json")]
    assert [summary["status"] for summary in summaries] == ["interrupted"] * 2
    marker.unlink()
    assert command(*sweep, "allowed_packages=[filling]", full) == 0
    for path in tmp_path.rglob("summary.json"):
        assert json.loads(path.read_text())["status"] == "completed"
        assert len((path.parent / "metrics.csv").read_text().splitlines()) == 3


def test_a_job_without_room_for_its_summary_is_interrupted_with_or_without_room_for_the_launchers(
    tmp_path, monkeypatch
):
    run = tmp_path / "sweep" / "run"
    status, error = outcome.judge(outcome.FULL_DISK, asked_to_stop=False)
    assert (status, error.partition(";")[0]) == ("interrupted", "No space left on device")

    def full(*unused: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        summary = outcome.settle(run, {"name": "run"}, outcome.mark(run), status, error)
    assert summary == {"name": "run", "status": "interrupted", "error": error}
    assert not (run / "summary.json").exists()
    assert outcome.settle(run, {"name": "run"}, outcome.mark(run), status, error) == summary
    assert state.read_summary(run) == summary


@pytest.mark.parametrize(("number", "full"), [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EIO, False)])
def test_an_error_is_of_a_full_disk_also_under_another_that_it_caused(number, full):
    error = RuntimeError("not written")
    error.__cause__ = OSError(number, os.strerror(number))
    assert of_full_disk(error) is full
    assert not of_full_disk(None)
