"""What wandb's client sends of a run that was resumed, online and by `wandb sync`, to a server that keeps lines of history."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import wandb

from command import ROOT
from litconv.loggers.kept_ids import kept_ids
from litconv.loggers.together import Loggers
from litconv.loggers.wandb import Wandb, sync_command
from wandb_server import Server, wandb_server


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    with wandb_server() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", "0123456789" * 4)
        monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
        monkeypatch.delenv("WANDB_MODE", raising=False)
        wandb.teardown()  # it keeps the first address that a process had
        yield server
        wandb.teardown()


def part(folder: Path, mode: str, steps: range, *, exit_code: int = 0, seed: int = 0, before: range = range(0)) -> str:
    """A process of a run: it is told `before` again, as metrics.csv has it, and logs `steps`."""
    folder.mkdir(parents=True, exist_ok=True)
    loggers = Loggers({"wandb": partial(Wandb, mode=mode)})
    loggers.start(folder, name=folder.name, group="sweep", job_type="train", tags=[], config={"seed": seed})
    loggers.catch_up([{"step": str(step + 1), "seconds": "1", "train/loss": str(step / 2)} for step in before])
    for step in steps:
        loggers.log_metrics({"train/loss": step / 2, "epoch": step}, step)
    loggers.finish(exit_code, {"test/accuracy": steps[-1] / 100})
    return kept_ids(folder)["wandb"]


def command_of_the_page(sweep: Path) -> str:
    """docs/loggers.md has it for a sweep called NAME."""
    line = next(line for line in (ROOT / "docs/loggers.md").read_text().splitlines() if line.startswith("find "))
    assert "outputs/sweeps/NAME" in line
    return line.replace("outputs/sweeps/NAME", shlex.quote(str(sweep)))


def shell(command: str) -> str:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout + done.stderr


def rows(server: Server, run: str) -> list[tuple[int, int, float]]:
    return [(row["_step"], row["trainer/global_step"], row["train/loss"]) for row in server.history(run)]


def test_one_command_uploads_a_sweep_and_the_parts_of_a_resumed_run_are_one_run_with_each_row_once(tmp_path, server):
    sweep = tmp_path / "my sweep"
    resumed = part(sweep / "resumed", "offline", range(3), exit_code=143)
    # It repeats the last row, which the first part has, and is killed; so is the start of another, before its first record.
    assert part(sweep / "resumed", "offline", range(2, 5), before=range(2)) == resumed
    other = part(sweep / "other", "offline", range(2))
    began = sweep / "killed" / "wandb" / "offline-run-20260101_000000-abcdef12" / "run-abcdef12.wandb"
    began.parent.mkdir(parents=True)
    began.write_bytes(next(sweep.glob("other/wandb/offline*/*.wandb")).read_bytes()[:7])
    said = shell(command_of_the_page(sweep))
    assert "Syncing 3 run(s)" in said, said
    assert server.upserts.keys() == {resumed, other}
    assert rows(server, resumed) == [(step, step, step / 2) for step in range(5)]
    assert rows(server, other) == [(step, step, step / 2) for step in range(2)]
    assert server.summary(resumed)["test/accuracy"] == 0.04
    assert server.exit_codes == {resumed: 0, other: 0}
    assert "No runs to sync" in shell(command_of_the_page(sweep))  # what is uploaded is not uploaded again


@pytest.mark.slow
def test_a_part_that_is_uploaded_later_is_added_to_the_run(tmp_path, server):
    run = part(tmp_path / "run", "offline", range(3), exit_code=143)
    shell(sync_command(tmp_path / "run"))
    assert part(tmp_path / "run", "offline", range(3, 5), before=range(3)) == run
    shell(sync_command(tmp_path / "run"))
    assert rows(server, run) == [(step, step, step / 2) for step in range(5)]


def test_an_online_run_goes_on_where_the_server_has_it(tmp_path, server):
    run = part(tmp_path / "run", "online", range(3), exit_code=143)
    assert part(tmp_path / "run", "online", range(2, 5), seed=1, before=range(2)) == run
    assert rows(server, run) == [(step, step, step / 2) for step in range(5)]
    assert server.exit_codes == {run: 0}
    assert not list(tmp_path.rglob("offline-run-*"))


@pytest.mark.slow
def test_an_offline_run_that_goes_on_online_is_whole_once_its_first_part_is_uploaded(tmp_path, server):
    run = part(tmp_path / "run", "offline", range(3), exit_code=143)
    assert part(tmp_path / "run", "online", range(3, 5), before=range(3)) == run
    shell(sync_command(tmp_path / "run"))
    assert sorted(step for _, step, _ in rows(server, run)) == list(range(5))
