"""Ctrl-C and SIGTERM, wherever they come: a true status, the exit status of a shell, one line, nothing torn."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from command import ROOT, TINY, command
from litconv import signals
from litconv.callbacks import Timing
from litconv.data.shapes import Shapes
from litconv.errors import DataError
from litconv.fit import training
from litconv.loggers.together import Loggers
from litconv.prepare import reading
from small_tasks import Loader, classification, classifier, labelled, trainer
from wandb_reader import read_run


def run(folder, *arguments):
    return command(*TINY, "logger=csv", f"output_dir={folder}", *arguments)


def summary(folder: Path) -> dict:
    (path,) = folder.rglob("summary.json")
    return json.loads(path.read_text())


def sending(number, original=None):
    """What a test puts in the place of a function: the signal comes while it runs."""

    def stand_in(*arguments, **options):
        os.kill(os.getpid(), number)
        time.sleep(0.01)  # Python looks for signals between two lines
        return original(*arguments, **options) if original else None

    return stand_in


@pytest.mark.parametrize(("number", "status", "plain"), [(signal.SIGINT, 130, 1), (signal.SIGTERM, 143, None)])
def test_lightning_alone_ends_with_1_or_0_where_a_run_says_130_or_143(tmp_path, monkeypatch, number, status, plain):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(Timing, "on_train_batch_end", sending(number))
    task = classification(classifier())
    with pytest.raises(SystemExit) as end:
        trainer(tmp_path, callbacks=[Timing()], enable_progress_bar=False, enable_checkpointing=False).fit(
            task, Loader(labelled(6), labelled(6), labelled(6)), Loader(labelled(6))
        )
    assert end.value.code == plain  # sys.exit(None) is exit status 0
    signal.signal(signal.SIGTERM, before[0])
    signal.signal(signal.SIGINT, before[1])

    assert run(tmp_path) == status
    assert summary(tmp_path)["status"] == "interrupted"
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


@pytest.mark.parametrize(
    ("where", "name", "number"),
    [
        (Shapes, "load", signal.SIGINT),
        (reading, "check_amounts", signal.SIGTERM),
        (Timing, "on_validation_start", signal.SIGHUP),
        (training, "test", signal.SIGTERM),
    ],
    ids=["data", "build", "validation", "test"],
)
def test_a_signal_at_any_stage_interrupts_with_one_line(tmp_path, monkeypatch, capsys, where, name, number):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
    monkeypatch.setattr(where, name, sending(number, getattr(where, name)))
    assert run(tmp_path) == 128 + number
    assert summary(tmp_path)["status"] == "interrupted"
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert error.splitlines()[-1] == "interrupted; the same command goes on from the last finished epoch"


def test_a_second_signal_while_the_run_ends_leaves_a_whole_summary(tmp_path, monkeypatch, capsys):
    from litconv.run import folder as run_folder

    monkeypatch.setattr(training, "test", sending(signal.SIGINT))
    monkeypatch.setattr(run_folder, "write_summary", sending(signal.SIGINT, run_folder.write_summary))
    assert run(tmp_path) == 130
    assert summary(tmp_path)["status"] == "interrupted"
    assert "already ending" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.unfinished"))


def test_a_signal_while_a_logger_waits_for_its_network_leaves_the_run_completed(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(Loggers, "finish", sending(signal.SIGTERM))
    assert run(tmp_path) == 0
    assert summary(tmp_path)["status"] == "completed"
    assert "interrupted while a logger was closed; the run is completed" in caplog.text


def test_a_signal_that_a_library_swallows_interrupts_at_the_next_batch(tmp_path, monkeypatch):
    def swallow(self, *unused):
        with suppress(KeyboardInterrupt):
            sending(signal.SIGTERM)()

    monkeypatch.setattr(Timing, "on_train_epoch_start", swallow)
    assert run(tmp_path) == 143


def test_an_error_that_a_signal_caused_is_an_interruption(tmp_path, monkeypatch):
    def lose_a_worker(*unused):
        try:
            sending(signal.SIGTERM)()
        except KeyboardInterrupt:
            raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Terminated.") from None

    monkeypatch.setattr(training, "test", lose_a_worker)
    assert run(tmp_path) == 143


def test_sys_exit_within_a_run_is_a_failure_whatever_its_code(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training, "test", lambda *unused: sys.exit(0))
    assert run(tmp_path) == 1
    assert summary(tmp_path)["status"] == "failed"
    assert "sys.exit(0) was called during the run" in capsys.readouterr().err


@pytest.mark.parametrize(("outcome", "code"), [("failed", 1), ("interrupted", 143)])
def test_the_wandb_run_is_closed_with_the_exit_code_of_the_run(tmp_path, monkeypatch, outcome, code):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)

    def fail(*unused):
        raise DataError("broken")

    monkeypatch.setattr(training, "test", fail if outcome == "failed" else sending(signal.SIGTERM))
    assert command(*TINY, f"output_dir={tmp_path}") == code
    assert summary(tmp_path)["status"] == outcome
    kept = read_run(tmp_path)
    assert kept["exit_code"] == code
    assert kept["summary"]["status"] == outcome


def test_signals_may_be_ignored_by_nohup(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        handlers = signals.Signals()
        handlers.install()
        os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        handlers.restore()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_ctrl_c_during_the_imports_ends_without_a_traceback(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-u", ROOT / "train.py", "logger=csv", f"output_dir={tmp_path}"],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{os.environ.get('PYTHONPATH', '')}"},
    )
    maps = Path(f"/proc/{process.pid}/maps")
    while process.poll() is None and "libtorch" not in maps.read_text():  # in the middle of importing torch
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT  # which a shell reports as 130
    assert b"Traceback" not in error
    assert not list(tmp_path.iterdir())
