"""The end of a wandb run stands in its file when the run is closed, whatever wandb's own process still has in memory."""

import threading
from pathlib import Path

import pytest

from litconv.loggers.wandb import Wandb
from litconv.loggers.wandb_file import BLOCK_BYTES, drop_torn_end, holds_exit, logged, records, wait_for_end
from wandb_reader import records_of


def start(folder: Path) -> Wandb:
    folder.mkdir()
    return Wandb(folder, name="run", group="runs", job_type="train", tags=[], config={"seed": 0}, mode="offline")


def file_below(folder: Path) -> Path:
    (file,) = folder.rglob("*.wandb")
    return file


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> bytes:
    """A file of several blocks, whose last records are small."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    run = start(folder)
    for step in range(600):
        run.metrics({"train/loss": step / 2, "epoch": step}, step)
    run.finish(0, {"status": "completed"})
    data = file_below(folder).read_bytes()
    assert len(data) > 3 * BLOCK_BYTES
    return data


def test_an_end_is_found_only_in_a_file_that_is_whole_by_wandbs_own_reader(tmp_path, written):
    cut = tmp_path / "run" / "offline-run" / "cut.wandb"
    cut.parent.mkdir(parents=True)
    answers = set()
    for size in (7, 8, *(BLOCK_BYTES + k for k in (-1, 0, 3)), *(len(written) - k for k in (40_000, 2000, 0))):
        cut.write_bytes(written[:size])
        assert holds_exit(cut) == any(record["type"] == "exit" for record in records_of(cut)), size
        answers.add(holds_exit(cut))
    assert answers == {True, False}


def test_records_and_rows_are_those_of_wandbs_own_reader(tmp_path, written):
    file = tmp_path / "run" / "offline-run" / "whole.wandb"
    file.parent.mkdir(parents=True)
    file.write_bytes(written)
    theirs = records_of(file)
    assert [record.WhichOneof("record_type") for record in records(file)] == [record["type"] for record in theirs]
    later = [record.num for record in records(file, 2 * BLOCK_BYTES)]
    assert later == [record["num"] for record in theirs[-len(later) :]]
    assert 100 < len(later) < len(theirs)
    rows = [record["history"]["item"] for record in theirs if record["type"] == "history"]
    assert logged(file, "trainer/global_step") == [row["trainer/global_step"] for row in rows] == list(range(600))


@pytest.mark.parametrize("size", [20_000, BLOCK_BYTES, 2 * BLOCK_BYTES])
def test_a_torn_end_is_dropped_up_to_the_last_whole_record(tmp_path, written, size):
    file = tmp_path / "run" / "offline-run" / "torn.wandb"
    file.parent.mkdir(parents=True)
    file.write_bytes(written[:size])
    before = records_of(file)
    drop_torn_end(file)
    left = file.read_bytes()
    assert written.startswith(left)
    assert records_of(file) == before
    file.write_bytes(left[:-1])
    assert len(records_of(file)) == len(before) - 1  # nothing stood behind the last record


@pytest.mark.parametrize("size", [0, 7, 9])
def test_a_file_without_a_record_is_removed(tmp_path, written, size):
    file = tmp_path / "began.wandb"
    file.write_bytes(written[:size])
    drop_torn_end(file)
    assert not file.exists()


def test_a_run_that_is_closed_late_by_wandbs_process_is_waited_for(tmp_path, monkeypatch):
    run = start(tmp_path / "run")
    close = run.run.finish
    late = threading.Timer(0.5, close, kwargs={"exit_code": 3})
    monkeypatch.setattr(run.run, "finish", lambda exit_code: late.start())
    run.finish(3, {"status": "failed"})
    assert holds_exit(file_below(tmp_path))
    late.join()


def test_a_file_that_is_never_finished_is_said_so(tmp_path, written):
    file = tmp_path / "run-cut.wandb"
    file.write_bytes(written[:-100])
    with pytest.raises(TimeoutError, match=r"run-cut\.wandb was not written to its end within 0\.05 s"):
        wait_for_end(file, 0.05)


def test_a_part_that_is_not_finished_in_time_is_followed_by_one_that_holds_the_end(tmp_path, monkeypatch):
    run = start(tmp_path / "run")
    monkeypatch.setattr(run.run, "finish", lambda exit_code: None)
    monkeypatch.setattr("litconv.loggers.wandb.END_SECONDS", 0.05)
    monkeypatch.setattr("litconv.loggers.wandb.end_service", lambda exit_code: type(run.run).finish(run.run))
    run.finish(3, {"status": "failed"})
    first, second = sorted(tmp_path.rglob("*.wandb"), key=lambda file: file.stat().st_mtime)
    assert first.name == second.name  # of one id
    assert holds_exit(second)
