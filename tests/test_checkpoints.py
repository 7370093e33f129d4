"""Checkpoints: never torn, plain, of this machine; the one that is tested is the one that validation chose."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from command import ROOT, TINY, command
from litconv import callbacks
from litconv import files as atomic
from litconv.errors import ConfigError, DataError, TrainingError
from litconv.run.checkpoints import AtomicCheckpoints, foreign_value, read
from small_tasks import Loader, classification, classifier, labelled, trainer

MEMORY = Path("/dev/shm")
CHECKPOINT = {"state_dict": {"weight": torch.arange(4.0)}, "epoch": 3}


def run(folder, *arguments):
    return command(*TINY, "logger=csv", f"output_dir={folder}", *arguments)


@pytest.mark.parametrize("kills", [8, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.skipif(not MEMORY.is_dir(), reason="Lightning's half needs a second file system")
def test_a_process_killed_while_it_writes_leaves_a_whole_checkpoint_and_lightnings_own_does_not(tmp_path, kills):
    temporary = MEMORY / f"litconv-{os.getpid()}"
    temporary.mkdir()
    arguments = []
    for how in ("litconv", "lightning"):
        (tmp_path / how).mkdir()
        arguments += [how, tmp_path / how, str(kills)]
    try:
        done = subprocess.run(
            [sys.executable, ROOT / "tests" / "kill_during_writes.py", *arguments],
            env={**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            check=True,
            timeout=600,
        )
    finally:
        shutil.rmtree(temporary)
    ours, plain = map(json.loads, done.stdout.splitlines())
    assert ours["unreadable"] == 0
    assert ours["amid"] > 0, "no kill came in the middle of a write: this proves nothing"
    assert ours["left"] == ["last.ckpt"]
    assert plain["unreadable"] > 0


def test_a_full_disk_leaves_the_previous_checkpoint_and_one_line(tmp_path, monkeypatch, capsys):
    fsync, written = os.fsync, []

    def full(descriptor):
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        if "last.ckpt" in name:
            written.append(name)
            if len(written) == 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert run(tmp_path, "epochs=3") == 1
    (folder,) = (tmp_path / "runs").glob("*seed0*")
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == (
        f"error: {folder.resolve()}/checkpoints/last.ckpt could not be written (No space left on device); the previous "
        "checkpoint stands: make room, and the same command goes on from it"
    )
    assert torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 0
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["status"], summary["error"]) == ("interrupted", f"TrainingError: {error.removeprefix('error: ')}")
    assert not list(folder.rglob(f"*{atomic.UNFINISHED}"))
    assert run(tmp_path, "epochs=3") == 0
    assert len((folder / "metrics.csv").read_text().splitlines()) == 4


def test_what_a_killed_process_left_unfinished_is_removed_by_the_next(tmp_path):
    assert run(tmp_path) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    (folder / "summary.json").unlink()  # as if it had been killed
    (folder / "checkpoints" / f".last.ckpt.7{atomic.UNFINISHED}").write_bytes(b"half")
    assert run(tmp_path) == 0
    assert not list(folder.rglob(f"*{atomic.UNFINISHED}"))


def test_a_checkpoint_is_read_as_it_was_written_by_torch_itself(tmp_path):
    path = tmp_path / "sub" / "last.ckpt"
    AtomicCheckpoints().save_checkpoint(CHECKPOINT, path)
    for found in (torch.load(path, weights_only=True), read(path)):
        assert found.keys() == CHECKPOINT.keys()
        assert torch.equal(found["state_dict"]["weight"], torch.arange(4.0))
        assert found["epoch"] == 3


class Foreign:
    pass


@pytest.mark.parametrize("value", [Foreign(), [Foreign], {"a": (1, {2: Foreign()})}, {Foreign(): 1}, Path("x"), len])
def test_what_weights_only_would_refuse_is_not_written(tmp_path, value):
    checkpoint = {**CHECKPOINT, "callbacks": {"Own": value}}
    with pytest.raises(TrainingError, match=r"last\.ckpt would hold more than plain types: .*callbacks\.Own"):
        AtomicCheckpoints().save_checkpoint(checkpoint, tmp_path / "last.ckpt")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "value", [None, 1, 1.5, "text", b"bytes", True, torch.ones(2), [1, (2,), {"a": {3}}, True], torch.Size([1])]
)
def test_plain_values_are_written_and_read_back(tmp_path, value):
    assert foreign_value(value) is None
    AtomicCheckpoints().save_checkpoint({**CHECKPOINT, "value": value}, tmp_path / "last.ckpt")
    again = read(tmp_path / "last.ckpt")["value"]
    assert type(again) is type(value)
    if isinstance(value, torch.Tensor):
        assert torch.equal(again, value)
        assert again.dtype == value.dtype
    else:
        assert repr(again) == repr(value)  # of parts too: True is not 1, a tuple no list


def pickled_code(path):
    torch.save({"state_dict": {}, "run": Foreign()}, path)


def half(path):
    torch.save(CHECKPOINT, path)
    path.write_bytes(path.read_bytes()[:700])


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (lambda path: None, "No such file or directory"),
        (lambda path: path.write_bytes(b""), "it is corrupt"),
        (lambda path: path.write_bytes(b"torn"), "it is corrupt"),
        (half, "it is corrupt"),
        (pickled_code, "it holds test_checkpoints.Foreign, more than plain types"),
        (lambda path: torch.save([1], path), "it holds no state_dict"),
    ],
    ids=["missing", "empty", "rubbish", "half", "code", "list"],
)
def test_a_file_that_is_no_checkpoint_is_one_line(tmp_path, write, reason):
    path = tmp_path / "best.ckpt"
    write(path)
    with pytest.raises(DataError) as error:
        read(path)
    assert str(error.value) == f"{path} cannot be read as a checkpoint ({reason})"


@pytest.mark.parametrize("url", ["http://example.org/best.ckpt", "https://a/b", "s3://bucket/x", "file:///etc/passwd"])
def test_a_url_is_neither_read_nor_written(url):
    for act in (
        read,
        AtomicCheckpoints().load_checkpoint,
        lambda u: AtomicCheckpoints().save_checkpoint(CHECKPOINT, u),
    ):
        with pytest.raises(ConfigError, match="is a URL; only files and folders of this machine"):
            act(url)


def test_urls_are_refused_on_the_command_line(tmp_path, capsys):
    assert command("output_dir=s3://bucket/runs", "logger=csv") == 1
    assert command("run=http://example.org/run", module="evaluate") == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("error: output_dir=s3://bucket/runs is a URL")
    assert second.startswith("error: run=http://example.org/run is a URL")


def test_the_best_checkpoint_has_an_explicit_mode_and_without_one_lightning_keeps_the_worst(tmp_path):
    scores = [0.2, 0.9, 0.4]

    class Scored(pl.Callback):
        def on_validation_epoch_end(self, trainer, module):
            module.log("val/accuracy", scores[trainer.current_epoch])

    def best_epoch(folder, *found):
        task = classification(classifier())
        task.log_evaluation = lambda split: None
        trainer(folder, 3, callbacks=[Scored(), *found], enable_progress_bar=False).fit(
            task, Loader(labelled(6)), Loader(labelled(6))
        )
        return torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)["epoch"]

    where = tmp_path / "plain" / "checkpoints"
    assert best_epoch(tmp_path / "plain", ModelCheckpoint(where, "best", monitor="val/accuracy")) == 0
    ours = callbacks.checkpoints(tmp_path / "ours", "val/accuracy", "max")
    assert best_epoch(tmp_path / "ours", *ours) == 1


@pytest.mark.parametrize("moved", [False, True])
def test_a_run_whose_folder_was_moved_keeps_its_best_checkpoint(tmp_path, moved):
    """Its later epochs are worse."""
    scores = [0.9, 0.2, 0.4]

    class Scored(pl.Callback):
        def on_validation_epoch_end(self, trainer, module):
            module.log("val/accuracy", scores[trainer.current_epoch])

    def train(folder, epochs, **options):
        task = classification(classifier())
        task.log_evaluation = lambda split: None
        found = callbacks.checkpoints(folder, "val/accuracy", "max")
        fitted = trainer(folder, epochs, callbacks=[Scored(), *found], enable_progress_bar=False)
        fitted.strategy.checkpoint_io = AtomicCheckpoints()
        fitted.fit(task, Loader(labelled(6)), Loader(labelled(6)), **options)
        return found[0]

    folder = tmp_path / "before"
    train(folder, 1)
    if moved:
        folder = folder.rename(tmp_path / "now")
    best = train(folder, 3, ckpt_path=folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)["epoch"] == 0
    assert best.best_model_score.item() == pytest.approx(0.9)
    assert Path(best.best_model_path) == folder.resolve() / "checkpoints" / "best.ckpt"
